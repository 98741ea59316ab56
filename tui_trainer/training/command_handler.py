"""`CommandHandler`: executes the commands that a run receives.

Layer: training. Commands are executed between two steps and between two batches of a validation.
Each gets one answer, an event with the step at which it took effect or the reason for a refusal.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tui_trainer.config.overrides import edited
from tui_trainer.config.sections.schedules import needs_horizon
from tui_trainer.data.base.split import BatchLost
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop, Validate
from tui_trainer.runs.control import Control, applied
from tui_trainer.runs.edits import Edit, in_force, record_edit
from tui_trainer.runs.events import Edited
from tui_trainer.runs.limits import Limit, limit_reached
from tui_trainer.text.errors import BadInput, CannotWrite, TrainerError
from tui_trainer.text.format import size_text
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recorder import Diverged, Recorder
from tui_trainer.training.saver import Saver
from tui_trainer.training.state import State
from tui_trainer.training.validation import Validator

LOOK_S = 0.5
"""How often a waiting training checks whether the wait is over."""
STOP_S = 1.0
"""How long to wait after the death of a worker for a stop command from the same signal."""
_BRIEFLY_S = 0.05

Execute = Callable[[Command], str]
"""A function that executes a command and returns why it was refused, or an empty string.

It may raise `EndsRun`.
"""


class EndsRun(Exception):
    """An edit would end the run at once, and its sender has not confirmed that."""


def edits_before(edits: Sequence[Edit], step: int) -> list[Edit]:
    """Return those of the edits that are in force when a training starts at a step.

    A validation may still be due at this step and comes before the edits of the step, so those are
    replayed instead.
    """
    return [edit for edit in edits if edit.apply_at_step < step]


def check_goes_on(command: Set, before: Limit | None, after: Limit | None) -> None:
    """Raise EndsRun if an edit makes the run reach a limit, unless the command is forced."""
    if after is not None and before is None and not command.force:
        raise EndsRun(f"{after.reason}: this ends the run now")


class CommandHandler(Part):
    """Executes the commands of one training, and replays its edits at their steps."""

    def __init__(
        self,
        shared: Shared,
        control: Control,
        edits_file: Path,
        state: State,
        recorder: Recorder,
        saver: Saver,
        validator: Validator,
        edits: Sequence[Edit],
    ) -> None:
        """Make a handler; `edits` are all that were made before this start."""
        super().__init__(shared)
        self._control = control
        self._edits_file = edits_file
        self._state = state
        self._recorder = recorder
        self._saver = saver
        self._validator = validator
        self.edits = edits_before(edits, shared.progress.step)
        self.replay = [edit for edit in edits if edit not in self.edits]
        """Edits still to come, made before a resume or during a validation at this step."""
        self.stop: Stop | None = None
        """The command that ends the run at this step."""
        self._refusal = ""
        """Why every command but a stop is refused; empty if that is not so."""

    @property
    def is_pending(self) -> bool:
        """Whether there is a command to execute, or a stop that must end the run."""
        return self._control.pending or self.stop is not None

    def stop_asked(self) -> bool:
        """Whether a stop is among the waiting commands."""
        return self._control.stop_asked

    def execute_pending(self) -> None:
        """Execute the waiting commands; a pause is waited out in here."""
        while self.stop is None and (command := self._control.take()) is not None:
            self._handle(command)

    def execute_while_validating(self) -> bool:
        """Execute commands between two batches of a validation; True if a stop interrupts it."""
        if not self._control.pending:
            return False
        while self.stop is None and (command := self._control.take()) is not None:
            self._handle(command, validating=True)
        return self.stop is not None

    def refuse_from_now(self, reason: str) -> None:
        """Refuse every command but a stop from now on, for this reason."""
        self._refusal = reason

    def execute_while_testing(self) -> bool:
        """Answer the waiting commands; True if one of them is a stop, which ends the test."""
        self.execute_pending()
        return self.stop is not None

    def await_stop(self, fault: TrainerError) -> None:
        """Execute a stop that has the same cause as `fault`.

        A signal may kill the workers before its stop command, which comes from the main thread,
        reaches the loop. So after a lost batch, wait briefly for that command.
        """
        if isinstance(fault, BatchLost):
            until_s = time.monotonic() + STOP_S
            while not self.stop_asked() and (left_s := until_s - time.monotonic()) > 0:
                self._control.wait(min(left_s, _BRIEFLY_S))
        if self.stop is None and self.stop_asked():
            self.execute_pending()

    def wait(
        self,
        execute: Execute,
        *,
        is_over: Callable[[], bool] = lambda: False,
        check_time: Callable[[], None] = lambda: None,
    ) -> Resume | Stop | None:
        """Wait for `resume` or `stop`; meanwhile `execute` handles all other commands.

        The only place where a training waits for a command. Returns None once `is_over` says that
        there is no reason to wait any longer. `check_time` is called while no command arrives, and
        may raise.
        """
        while not is_over():
            command = self._control.take()
            if command is None:
                self._control.wait(LOOK_S)
                check_time()
            elif isinstance(command, Resume | Stop):
                if isinstance(command, Stop):
                    self.stop = command
                self.answer(command)
                return command
            else:
                self._answer_with(execute, command)
        return None

    def answer(self, command: Command, refused: str = "", *, can_force: bool = False) -> None:
        """Emit the answer to a command: it took effect at this step, or why it was refused."""
        self._events.emit(applied(command, self._progress.step, refused, can_force=can_force))

    def replay_edits(self) -> None:
        """Bring the edits of this step into force, including those from before a resume."""
        while self.replay and self.replay[0].apply_at_step <= self._progress.step:
            edit = self.replay.pop(0)
            self.edits.append(edit)
            self._enforce(edit)

    def _handle(self, command: Command, *, validating: bool = False) -> None:
        if self._refusal and not isinstance(command, Stop):
            self.answer(command, self._refusal)
        elif isinstance(command, Pause):
            # Answered before the wait, or its sender would wait for the whole pause.
            self.answer(command)
            self._pause(command, validating=validating)
        else:
            self._answer_with(
                lambda accepted: self._execute(accepted, validating=validating), command
            )

    def _answer_with(self, execute: Execute, command: Command) -> None:
        try:
            refused = execute(command)
        except EndsRun as question:
            self.answer(command, str(question), can_force=True)
            return
        except (Diverged, CannotWrite, BatchLost) as error:
            # It ends the run, but the sender waits for an answer.
            self.answer(command, str(error))
            raise
        self.answer(command, refused)

    def _execute(self, command: Command, *, validating: bool) -> str:
        """Execute a command; return why it was refused, or an empty string."""
        match command:
            case Stop():
                self.stop = command
            case Save():
                return "" if self._saver.save_and_wait() else f"not saved: {self._saver.failure}"
            case Validate() if validating:
                return "a validation is running already"
            case Validate() if not self._validator.has_rows:
                return "there is no data for validation: dataset.val_fraction is 0"
            case Validate():
                done = self._validator.validate(self.stop_asked, on_demand=True)
                return "" if done else "the run was stopped before the validation was done"
            case Set():
                return self._edit(command, validating=validating)
            case _:
                return "the run is not paused"
        return ""

    def _pause(self, command: Pause, *, validating: bool) -> None:
        """Save, then wait for `resume` or `stop` and execute all other commands meanwhile."""
        self._events.enter("pausing")
        saved = self._saver.save_and_wait()
        self._watch.pause()
        freed = self._state.offload() if command.offload else 0
        self._events.enter("paused", self._paused_text(command, saved, freed), freed_bytes=freed)

        def execute(other: Command) -> str:
            if isinstance(other, Pause):
                return "the run is paused already"
            if isinstance(other, Save | Validate) and command.offload:
                return "the model was moved off the GPU by this pause; resume first"
            return self._execute(other, validating=validating)

        self.wait(execute)
        if command.offload and self.stop is None:
            # A stop needs no device, and another process may be using its memory by now.
            self._state.restore()
        self._watch.resume()
        if self.stop is None:
            self._events.enter("running")

    def _paused_text(self, command: Pause, saved: bool, freed: int) -> str:
        step = f"{self._progress.step:,}"
        text = f"saved at step {step}" if saved else f"NOT saved: {self._saver.failure}"
        if not command.offload:
            return text
        if freed:
            return f"{text}; gave back {size_text(freed)} of GPU memory"
        return f"{text}; there was no GPU memory to give back"

    def _edit(self, command: Set, *, validating: bool) -> str:
        """Edit a setting; return why that was refused, or an empty string.

        The edit is on the disk before it is in force. It takes effect after the validation of its
        step, both now and when a resume replays it.
        """
        step = self._progress.step
        due = [edit for edit in self.replay if edit.apply_at_step <= step]
        try:
            current = in_force(self._settings.experiment, due)
            changed = edited(current, command.key, command.value)
            # The edits still to be replayed must be valid with it, or the run would fail there.
            in_force(changed, self.replay[len(due) :])
        except BadInput as error:
            return str(error)
        done = self._progress.done(self._watch.elapsed_s())
        check_goes_on(command, limit_reached(current, done), limit_reached(changed, done))
        old, new = current.get(command.key), changed.get(command.key)
        edit = Edit(command.id, step, command.key, old, new, command.origin)
        try:
            record_edit(self._edits_file, edit)
        except CannotWrite as error:
            return f"the edit was not made: {error}"
        # After the edits due at this step and before later ones, as a resume reads them.
        self.replay.insert(len(due), edit)
        if not validating:
            self.replay_edits()
        return ""

    def _enforce(self, edit: Edit) -> None:
        settings, step = self._settings, self._progress.step
        # First, because the schedule counts updates, and the last step may have been skipped.
        self._recorder.count_skipped()
        before = settings.lr()
        settings.change(edited(settings.experiment, edit.key, edit.new, is_new=False))
        self._events.emit(Edited(step, edit.key, edit.old, edit.new, edit.origin, settings.horizon))
        horizon_changed = edit.key in ("training.epochs", "training.max_steps")
        if horizon_changed and needs_horizon(settings.experiment.schedule):
            after = settings.lr()
            if not math.isclose(before, after):
                self._events.note(
                    f"the schedule now ends at step {settings.horizon:,}: the next learning rate "
                    f"is {after:.4g} instead of {before:.4g}"
                )
