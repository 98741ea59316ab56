"""The view of a prepared run before its first step: what its checkpoint and its files say of it.

Layer: sessions. Without it, a resumed run would have no best value until it finds a better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_trainer.runs.recording import read_history, read_recording
from tui_trainer.runs.view import Model, RunView
from tui_trainer.sessions.session import TrackedRun

if TYPE_CHECKING:
    from tui_trainer.sessions.prepare import PreparedRun
    from tui_trainer.training.progress import Progress


def view_of(prepared: PreparedRun) -> RunView:
    """Return the view before the first step: the checkpoint's, or a fresh one."""
    view = RunView(
        name=prepared.run.path.name,
        run_dir=str(prepared.run.path),
        model=Model(prepared.device.label),
        generation=prepared.generation,
        step=prepared.step,
        epoch=prepared.epoch,
    )
    progress = progress_of(prepared)
    if progress is not None:
        scores = view.scores
        view.saved.step, view.elapsed_s = prepared.step, progress.elapsed_s
        scores.stale, scores.validation = progress.stale, dict(progress.last_metrics)
        if progress.best is not None:
            scores.best = dict(progress.best.metrics)
            scores.best_step = progress.best.step
    return view


def tracked_run_of(prepared: PreparedRun) -> TrackedRun:
    """Return what a front end shows first, with the curves so far; reads the run's files."""
    tracked = TrackedRun(prepared.in_force)
    tracked.view = view_of(prepared)
    if prepared.step:
        known = read_recording(prepared.run)
        tracked.history = read_history(prepared.run, prepared.step, known)
    return tracked


def progress_of(prepared: PreparedRun) -> Progress | None:
    """Return the counters of the checkpoint that the run starts from; None for a fresh start."""
    from tui_trainer.training.start_point import FromCheckpoint

    start = prepared.start
    return start.checkpoint.data.progress if isinstance(start, FromCheckpoint) else None
