"""`AttachedSession`: a run that another process holds, watched and steered by its directory.

Layer: sessions. A thread reads the files, so that a slow or dead file system never blocks a screen.
Commands go through the mailbox and are answered by the run's events. Closing the session leaves the
run alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from tui_trainer.config.experiment import Experiment
from tui_trainer.machine.usage import Usage, usage_of
from tui_trainer.runs.commands import HERE, Command, name_of, origin_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import CommandAccepted, CommandApplied, Edited, Event, Notice, RunEnded
from tui_trainer.runs.history import History
from tui_trainer.runs.log import EarlierEvents
from tui_trainer.runs.mailbox import send
from tui_trainer.runs.recording import Recording
from tui_trainer.runs.status import LOOK_EVERY_S
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.event_log import EventLog
from tui_trainer.sessions.run_reader import RunReader, Update
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError

HURRY_S = 0.05
"""The time between polls while a command of ours waits for its answer."""
SILENT_S = 5.0
"""After this long, a notice says that a command was not answered."""


class AttachedSession:
    """Reads a run and steers it; call `start` first, and `close` when it is no longer shown."""

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._reader = RunReader(run, clock)
        self._origin = origin_of("attached")
        self._log = EventLog()
        self._updates: deque[Update] = deque()
        self._outbox: deque[Command] = deque()
        self._unanswered: dict[str, tuple[Command, float]] = {}
        self._wake = threading.Event()
        self._over = threading.Event()
        self._has_ended = False
        """By its last event, not just by what we conclude from its silence."""
        self._ended = False
        self.usage: Usage | None = None
        self.earlier: EarlierEvents | None = None
        self._tracked = TrackedRun()
        self._tracked.view = RunView(name=run.path.name, run_dir=str(run.path))
        self._recording = Recording()
        self._said = "starting"
        """The state that the run itself reports."""
        self._believed = ""
        # A daemon, because it may hang in a file system that is gone; it holds nothing to lose.
        self._thread = threading.Thread(target=self._work, name="reader", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def close(self, patience_s: float = 1.0) -> None:
        """Stop reading; commands that were sent are still put into the mailbox."""
        self._over.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)

    @property
    def view(self) -> RunView:
        return self._tracked.view

    @property
    def history(self) -> History:
        return self._tracked.history

    @property
    def experiment(self) -> Experiment | None:
        return self._tracked.experiment

    @property
    def ended(self) -> bool:
        """Whether the run has ended, as far as is known now; it may be resumed later."""
        return self._ended

    @property
    def is_elsewhere(self) -> bool:
        return True

    def refresh(self) -> bool:
        fresh = False
        while self._updates:
            self._take(self._updates.popleft())
            fresh = True
        return fresh

    def events(self, cursor: int) -> tuple[list[Event], int]:
        return self._log.since(cursor)

    def send(self, command: Command) -> None:
        self._outbox.append(command)
        self._wake.set()

    def wait(self, timeout_s: float) -> bool:
        return self._log.wait(timeout_s)

    def _take(self, update: Update) -> None:
        """Apply an update. Called in the front end's thread."""
        tracked = self._tracked
        if update.snapshot is not None:
            tracked = self._tracked = update.snapshot.tracked
            self._recording = update.snapshot.recording
            for event in update.events:
                if isinstance(event, RunEnded) and event.state == "crashed":
                    tracked.apply(event)
        else:
            tracked.view.state = self._said
            if update.batch is not None:
                self._recording.take(update.batch)
            for event in update.events:
                with suppress(TrainerError):  # an edit written into the file by hand
                    tracked.apply(event)
        if update.status is not None:
            tracked.view.update(update.status)
        self._said = tracked.view.state
        if update.state is not None:
            self._believed = update.state
        if self._believed:
            tracked.view.state = self._believed

    def _work(self) -> None:
        while True:
            # Both before posting: a command sent before `close` is still posted, and one sent later
            # wakes this thread again.
            over = self._over.is_set()
            self._wake.clear()
            try:
                self._post()
                if not over:
                    self._poll()
            except Exception as error:
                # The files may be anything; the next poll may find them readable again.
                text = clean(f"reading the run: {type(error).__name__}: {error}", 400)
                self._log.append(Notice(self._reader.step, text, "error"))
                self._over.wait(SILENT_S)
            if over:
                return
            self._wake.wait(HURRY_S if self._unanswered else LOOK_EVERY_S)

    def _poll(self) -> None:
        update = self._reader.poll()
        if self.earlier is None and self._reader.first_told_bytes:
            self.earlier = EarlierEvents(self._run, self._reader.first_told_bytes)
        if update.status is not None:
            self.usage = usage_of(update.status.process.usage)
        update.events = [self._seen_from_here(event) for event in update.events]
        events = [*update.events, *self._answers(update.events)]
        if update:
            self._updates.append(update)
        if update.snapshot is not None:
            self._has_ended = update.snapshot.tracked.view.ending is not None
        else:
            self._has_ended |= any(isinstance(event, RunEnded) for event in update.events)
        if events or update:
            self._log.append(*events)
        # Set last: a caller that sees the end refreshes once more, and then never again.
        self._ended = self._has_ended or self._reader.state in ("crashed", "deleted")

    def _seen_from_here(self, event: Event) -> Event:
        """Return the event, its origin replaced by `you` if this session sent the command."""
        if isinstance(event, CommandAccepted | CommandApplied | Edited):
            if event.origin == self._origin:
                return replace(event, origin=HERE)
            if event.origin == HERE:
                # Written by an older version.
                return replace(event, origin="app")
        return event

    def _post(self) -> None:
        """Put the commands that were sent into the mailbox."""
        while self._outbox:
            command = self._outbox.popleft()
            if self._ended:
                self._log.append(self._refusal(command, "the run has ended"))
                continue
            try:
                send(self._run.control, replace(command, origin=self._origin))
            except (TrainerError, OSError) as error:
                self._log.append(self._refusal(command, clean(str(error), 400)))
                continue
            self._unanswered[command.id] = command, self._clock() + SILENT_S

    def _answers(self, events: Iterable[Event]) -> list[Event]:
        """Return the answers to our commands that the run did not give.

        Its end refuses them; a command without an answer for too long is reported.
        """
        answers: list[Event] = []
        for event in events:
            if isinstance(event, CommandAccepted | CommandApplied):
                self._unanswered.pop(event.id, None)
        if not self._unanswered:
            return answers
        now_s = self._clock()
        ended = any(isinstance(event, RunEnded) for event in events)
        for command, until_s in list(self._unanswered.values()):
            if ended:
                answers.append(self._refusal(command, "the run has ended"))
            elif now_s >= until_s:
                state = self._reader.state
                text = f"{name_of(command)}: not answered yet; the run is {clean(state, 40)}"
                answers.append(Notice(self._reader.step, text, "warning"))
            else:
                continue
            del self._unanswered[command.id]
        return answers

    def _refusal(self, command: Command, why: str) -> CommandApplied:
        return CommandApplied(self._reader.step, command.id, name_of(command), HERE, why)
