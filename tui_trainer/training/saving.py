"""Saving: when it is due, what is in a checkpoint, and what a failed save means.

Layer: training. The trainer copies its state to the host and goes on; the writer thread does the
rest. Only a pause, a stop and the end wait until the file is published.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from tui_trainer.runs.events import CheckpointSaved, SaveFailed, StateChanged
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite
from tui_trainer.training.context import Context
from tui_trainer.training.reporting import Diverged, release_line, report
from tui_trainer.training.state import measured_weights
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
    best_step = progress.best.step if progress.best else None
    current = job(t, best_step)
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
                    best=result.job.step == result.job.best_step,
                )
            )
            continue
        t.failure = result.error
        t.saved = None
        if result.job.step == result.job.best_step:
            t.best_job = t.best_job or result.job
        if t.failing_since_s is None:
            t.failing_since_s = t.clock()
        t.emit(SaveFailed(result.job.step, clean(str(result.error), 400)))
    give_up_s = t.experiment.checkpoint.give_up_s
    if t.failing_since_s is not None and t.clock() - t.failing_since_s > give_up_s:
        raise CannotWrite(f"no checkpoint could be written for {give_up_s:g} s: {t.failure}")


def job(t: Context, best_step: int | None) -> SaveJob:
    """A checkpoint of the state as it is now; raises Diverged when it is not worth keeping."""
    progress = t.progress
    state = t.state.snapshot()
    # Loss and gradient of the last step are those of the weights before it.
    if name := t.state.not_finite(state["model"]):
        release_line(t)
        raise Diverged(progress.step, progress.shown_epoch, f"{name} is not finite", ())
    if t.best_weights is None and t.best_job is not None:
        t.best_weights = measured_weights(t.best_job.content)
    content: dict[str, Any] = {
        **state,
        "carry": None if t.carry is None else [part.to("cpu", copy=True) for part in t.carry],
        "stream": t.task.batches.state(progress.epoch, progress.batch),
        "progress": progress.to_dict(),
        "best": None if best_step in (None, progress.step) else t.best_weights,
        "preprocessing": t.task.dataset.preprocessing,
        "data": t.task.dataset.outline().to_dict(),
        "origin": origin(t),
    }
    return SaveJob(
        content=content,
        step=progress.step,
        epoch=progress.shown_epoch,
        best_step=best_step,
        metrics=dict(progress.last_metrics),
        keep_last=t.experiment.checkpoint.keep_last,
        protected=t.protected,
    )


def best_job(t: Context) -> SaveJob:
    """The state at the best validation, held until the next save publishes it."""
    t.progress.elapsed_s = t.watch.elapsed_s()
    made = job(t, t.progress.step)
    t.best_weights = measured_weights(made.content)
    return made


def origin(t: Context) -> dict[str, Any]:
    """What has to be alike for a resume to be bit for bit the same."""
    return {
        "device": t.task.device.type,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
        "world": t.task.ranks.world,
        "fingerprint": t.task.dataset.fingerprint.value,
        "broken": t.broken,
    }


def change_state(t: Context, state: Any, reason: str = "", *, freed_bytes: int = 0) -> None:
    """Enter a state and tell of it, and of the device's memory that was given back for it."""
    if t.state_name != state:
        t.state_name = state
        t.emit(StateChanged(t.progress.step, state, reason, freed_bytes))
