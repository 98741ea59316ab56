"""Carrying out commands, at step borders and in the middle of a validation.

Layer: training. Each command is answered once, by an event, with the step at which it took effect
or the reason why it did not.
"""

from __future__ import annotations

import math
import time

from tui_trainer.config.live import edited
from tui_trainer.config.schedules import needs_horizon
from tui_trainer.data.faults import BatchLost
from tui_trainer.runs.commands import (
    Command,
    Pause,
    Resume,
    Save,
    Set,
    Stop,
    Validate,
    name_of,
)
from tui_trainer.runs.edits import Edit, in_force, record_edit
from tui_trainer.runs.events import CommandApplied, Edited
from tui_trainer.text.errors import BadInput, CannotWrite, TrainerError
from tui_trainer.text.format import size_text
from tui_trainer.training.context import Context
from tui_trainer.training.optimizers import retune
from tui_trainer.training.recorder import Diverged
from tui_trainer.training.saver import change_state, save_and_wait
from tui_trainer.training.validation import validate

_LOOK_S = 0.5
_BRIEFLY_S = 0.05
STOP_S = 1.0
"""How much later than the death of a worker the command to stop may be."""


def obey(t: Context) -> None:
    """Carry out the commands that are waiting; a pause is waited out in here."""
    while t.stop is None and (command := t.control.take()) is not None:
        _carry_out(t, command)


def obey_while_validating(t: Context) -> bool:
    """Obey between two batches of a validation; True when it is to be broken off for a stop."""
    if not t.control.pending:
        return False
    while t.stop is None and (command := t.control.take()) is not None:
        _carry_out(t, command, validating=True)
    return t.stop is not None


def await_stop(t: Context, fault: TrainerError) -> None:
    """Look whether the workers were lost to a signal that asked for a stop as well.

    It comes by way of the main thread, and may be a little later than their death.
    """
    if isinstance(fault, BatchLost):
        until_s = time.monotonic() + STOP_S
        while not t.control.stop_asked and (left_s := until_s - time.monotonic()) > 0:
            t.control.wait(min(left_s, _BRIEFLY_S))
    if t.stop is None and t.control.stop_asked:
        obey(t)


def replay(t: Context) -> None:
    """Bring the edits of this step into force, those of an earlier life of the run included."""
    while t.replay and t.replay[0].apply_at_step <= t.progress.step:
        edit = t.replay.pop(0)
        t.edits.append(edit)
        _enforce(t, edit)


def _carry_out(t: Context, command: Command, *, validating: bool = False) -> None:
    if isinstance(command, Pause):
        _answer(t, command, "")
        _pause(t, command, validating=validating)
        return
    try:
        refused = _refusal(t, command, validating=validating)
    except (Diverged, CannotWrite, BatchLost) as error:
        _answer(t, command, str(error))
        raise
    _answer(t, command, refused)


def _refusal(t: Context, command: Command, *, validating: bool) -> str:
    """Do what a command says; the reason why it was not done, or nothing."""
    match command:
        case Stop():
            t.stop = command
        case Save():
            return "" if save_and_wait(t) else f"not saved: {t.failure}"
        case Validate() if validating:
            return "a validation is under way"
        case Validate():
            done = validate(t, lambda: t.control.stop_asked, on_demand=True)
            return "" if done else "the run was stopped before it was done"
        case Set():
            return _edit(t, command, validating=validating)
        case _:
            return "the run is not paused"
    return ""


def _answer(t: Context, command: Command, refused: str) -> None:
    t.emit(CommandApplied(t.progress.step, command.id, name_of(command), command.origin, refused))


def _edit(t: Context, command: Set, *, validating: bool) -> str:
    """Edit a setting; on the disk before it is in force. Returns why not, or nothing.

    An edit of a step comes after the validation of that step, live as in a replay.
    """
    step = t.progress.step
    due = [edit for edit in t.replay if edit.apply_at_step <= step]
    try:
        current = in_force(t.experiment, due)
        changed = edited(current, command.key, command.value)
        # What is still to be replayed must fit it, or the run would fail there.
        in_force(changed, t.replay[len(due) :])
    except BadInput as error:
        return str(error)
    old, new = current.get(command.key), changed.get(command.key)
    edit = Edit(command.id, step, command.key, old, new, command.origin)
    try:
        record_edit(t.run.edits, edit)
    except CannotWrite as error:
        return f"the edit is not made: {error}"
    t.replay.insert(len(due), edit)
    if not validating:
        replay(t)
    return ""


def _enforce(t: Context, edit: Edit) -> None:
    before = t.lr()
    t.experiment = edited(t.experiment, edit.key, edit.new)
    retune(t.state.optimizer, t.experiment.optimizer)
    t.emit(Edited(t.progress.step, edit.key, edit.old, edit.new, edit.origin, t.horizon))
    horizon_changed = edit.key in ("training.epochs", "training.max_steps")
    if horizon_changed and needs_horizon(t.experiment.schedule):
        after = t.lr()
        if not math.isclose(before, after):
            t.note(
                f"the schedule now ends at step {t.horizon:,}: the next learning rate is "
                f"{after:.4g} in the place of {before:.4g}"
            )


def _pause(t: Context, command: Pause, *, validating: bool) -> None:
    """Save, wait for `resume` or `stop`, and obey everything else meanwhile."""
    change_state(t, "pausing")
    saved = save_and_wait(t)
    t.watch.pause()
    freed = t.state.offload() if command.offload else 0
    told = f"saved at step {t.progress.step:,}" if saved else f"NOT saved: {t.failure}"
    if command.offload:
        told += (
            f"; gave back {size_text(freed)} of GPU memory"
            if freed
            else "; no memory of a GPU to give back"
        )
    change_state(t, "paused", told, freed_bytes=freed)
    while t.stop is None:
        waiting = t.control.take()
        if waiting is None:
            t.control.wait(_LOOK_S)
        elif isinstance(waiting, Resume):
            _answer(t, waiting, "")
            break
        elif isinstance(waiting, Pause):
            _answer(t, waiting, "the run is paused already")
        elif isinstance(waiting, Save | Validate) and command.offload:
            _answer(t, waiting, "the model is off the device; resume first")
        else:
            _carry_out(t, waiting, validating=validating)
    if command.offload and t.stop is None:
        # Before a stop there is nothing to compute, and the memory may be another's by now.
        t.state.restore()
    t.watch.resume()
    if t.stop is None:
        change_state(t, "running")
