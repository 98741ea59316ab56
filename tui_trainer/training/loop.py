"""The training loop: `train` takes a run from its start to its end.

Layer: training. Read `_loop` first. Everything that is not a step happens between two steps, and
always in the same order; that order is what makes a resumed run equal to an uninterrupted one.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.garbage_collection import collector_paused
from tui_trainer.data.base.split import BatchLost
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import in_force
from tui_trainer.runs.events import RunEnded
from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.limits import limit_reached
from tui_trainer.text.errors import BadInput
from tui_trainer.training.failures import failed
from tui_trainer.training.next_border import next_border
from tui_trainer.training.part import Clock, Emit
from tui_trainer.training.recorder import Diverged
from tui_trainer.training.run_end import broken_off, diverged, finish, stopped, wait_out
from tui_trainer.training.start import begin, discard_after, load_state, process_settings
from tui_trainer.training.start_point import FromCheckpoint, StartPoint
from tui_trainer.training.task import Task
from tui_trainer.training.training import Training
from tui_trainer.training.writer import Writer


def train(
    task: Task,
    start: StartPoint,
    control: Control,
    emit: Emit,
    run: RunDirectory,
    clock: Clock = time.monotonic,
    files: Files | None = None,
) -> RunEnded:
    """Train until a limit, early stopping or a command ends the run; return how it ended.

    Runs in the calling thread, and writes metrics, edits and checkpoints into the run directory.
    `emit` is called in this thread and must return immediately. The end of the run is returned,
    not emitted.

    Raises:
        CheckpointUnusable: the checkpoint to start from belongs to another model.
        CannotWrite: no save succeeded for `checkpoint.give_up_s`.
        Exception: raised by a step; the last finished step was saved first.
    """
    files = files or Files()
    with (
        process_settings(task.experiment.training),
        task.feed.workers(interrupted=lambda: control.stop_asked),
    ):
        # Twice or more only after divergences that were waited out: each goes back to the last
        # good checkpoint.
        while True:
            # Before anything is discarded: a checkpoint that is refused leaves the run as it was.
            state = load_state(task, start)
            discard_after(run, start, files, is_trained=_has_all_steps(start, task.experiment))
            journal = Journal(run.metrics, files)
            with Writer(run.checkpoints, journal, files) as writer:
                training = begin(task, start, state, control, emit, run, writer, clock)
                # Usually the length that the checkpoint records, but the file may have been cut.
                training.progress.metrics_bytes = journal.length
                try:
                    return _unless_lost(training)
                except Diverged as fault:
                    ending = diverged(training, fault)
                    if ending is not None:
                        return ending
                    again = wait_out(training)
                except Exception as error:
                    return failed(training, error)
            if isinstance(again, RunEnded):
                return again
            start = again


def _unless_lost(training: Training) -> RunEnded:
    """Run the loop; a batch that cannot be made ends the run, and the last step is saved."""
    try:
        return _loop(training)
    except (BatchLost, BadInput) as fault:
        training.commands.await_stop(fault)
        stop = training.commands.stop
        return stopped(training, stop) if stop else broken_off(training, fault)


def _loop(training: Training) -> RunEnded:
    """Take steps, and do everything that is due between two of them."""
    recorder, saver, validator = training.recorder, training.saver, training.validator
    commands, directory = training.commands, training.directory
    progress, watch = training.progress, training.shared.watch
    while True:
        # A few times per second: read losses and gradient norms from the device. This is the only
        # place that waits for it, and it comes first: nothing below may use a non-finite number.
        if recorder.is_due:
            recorder.report()
        # After each report: there is no point in training without a directory to save into.
        if directory.is_due:
            directory.check()
        # While saves are under way: report those that finished, or give up if they keep failing.
        if saver.is_busy:
            saver.handle_results()
        # At the end of an epoch, or every N steps. It updates the best value and the patience
        # under the settings so far, so it comes before this step's edits: a resume at this step
        # would validate first too.
        if validator.is_due:
            validator.validate(commands.execute_while_validating)
        # At the steps of recorded edits, including edits made during the validation just now.
        if commands.replay:
            commands.replay_edits()
        # When a command has arrived. A pause is waited out in here.
        if commands.is_pending:
            commands.execute_pending()
            if commands.stop is not None:
                return stopped(training, commands.stop)
        # After edits and commands, because they may have moved a limit.
        if limit := limit_reached(training.experiment, progress.done(watch.elapsed_s())):
            return finish(training, limit.reason)
        # Every so many steps, epochs or seconds. Last, so that the checkpoint includes everything
        # that belongs to this step.
        if saver.is_due:
            saver.save()
        # At the border before the first step that trains a frozen group of parameters. The state
        # that was saved above does not depend on it.
        if training.frozen_groups.is_due:
            training.frozen_groups.settle()
        # The border ends here; the next step begins.
        _take_steps(training)


def _take_steps(training: Training) -> None:
    """Take a step, and further ones up to the next border at which anything may be due."""
    commands, stepper = training.commands, training.stepper
    progress, watch = training.progress, training.shared.watch
    border = next_border(training)
    # A full collection takes a tenth of a second, in which a GPU may run out of work. On a CPU it
    # makes no difference that can be measured: a step leaves hardly anything to collect.
    paused = collector_paused if training.task.device.type == "cuda" else nullcontext
    with paused():
        stepper.prepare()
        stepper.take()
        # The first step may take long, as its kernels are compiled; until then the run is starting.
        training.events.enter("running")
        # With no more than a look at the clock and for commands.
        while (
            progress.step < border.step
            and progress.batch != 0
            and watch.elapsed_s() < border.elapsed_s
            and not commands.is_pending
        ):
            stepper.take()


def _has_all_steps(start: StartPoint, experiment: Experiment) -> bool:
    if not isinstance(start, FromCheckpoint):
        return False
    done = start.checkpoint.data.progress.done()
    return limit_reached(in_force(experiment, start.edits), done) is not None
