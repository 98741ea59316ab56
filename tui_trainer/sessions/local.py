"""`LocalSession`: a run in a worker thread of this process.

Layer: sessions. The thread is not a daemon: it is asked to stop and then joined, because a daemon
that is inside torch at exit aborts the process.
"""

from __future__ import annotations

import copy
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from tui_trainer.config.user_code import describe_user_error
from tui_trainer.machine.usage import Usage, UsageMeter
from tui_trainer.runs.commands import Command, Stop, name_of
from tui_trainer.runs.control import Control, applied
from tui_trainer.runs.events import CommandAccepted, Event, Notice, RunEnded, RunStarted, RunState
from tui_trainer.runs.guard import GuardedFiles
from tui_trainer.runs.history import History
from tui_trainer.runs.log import EarlierEvents
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.event_log import EventLog
from tui_trainer.sessions.first_view import end_without_training, tracked_run_of, view_of
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.sessions.startup import StartCancelled, Startup
from tui_trainer.sessions.watcher import Watcher
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ConfigError, ExitCode, TrainerError

if TYPE_CHECKING:
    from tui_trainer.config.experiment import Experiment
    from tui_trainer.config.sections.training import TrainingSection
    from tui_trainer.runs.directory import RunDirectory
    from tui_trainer.runs.lock import RunLock
    from tui_trainer.sessions.prepared_run import PreparedRun


class LocalSession:
    """Prepares and trains in its own thread; `prepare` runs there, torch import included.

    `within` is entered before torch is used, and left at the end of the thread.
    """

    def __init__(
        self,
        prepare: Callable[[Startup], PreparedRun],
        clock: Callable[[], float] = time.monotonic,
        *,
        within: Callable[[], AbstractContextManager[object]] = nullcontext,
        started: Callable[[RunStarted], object] = lambda event: None,
    ) -> None:
        """Make a session; `started` is called in the trainer's thread when the run starts."""
        self._prepare = prepare
        self._within = within
        self._started = started
        self._clock = clock
        self.control = Control()
        self._log = EventLog()
        self._over = False
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._step = 0
        self._newest_at_s = 0.0
        """The time of the newest event."""
        self._before = RunView()
        """What was known of the run before this start."""
        self._tracked = TrackedRun()
        self._seen = 0
        self._startup = Startup(
            self.emit,
            named=self._show_name,
            claimed=self._watch,
            undoing=self._end_watch,
            torch_free=self._enter_within,
        )
        self._held = ExitStack()
        self._watcher: Watcher | None = None
        self._beginning: TrackedRun | None = None
        """Made by the trainer thread, which does not touch it again once it is here."""
        self.usage: Usage | None = None
        self.earlier: EarlierEvents | None = None
        self.settings: TrainingSection | None = None
        self._thread = threading.Thread(target=self._work, name="trainer")
        self.exit_code: int = ExitCode.FAILED
        self.traceback = ""
        """The traceback of an unexpected error, for --debug."""
        self.details = ""
        """The traceback of an error that is explained in one line, for --debug."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self) -> None:
        """Wait until the thread has ended; it must have been asked to stop, or be about to end."""
        self._thread.join()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive() and self._thread.ident is not None

    @property
    def is_elsewhere(self) -> bool:
        return False

    def send(self, command: Command) -> None:
        with self._sending:
            # After the end no command would be answered, and the last event must stay the last.
            if not self._over:
                step = self._step
                self.emit(CommandAccepted(step, command.id, name_of(command), command.origin))
                if isinstance(command, Stop) and self._startup.cancel():
                    self._end_start(command)
                else:
                    self.control.send(command)

    @property
    def is_cancelled(self) -> bool:
        """Whether the start was cancelled; its thread may still be in a stage of it."""
        return self._startup.is_cancelled

    def undo_start(self) -> None:
        """Remove what a cancelled start has made, for a process that ends without its thread."""
        self._startup.undo()

    def _end_start(self, stop: Stop) -> None:
        """Report the end of a start that a stop has cancelled; its thread follows."""
        self.emit(applied(stop, self._step))
        self._refuse_the_rest()
        stage = f" while {self._startup.words}" if self._startup.words else ""
        reason = f"stopped by {stop.origin}{stage}; {self._startup.cost_of_cancelling}"
        self.exit_code = ExitCode.OK if stop.signal is None else 128 + stop.signal
        self.emit(self._end("stopped", reason, self.exit_code))
        # In a thread, because the caller must not wait for the disk; it may be the watcher itself.
        threading.Thread(target=self._startup.undo, name="undo").start()

    def events(self, cursor: int) -> tuple[list[Event], int]:
        return self._log.since(cursor)

    @property
    def view(self) -> RunView:
        return self._tracked.view

    @property
    def history(self) -> History:
        return self._tracked.history

    @property
    def experiment(self) -> Experiment | None:
        return self._tracked.experiment

    def refresh(self) -> bool:
        # In this order: events emitted after the beginning was made must not be added before it.
        events, self._seen = self.events(self._seen)
        if self._beginning is not None:
            self._tracked, self._beginning = self._beginning, None
        self._tracked.add(events)
        return bool(events)

    def wait(self, timeout_s: float) -> bool:
        return self._log.wait(timeout_s)

    def emit(self, event: Event) -> None:
        """Take an event from any thread; costs a lock and an append."""
        self._step = event.step
        if isinstance(event, RunStarted):
            self._started(event)
        with self._lock:
            if self._over:
                return
            if event.at_s < self._newest_at_s:
                # Another thread was faster since the event was made: the times of a log only grow.
                event = replace(event, at_s=time.time())
            self._newest_at_s = event.at_s
            self._over = isinstance(event, RunEnded)
            self._log.append(event)

    # The start, as `Startup` reports it.

    def _enter_within(self) -> None:
        self._held.enter_context(self._within())

    def _show_name(self, view: RunView, experiment: Experiment) -> None:
        """Show which run it is, and what was known of it before this start."""
        tracked = TrackedRun(experiment)
        self._step, self._before, tracked.view = view.step, view, copy.deepcopy(view)
        self._beginning = tracked

    def _watch(self, run: RunDirectory, lock: RunLock) -> None:
        """Show others a new run from now on."""
        self._watcher = Watcher(self, run, lock, RunView(run.path.name), UsageMeter())
        self._watcher.start()

    def _end_watch(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.finish()

    def _begin(self, prepared: PreparedRun) -> None:
        """Show a run that is about to train, here and to others."""
        tracked = tracked_run_of(prepared)
        tracked.view.stage = self._startup.stage or ""
        self._beginning = tracked
        meter = UsageMeter(prepared.device.uuid)
        if self._watcher is not None:
            self._watcher.use_meter(meter)
        elif not prepared.nothing_to_do:
            # Otherwise its last status, with the results in it, must stay as it is.
            self._watcher = Watcher(self, prepared.run, prepared.lock, view_of(prepared), meter)
            if self._watcher.events_bytes:
                self.earlier = EarlierEvents(prepared.run, self._watcher.events_bytes)
            self._watcher.start()

    def _work(self) -> None:
        with self._held:
            self._train_and_tell()

    def _train_and_tell(self) -> None:
        prepared: PreparedRun | None = None
        ended: RunEnded | None = None
        try:
            prepared = self._prepare(self._startup)
            self._startup.use_torch()
            self._startup.commit()
            self.settings = prepared.task.experiment.training
            self._begin(prepared)
            for text in prepared.warnings:
                self.emit(Notice(prepared.step, text, "warning"))
            ended = self._train(prepared)
            self.details = ended.details
        except StartCancelled:
            # Its end was reported when it was cancelled.
            self._startup.undo()
        except TrainerError as error:
            # A wrong setting is named by its key already.
            reason = str(error) if isinstance(error, ConfigError) else self._in_stage(str(error))
            ended = self._end("failed", reason, int(error.exit_code), prepared)
        except (Exception, SystemExit) as error:
            ended = self._end("failed", *self._explained(error, prepared), prepared)
        finally:
            watcher = self._watcher
            if prepared is not None and watcher is not None and watcher.taken_by:
                ended = self._lost(prepared, watcher.taken_by)
            if ended is not None and not self._over:
                self.exit_code = ended.exit_code
                with self._sending:
                    self._refuse_the_rest()
                    self.emit(ended)
            try:
                if watcher is not None:
                    watcher.finish()
            finally:
                if prepared is not None:
                    prepared.lock.release()
                # Wakes waiting readers, because `ended` becomes true without another event.
                self._log.append()

    def _train(self, prepared: PreparedRun) -> RunEnded:
        from tui_trainer.training.loop import train

        if prepared.nothing_to_do:
            return end_without_training(prepared)
        return train(
            prepared.task,
            prepared.start,
            self.control,
            self.emit,
            prepared.run,
            clock=self._clock,
            files=GuardedFiles(prepared.lock),
        )

    def _explained(
        self, error: BaseException, prepared: PreparedRun | None
    ) -> tuple[str, ExitCode]:
        """Describe an exception that nothing else has explained, and keep its traceback."""
        if text := describe_user_error(error):
            self.details = traceback.format_exc()
            return text, ExitCode.BAD_INPUT if prepared is None else ExitCode.FAILED
        if isinstance(error, OSError):
            return self._in_stage(clean(str(error), 400)), ExitCode.CANNOT_WRITE
        self.traceback = traceback.format_exc()
        text = f"{type(error).__name__}: {clean(str(error), 400)}"
        return self._in_stage(text), ExitCode.FAILED

    def _in_stage(self, reason: str) -> str:
        """Return why the run failed, and the stage of its start if it is in one.

        The reason comes first, because it begins with the file and line to look at.
        """
        return f"{reason} (while {self._startup.words})" if self._startup.words else reason

    def _end(
        self, state: RunState, reason: str, code: int, prepared: PreparedRun | None = None
    ) -> RunEnded:
        """Make an end that the training does not report, with what is known of the run.

        Without `prepared`, the start was not committed.
        """
        before = self._before if prepared is None else view_of(prepared)
        known = self._log.newest_steps() or before
        kept = self._startup.kept if prepared is None else prepared.run
        return RunEnded(
            step=self._step,
            state=state,
            reason=reason,
            epoch=known.epoch,
            run_dir=None if kept is None else str(kept.path),
            elapsed_s=known.elapsed_s,
            exit_code=code,
            has_begun=prepared is not None,
        )

    def _lost(self, prepared: PreparedRun, by: str) -> RunEnded:
        """Make the end for a process that was believed dead and finds its run taken over."""
        run = prepared.run
        reason = (
            f"{by} has taken over {run.path.name}, which was believed lost; this process has "
            f"written nothing more: {run.command('attach')} shows the run"
        )
        return self._end("failed", reason, ExitCode.CANNOT_WRITE, prepared)

    def _refuse_the_rest(self) -> None:
        """Refuse the commands that are still waiting."""
        while (command := self.control.take()) is not None:
            self.emit(applied(command, self._step, "the run has ended"))
