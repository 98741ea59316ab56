"""`train`: a run from its start to its end, as a function.

Layer: training. Read `_loop` first: everything between two steps happens at the border, always in
the same order, which is what makes a resumed run equal to an uncut one.
"""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from typing import NamedTuple

from tui_trainer.config.experiment import Experiment
from tui_trainer.data.faults import BatchLost
from tui_trainer.runs.atomic import Files
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.journal import Journal
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted
from tui_trainer.training.checkpoints import Checkpoint
from tui_trainer.training.command_handler import (
    await_stop,
    obey,
    obey_while_validating,
    replay,
)
from tui_trainer.training.context import Clock, Context, Emit, Start
from tui_trainer.training.failures import failed
from tui_trainer.training.progress import Progress
from tui_trainer.training.recorder import Diverged, report, report_due
from tui_trainer.training.run_end import Outcome, broken_off, diverged, finish, stopped, wait_out
from tui_trainer.training.saver import change_state, save, save_due, settle
from tui_trainer.training.settings import process_settings
from tui_trainer.training.start import begin, set_aside_later
from tui_trainer.training.step import take_step
from tui_trainer.training.task import Task
from tui_trainer.training.validation import better, validate, validation_due
from tui_trainer.training.vanished import is_gone, wait_for_directory
from tui_trainer.training.writer import Writer


def train(
    task: Task,
    start: Start,
    control: Control,
    emit: Emit,
    run: RunDirectory,
    clock: Clock = time.monotonic,
    files: Files | None = None,
) -> Outcome:
    """Train until a limit, early stopping or a command ends it; returns how it ended.

    Runs in the calling thread, and writes into the run directory: metrics, edits, checkpoints.
    `emit` is called in this thread and must return at once.

    Raises:
        CheckpointUnusable: the checkpoint to start from is of another model.
        CannotWrite: no save succeeded for `checkpoint.give_up_s`.
        Exception: what a step raised, after the last finished one was saved.
    """
    files = files or Files()
    task.loading.pool.interrupted = lambda: control.stop_asked
    with process_settings(task.experiment.training), closing(task.loading):
        while True:
            set_aside_later(run, start, files)
            journal = Journal(run.metrics, files)
            with Writer(run.checkpoints, journal, files) as writer:
                t = begin(task, start, control, emit, run, writer, clock)
                # What the checkpoint says, unless somebody took lines away.
                t.progress.metrics_bytes = journal.length
                try:
                    return _unless_lost(t)
                except Diverged as fault:
                    outcome = diverged(t, fault)
                    if outcome is not None:
                        return outcome
                    again = wait_out(t)
                except Exception as error:
                    return failed(t, error)
            if isinstance(again, Outcome):
                return again
            start = again


def _unless_lost(t: Context) -> Outcome:
    """The loop; a batch that cannot be made ends it, with all that was trained."""
    try:
        return _loop(t)
    except (BatchLost, BadInput) as fault:
        await_stop(t, fault)
        return stopped(t, t.stop) if t.stop else broken_off(t, fault)


def _loop(t: Context) -> Outcome:
    """Steps, and what happens at the border between two of them."""
    interrupted = partial(obey_while_validating, t)
    change_state(t, "running")
    while True:
        if report_due(t):
            report(t)
        if t.looked_at_s != t.reported_at_s:
            # Validations and saves report as well: often ones leave nothing that is due.
            t.looked_at_s = t.reported_at_s
            if is_gone(t):
                wait_for_directory(t)
        if t.writer.busy:
            settle(t, t.writer.results())
        if validation_due(t):
            validate(t, interrupted)
        if t.replay:
            replay(t)
        if t.control.pending or t.stop:
            obey(t)
            if t.stop is not None:
                return stopped(t, t.stop)
        if limit := limit_reached(t.experiment, t.progress, t.watch.elapsed_s()):
            return finish(t, limit.reason)
        if save_due(t):
            save(t)
        take_step(t)


class Limit(NamedTuple):
    """Why a training is over, and the setting that says so."""

    reason: str
    setting: str


def limit_at(checkpoint: Checkpoint, experiment: Experiment) -> Limit | None:
    """The limit by which a run would end at once if it went on from a checkpoint."""
    progress = checkpoint.data.progress
    return limit_reached(experiment, progress, progress.elapsed_s)


def limit_reached(experiment: Experiment, progress: Progress, elapsed_s: float) -> Limit | None:
    """The limit by which a training at this point is over, or None."""
    training, stopping = experiment.training, experiment.early_stopping
    best = progress.best
    if stopping.patience is not None and progress.stale >= stopping.patience:
        reason = f"no improvement in {counted(progress.stale, 'validation')}"
        return Limit(reason, "early_stopping.patience")
    if (
        stopping.threshold is not None
        and best is not None
        and (
            best.value == stopping.threshold or better(best.metric, best.value, stopping.threshold)
        )
    ):
        return Limit(f"{best.metric} reached {stopping.threshold:g}", "early_stopping.threshold")
    if training.epochs is not None and progress.epoch >= training.epochs:
        return Limit(_done(training.epochs, "epoch"), "training.epochs")
    if training.max_steps is not None and progress.step >= training.max_steps:
        return Limit(_done(training.max_steps, "step"), "training.max_steps")
    if training.max_seconds is not None and elapsed_s >= training.max_seconds:
        return Limit(f"{training.max_seconds:g} s are over", "training.max_seconds")
    return None


def _done(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'} done"
