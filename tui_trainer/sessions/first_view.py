"""The view of a prepared run before its first step, and its end if there is no step to take.

Layer: sessions. Without it, a resumed run would have no best value until it finds a better one.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from tui_trainer.runs.events import RunEnded
from tui_trainer.runs.outcome import last_end
from tui_trainer.runs.recording import read_history, read_recording
from tui_trainer.runs.status import read_status
from tui_trainer.runs.view import Model, RunView
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.text.errors import ExitCode

if TYPE_CHECKING:
    from tui_trainer.sessions.prepared_run import PreparedRun
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
    progress = _progress_of(prepared)
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


def end_without_training(prepared: PreparedRun) -> RunEnded:
    """Return the end of a run that is finished already, with the results of its last end."""
    status, progress = read_status(prepared.run.status), _progress_of(prepared)
    earlier = last_end(prepared.run)
    return RunEnded(
        step=prepared.step,
        state="finished",
        reason=f"nothing to do: {prepared.nothing_to_do}",
        epoch=prepared.epoch,
        run_dir=str(prepared.run.path),
        elapsed_s=progress.elapsed_s if progress else 0.0,
        exit_code=ExitCode.OK,
        best=asdict(progress.best) if progress and progress.best else None,
        test=status.scores.test if status is not None else None,
        baseline=earlier.baseline if earlier else None,
        confusion=earlier.confusion if earlier else None,
        labels=earlier.labels if earlier else None,
        areas=earlier.areas if earlier else None,
        scatter=earlier.scatter if earlier else None,
        classes=earlier.classes if earlier else (),
    )


def _progress_of(prepared: PreparedRun) -> Progress | None:
    """Return the counters of the checkpoint that the run starts from; None for a fresh start."""
    from tui_trainer.training.start_point import FromCheckpoint

    start = prepared.start
    return start.checkpoint.data.progress if isinstance(start, FromCheckpoint) else None
