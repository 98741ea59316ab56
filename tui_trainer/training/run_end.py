"""How a training ends: finished and tested, stopped, or failed on numbers that are not finite.

Layer: training. The last state is saved before anything else is done with it; what follows (the
closing validation, the test) is derived from it and can be repeated.
"""

from __future__ import annotations

import math
import signal
from dataclasses import asdict, dataclass, replace
from typing import Any

from tui_trainer.config.live import edited
from tui_trainer.runs.atomic import write_atomically
from tui_trainer.runs.commands import Pause, Set, Stop, name_of
from tui_trainer.runs.commands import Resume as GoOn
from tui_trainer.runs.edits import Edit, in_force, rewrite_edits
from tui_trainer.runs.events import CommandApplied, NonFinite, RunState
from tui_trainer.runs.manifests import manifest_path, read_manifests
from tui_trainer.text.errors import BadInput, CannotWrite, ExitCode, TrainerError
from tui_trainer.training.baselines import baselines, left_out
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.context import Context, Resume
from tui_trainer.training.measures import Confusion, measure_and_count
from tui_trainer.training.progress import Best
from tui_trainer.training.recorder import Diverged, release_line, report
from tui_trainer.training.saver import change_state, publish_best, save_and_wait, settle
from tui_trainer.training.validation import better, measured, tell

_LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended."""

    state: RunState
    reason: str
    exit_code: int
    step: int
    epoch: int
    elapsed_s: float
    best: dict[str, Any] | None = None
    test: dict[str, float] | None = None
    baseline: dict[str, dict[str, float]] | None = None
    confusion: Confusion | None = None
    classes: tuple[str, ...] = ()
    details: str = ""
    """A traceback, for --debug."""


def finish(t: Context, reason: str) -> Outcome:
    """Save, validate once more if the last step was not, and test the best weights."""
    report(t)
    if not save_and_wait(t):
        raise CannotWrite(f"the last checkpoint could not be written: {t.failure}")
    t.watch.pause()
    if t.progress.validated_step != t.progress.step and not _closing_validation(t):
        return outcome(t, "stopped", "stopped before the test", _stop_code(t))
    release_line(t)
    if t.progress.best is not None and t.progress.best.step != t.progress.step:
        assert t.best_weights is not None, "the best weights are kept since they were found"
        t.state.load_measured(t.best_weights)
    task = t.task
    found = measure_and_count(
        t.measuring,
        task.dataset.test,
        task.dataset,
        task.criterion.measure,
        task.eval_batch_size,
        lambda: t.control.stop_asked,
        task.extras,
    )
    if found is None:
        return outcome(t, "stopped", "stopped before the test", _stop_code(t))
    t.writer.drain()
    test, confusion = found
    for note in left_out(task.dataset, task.dataset.test):
        t.note(note)
    return replace(
        outcome(t, "finished", reason, ExitCode.OK),
        test=test,
        baseline=baselines(task.dataset, task.dataset.test),
        confusion=confusion,
        classes=task.dataset.classes,
    )


def stopped(t: Context, stop: Stop) -> Outcome:
    """Save unless that is not wanted, and end."""
    change_state(t, "stopping")
    report(t)
    saved = stop.save and save_and_wait(t)
    if stop.save and not saved:
        raise CannotWrite(f"stopped, but step {t.progress.step:,} is NOT saved: {t.failure}")
    # A resume sets this line aside and writes it again, perhaps joined by a validation.
    release_line(t)
    settle(t, t.writer.drain())
    how = f"saved at step {t.progress.step:,}" if saved else "not saved, as asked"
    return outcome(t, "stopped", f"stopped by {stop.origin}, {how}", _code(t, stop))


def broken_off(t: Context, fault: TrainerError) -> Outcome:
    """Save the last step, and fail: the batch after it cannot be made, or one to measure on."""
    report(t)
    saved = save_and_wait(t)
    release_line(t)
    settle(t, t.writer.drain())
    name = t.run.path.name
    how = f"saved; tui-trainer resume {name} goes on" if saved else f"NOT saved: {t.failure}"
    reason = f"{fault}; step {t.progress.step:,} is {how}"
    ended = outcome(t, "failed", reason, fault.exit_code)
    return replace(ended, details=getattr(fault, "details", ""))


def diverged(t: Context, fault: Diverged) -> Outcome | None:
    """Tell of the fault and keep what is good; None when it is to be waited out."""
    t.emit(NonFinite(fault.step, fault.epoch, fault.what, fault.rows))
    publish_best(t)
    good = read_manifests(t.run.checkpoints)
    last = f"the last good checkpoint is of step {good[-1].step:,}" if good else "no checkpoint yet"
    reason = (
        f"{fault.what} at step {fault.step:,} (epoch {fault.epoch:,}); {last}; "
        "lower optimizer.lr or set training.grad_clip_norm"
    )
    if t.experiment.training.on_nonfinite == "pause" and not t.control.stop_asked:
        if good:
            t.watch.pause()
            change_state(t, "paused", f"{reason}; resume goes back to step {good[-1].step:,}")
            return None
        reason += (
            "; it could not pause, as training.on_nonfinite asks: there is no good checkpoint to "
            "go back to; with checkpoint.every_steps there is one sooner"
        )
    return outcome(t, "failed", reason, ExitCode.FAILED)


def wait_out(t: Context) -> Resume | Outcome:
    """Wait for `resume`, which goes back to the last good checkpoint, or `stop`."""
    checkpoint, notes = choose_checkpoint(t.run.checkpoints, "last", t.run.path.name)
    for note in notes:
        t.note(note, "warning")
    edits: list[Edit] = [*t.edits, *t.replay]
    experiment = t.experiment
    while True:
        command = t.control.take()
        if command is None:
            t.control.wait(_LOOK_S)
            continue
        refused = ""
        match command:
            case Stop() | GoOn():
                pass
            case Set():
                try:
                    old = (
                        experiment.get(command.key)
                        if command.key in experiment.all_keys()
                        else None
                    )
                    experiment = edited(experiment, command.key, command.value)
                    new = experiment.get(command.key)
                    step = checkpoint.manifest.step
                    edit = Edit(command.id, step, command.key, old, new, command.origin)
                    edits = _mended(t, edits, edit)
                except (BadInput, CannotWrite) as error:
                    refused = str(error)
            case Pause():
                refused = "the run is paused already"
            case _:
                refused = "the state is not finite; resume goes back to the last good one"
        step = t.progress.step
        t.emit(CommandApplied(step, command.id, name_of(command), command.origin, refused))
        if isinstance(command, Stop):
            return outcome(
                t, "stopped", "stopped after numbers that were not finite", _code(t, command)
            )
        if isinstance(command, GoOn):
            return Resume(checkpoint, tuple(edits), t.generation + 1)


def _mended(t: Context, edits: list[Edit], edit: Edit) -> list[Edit]:
    """The edits with one more, on the disk; later ones of its key go, which would undo it.

    Raises:
        BadInput: they would contradict each other when they are replayed.
    """
    kept = [e for e in edits if e.key != edit.key or e.apply_at_step <= edit.apply_at_step]
    mended = sorted([*kept, edit], key=lambda e: e.apply_at_step)
    in_force(t.task.experiment, mended)
    rewrite_edits(t.run.edits, mended)
    return mended


def _closing_validation(t: Context) -> bool:
    """Validate the last step, after its checkpoint: a resume goes on as if this had not been."""
    began_s = t.clock()
    metrics = measured(t, lambda: t.control.stop_asked)
    if metrics is None:
        return False
    duration_s = t.clock() - began_s
    progress, name = t.progress, t.experiment.checkpoint.monitor
    release_line(t, {f"val/{key}": value for key, value in metrics.items()})
    improved = math.isfinite(metrics[name]) and (
        progress.best is None or better(name, metrics[name], progress.best.value)
    )
    tell(t, metrics, duration_s, improved=improved)
    if improved:
        progress.best = Best(name, metrics[name], progress.step, progress.shown_epoch, metrics)
        _mark_as_best(t, metrics)
    return True


def _mark_as_best(t: Context, metrics: dict[str, float]) -> None:
    """Say in the newest manifest that it is the best; the checkpoint itself is not touched."""
    newest = read_manifests(t.run.checkpoints)[-1]
    changed = replace(newest, best_step=newest.step, metrics=metrics)
    try:
        write_atomically(manifest_path(t.run.checkpoints, newest.file), changed.to_json())
    except CannotWrite as error:
        t.note(f"the best checkpoint could not be marked: {error}", "warning")


def outcome(t: Context, state: RunState, reason: str, code: int) -> Outcome:
    """How a training ended that stands where it stands now."""
    progress = t.progress
    best = asdict(progress.best) if progress.best else None
    return Outcome(
        state, reason, int(code), progress.step, progress.shown_epoch, t.watch.elapsed_s(), best
    )


def _stop_code(t: Context) -> int:
    """Answer what came during the end; the exit code of the stop that interrupted it."""
    while (command := t.control.take()) is not None:
        refused = "" if isinstance(command, Stop) else "the run is ending"
        t.emit(
            CommandApplied(t.progress.step, command.id, name_of(command), command.origin, refused)
        )
        if isinstance(command, Stop):
            return _code(t, command)
    return ExitCode.OK


def _code(t: Context, stop: Stop) -> int:
    """The exit code of a stop: a scheduler is told what it was told to look for."""
    if stop.signal is None:
        return ExitCode.OK
    training = t.experiment.training
    preempting = {int(signal.Signals[name]) for name in training.preempt_signals}
    if stop.signal in preempting and training.preempt_exit_code is not None:
        return training.preempt_exit_code
    return 128 + stop.signal
