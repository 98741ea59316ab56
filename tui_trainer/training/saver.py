"""Saving: when it is due, what is in a checkpoint, and what a failed save means.

Layer: training. The trainer copies its state to the host and goes on; the writer thread does the
rest. Only a pause, a stop and the end wait until the file is published.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch

from tui_trainer.runs.events import CheckpointSaved, SaveFailed, StateChanged
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.checkpoint_data import CheckpointData, Origin
from tui_trainer.training.context import Context
from tui_trainer.training.recorder import Diverged, release_line, report
from tui_trainer.training.task import Task
from tui_trainer.training.writer import SaveJob, SaveResult


def save_due(t: Context) -> bool:
    """Whether the settings want a checkpoint at this step.

    One that is due by time is left out while the writer is at the one before; those by steps and
    epochs never are.
    """
    settings, progress = t.experiment.checkpoint, t.progress
    if t.saved is not None and t.saved[0] == progress.step:
        return False
    if settings.every_steps and progress.step > 0 and progress.step % settings.every_steps == 0:
        return True
    done = progress.epoch - t.saved_epoch
    if settings.every_epochs and progress.batch == 0 and done >= settings.every_epochs:
        return True
    due_s = t.saved_at_s + (settings.every_seconds or math.inf)
    return t.watch.elapsed_s() >= due_s and not t.writer.busy


def save(t: Context) -> None:
    """Hand the state at this step to the writer, and before it the best one if it is not saved."""
    report(t)
    if t.writer.busy:
        # No more than one state at a time waits in memory for the disk.
        settle(t, t.writer.drain())
    progress = t.progress
    progress.elapsed_s = t.watch.elapsed_s()
    current = job(t)
    if t.best_job is not None and t.best_job.step != progress.step:
        t.writer.save(t.best_job)
    t.writer.save(current)
    t.best_job = None
    t.saved = (progress.step, progress.validated_step)
    t.saved_at_s, t.saved_epoch = progress.elapsed_s, progress.epoch


def save_and_wait(t: Context) -> bool:
    """Save the state at this step unless it is saved already; False when that failed."""
    settle(t, t.writer.drain())
    if t.saved != (t.progress.step, t.progress.validated_step):
        save(t)
        settle(t, t.writer.drain())
    return t.failure is None


def publish_best(t: Context) -> None:
    """Write the best state if it is only in memory; for an end where this one is not worth it."""
    if t.best_job is not None:
        t.writer.save(t.best_job)
        t.best_job = None
    settle(t, t.writer.drain())


def settle(t: Context, results: list[SaveResult]) -> None:
    """Tell what became of saves; raises CannotWrite when none succeeded for too long."""
    for result in results:
        if result.manifest is not None:
            t.failing_since_s = t.failure = None
            t.emit(
                CheckpointSaved(
                    step=result.job.step,
                    file=result.manifest.file,
                    size_bytes=result.manifest.size_bytes,
                    duration_s=result.duration_s,
                    best=result.job.is_best,
                )
            )
            continue
        t.failure = result.error
        t.saved = None
        if result.job.is_best:
            t.best_job = t.best_job or result.job
        if t.failing_since_s is None:
            t.failing_since_s = t.clock()
        t.emit(SaveFailed(result.job.step, clean(str(result.error), 400)))
    give_up_s = t.experiment.checkpoint.give_up_s
    if t.failing_since_s is not None and t.clock() - t.failing_since_s > give_up_s:
        raise CannotWrite(f"no checkpoint could be written for {give_up_s:g} s: {t.failure}")


def job(t: Context) -> SaveJob:
    """A checkpoint of the state as it is now; raises Diverged when it is not worth keeping."""
    progress = t.progress
    state = t.state.snapshot()
    # Loss and gradient of the last step are those of the weights before it.
    if name := t.state.not_finite(state.model):
        release_line(t)
        raise Diverged(progress.step, progress.shown_epoch, f"{name} is not finite", ())
    if t.best_weights is None and t.best_job is not None:
        t.best_weights = t.best_job.data.state.measured
    is_best = progress.best is None or progress.best.step == progress.step
    data = CheckpointData(
        state=state,
        carry=None if t.carry is None else tuple(p.to("cpu", copy=True) for p in t.carry),
        stream=t.task.batches.state(progress.epoch, progress.batch),
        progress=deepcopy(progress),
        best=None if is_best else t.best_weights,
        preprocessing=t.task.dataset.preprocessing,
        dataset=t.task.dataset.outline().to_dict(),
        origin=origin_of(t.task, broken=t.broken),
    )
    return SaveJob(data, t.experiment.checkpoint.keep_last, t.protected)


def best_job(t: Context) -> SaveJob:
    """The state at the best validation, held until the next save publishes it."""
    t.progress.elapsed_s = t.watch.elapsed_s()
    made = job(t)
    t.best_weights = made.data.state.measured
    return made


def origin_of(task: Task, *, broken: bool = False) -> Origin:
    """Where a task is trained now."""
    return Origin(
        device=task.device.type,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        world=task.ranks.world,
        fingerprint=task.dataset.fingerprint.value,
        broken=broken,
    )


def change_state(t: Context, state: Any, reason: str = "", *, freed_bytes: int = 0) -> None:
    """Enter a state and tell of it, and of the device's memory that was given back for it."""
    if t.state_name != state:
        t.state_name = state
        t.emit(StateChanged(t.progress.step, state, reason, freed_bytes))
