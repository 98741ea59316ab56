"""What is known of a run before its first step: for a resumed one, all that its checkpoint says.

Layer: sessions. Without it a resumed run would have no best value until there is a better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui_trainer.runs.history_file import read_recording
from tui_trainer.runs.recording import read_history
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.session import TrackedRun

if TYPE_CHECKING:
    from tui_trainer.sessions.launch import Prepared
    from tui_trainer.training.progress import Progress


def view_of(prepared: Prepared) -> RunView:
    """The state as of the checkpoint that the run starts from, or of a fresh start."""
    view = RunView(
        name=prepared.run.path.name,
        run_dir=str(prepared.run.path),
        device=prepared.device.label,
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


def tracked_run_of(prepared: Prepared) -> TrackedRun:
    """What a front end begins with, the curves so far included; reads the files of the run."""
    tracked = TrackedRun(prepared.in_force)
    tracked.view = view_of(prepared)
    if prepared.step:
        known = read_recording(prepared.run)
        tracked.history = read_history(prepared.run, prepared.step, known)
    return tracked


def progress_of(prepared: Prepared) -> Progress | None:
    """The counters of the checkpoint that the run starts from; None of a fresh start."""
    from tui_trainer.training.start_point import FromCheckpoint

    start = prepared.start
    return start.checkpoint.data.progress if isinstance(start, FromCheckpoint) else None
