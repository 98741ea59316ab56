"""The ends of a training: finished and tested, stopped, or failed because it diverged.

Layer: training. The last state is saved before anything else; what follows (the final validation,
the test) is derived from it and can be repeated.
"""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import Any

from tui_trainer.config.overrides import edited
from tui_trainer.config.plugin_loader import plugin_words
from tui_trainer.problems.problem import Result
from tui_trainer.runs.commands import Command, Pause, Set, Stop
from tui_trainer.runs.edits import Edit, in_force, rewrite_edits
from tui_trainer.runs.events import NonFinite, RunEnded, RunState
from tui_trainer.runs.limits import limit_reached
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.text.errors import BadInput, CannotWrite, ExitCode, TrainerError
from tui_trainer.training.advice import against_divergence
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.command_handler import check_goes_on
from tui_trainer.training.final_test import run_test
from tui_trainer.training.recorder import Diverged
from tui_trainer.training.start_point import FromCheckpoint
from tui_trainer.training.training import Training


def finish(training: Training, reason: str) -> RunEnded:
    """Save, and then test; a stop meanwhile skips the rest of the test."""
    training.recorder.report()
    if not training.saver.save_and_wait():
        raise CannotWrite(f"the last checkpoint could not be written: {training.saver.failure}")
    # The rest is derived from the saved state, and is no training time.
    training.shared.watch.pause()
    results = run_test(training)
    training.saver.drain()
    if results.skipped:
        reason += f"; {results.skipped}"
    state: RunState = "finished"
    name, measured = training.experiment.checkpoint.monitor, results.measured
    is_best_unknown = training.validator.has_rows and training.progress.best is None
    # A recipe that does not measure it has no best step, which is no failure.
    if is_best_unknown and measured is not None and name in measured.metrics:
        state = "failed"
        reason += (
            f", but {name} was not a finite number in any validation: no step is the best, and "
            "the test is of the last one, which is saved; choose another checkpoint.monitor for "
            "the next run"
        )
    dataset = training.task.dataset
    result = (measured.result if measured else None) or Result()
    return ended(
        training,
        state,
        reason,
        # Also if a signal skipped the test: a scheduler must not start a finished run again.
        ExitCode.OK if state == "finished" else ExitCode.FAILED,
        test=None if measured is None else measured.metrics,
        baseline=results.baselines or None,
        confusion=result.confusion,
        labels=result.labels,
        areas=result.areas,
        scatter=result.scatter,
        classes=() if measured is None else dataset.classes or dataset.info.target_names,
        is_test_cut=bool(results.skipped),
    )


def stopped(training: Training, stop: Stop) -> RunEnded:
    """Save unless the stop says not to, and end.

    Raises:
        CannotWrite: the state was to be saved and could not be.
    """
    saver, step = training.saver, f"{training.progress.step:,}"
    training.events.enter("stopping")
    training.recorder.report()
    saved = stop.save and saver.save_and_wait()
    if stop.save and not saved:
        raise CannotWrite(f"stopped, but step {step} is NOT saved: {saver.failure}")
    # The checkpoint holds this line too: a resume sets it aside and writes it again, possibly with
    # the metrics of a validation.
    training.recorder.write_held_line()
    saver.drain()
    how = f"saved at step {step}" if saved else "not saved, as asked"
    reason = f"stopped by {stop.origin}, {how}"
    return ended(training, "stopped", reason, _exit_code_of(training, stop))


def broken_off(training: Training, fault: TrainerError) -> RunEnded:
    """Save the last step, and fail: a batch to train or measure on cannot be made."""
    saver = training.saver
    training.recorder.report()
    saved = saver.save_and_wait()
    training.recorder.write_held_line()
    saver.drain()
    command = resume_command(training)
    how = f"saved; {command} continues" if saved else f"NOT saved: {saver.failure}"
    reason = f"{fault}; step {training.progress.step:,} is {how}"
    details = getattr(fault, "details", "")
    return ended(training, "failed", reason, fault.exit_code, details=details)


def diverged(training: Training, fault: Diverged) -> RunEnded | None:
    """Report the divergence and publish the best state; None if the run is to pause, not fail."""
    training.events.emit(NonFinite(fault.step, fault.epoch, fault.what, fault.rows))
    training.saver.publish_best()
    good = read_manifests(training.run.checkpoints)
    last = f"the last good checkpoint is step {good[-1].step:,}" if good else "no checkpoint yet"
    reason = (
        f"{fault.what} at step {fault.step:,} (epoch {fault.epoch:,}); {last}; "
        f"{against_divergence(training.experiment)}"
    )
    pauses = training.experiment.training.on_nonfinite == "pause"
    # A stop that is waiting already would end the pause at once.
    if pauses and not training.commands.stop_asked():
        if good:
            training.shared.watch.pause()
            back = f"{reason}; resume goes back to step {good[-1].step:,}"
            training.events.enter("paused", back)
            return None
        reason += (
            "; it could not pause as training.on_nonfinite asks, because there is no good "
            "checkpoint to go back to"
        )
        if (training.experiment.checkpoint.every_steps or fault.step) > 1:
            reason += "; a smaller checkpoint.every_steps saves one earlier"
    return ended(training, "failed", reason, ExitCode.FAILED)


def wait_out(training: Training) -> FromCheckpoint | RunEnded:
    """Wait for `resume`, which goes back to the last good checkpoint, or for `stop`.

    Settings can be edited meanwhile; they are recorded at the step of that checkpoint.
    """
    run, commands = training.run, training.commands
    checkpoint, notes = choose_checkpoint(run.checkpoints, "last", run.command("resume"))
    for note in notes:
        training.events.note(note, "warning")
    checkpoint = checkpoint.with_marked_best(training.experiment.checkpoint.monitor)
    # Also those that are in force: from the checkpoint on, each is replayed at its step.
    edits: list[Edit] = [*commands.edits, *commands.replay]
    experiment = training.experiment

    def execute(command: Command) -> str:
        nonlocal experiment, edits
        if isinstance(command, Pause):
            return "the run is paused already"
        if not isinstance(command, Set):
            return "the state is not finite; resume goes back to the last good one"
        try:
            known = command.key in experiment.all_keys()
            old = experiment.get(command.key) if known else None
            changed = edited(experiment, command.key, command.value)
            done = checkpoint.data.progress.done()
            check_goes_on(command, limit_reached(experiment, done), limit_reached(changed, done))
            experiment = changed
            new, step = experiment.get(command.key), checkpoint.manifest.step
            edit = Edit(command.id, step, command.key, old, new, command.origin)
            edits = _with_edit(training, edits, edit)
        except (BadInput, CannotWrite) as error:
            return str(error)
        return ""

    command = commands.wait(execute)
    if isinstance(command, Stop):
        reason = "stopped after numbers that were not finite"
        return ended(training, "stopped", reason, _exit_code_of(training, command))
    return FromCheckpoint(checkpoint, tuple(edits), training.generation + 1)


def resume_command(training: Training) -> str:
    """Return the command that resumes this run, with the plugins that it needs."""
    return f"{training.run.command('resume')}{plugin_words()}"


def ended(training: Training, state: RunState, reason: str, code: int, **results: Any) -> RunEnded:
    """Return the event that ends a training at its current step."""
    progress = training.progress
    return RunEnded(
        step=progress.step,
        state=state,
        reason=reason,
        epoch=progress.shown_epoch,
        run_dir=str(training.run.path),
        elapsed_s=training.shared.watch.elapsed_s(),
        exit_code=int(code),
        best=asdict(progress.best) if progress.best else None,
        **results,
    )


def _with_edit(training: Training, edits: list[Edit], edit: Edit) -> list[Edit]:
    """Add an edit, write all edits to the disk, and return them.

    Later edits of the same key are dropped, since they would undo it when they are replayed.

    Raises:
        BadInput: the edits would contradict each other when they are replayed.
    """
    kept = [e for e in edits if e.key != edit.key or e.apply_at_step <= edit.apply_at_step]
    changed = sorted([*kept, edit], key=lambda e: e.apply_at_step)
    in_force(training.task.experiment, changed)
    rewrite_edits(training.run.edits, changed)
    return changed


def _exit_code_of(training: Training, stop: Stop) -> int:
    """Return the exit code of a stop; a scheduler may be waiting for the one in the settings."""
    if stop.signal is None:
        return ExitCode.OK
    settings = training.experiment.training
    preempting = {int(signal.Signals[name]) for name in settings.preempt_signals}
    if stop.signal in preempting and settings.preempt_exit_code is not None:
        return settings.preempt_exit_code
    # As a shell reports a process that a signal has ended.
    return 128 + stop.signal
