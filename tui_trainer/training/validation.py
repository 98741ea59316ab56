"""Validation: when it is due, what it decides, and commands that arrive in the middle of it.

Layer: training. A validation on demand decides nothing: it feeds neither early stopping nor the
best, and leaves no line in metrics.jsonl, so that a watched run equals the quiet one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tui_trainer.config.metrics import METRICS
from tui_trainer.config.plateau import after_validation
from tui_trainer.config.schedules import PlateauSection
from tui_trainer.runs.events import ValidationEnded, ValidationStarted
from tui_trainer.training.context import Context
from tui_trainer.training.measures import measure
from tui_trainer.training.progress import Best
from tui_trainer.training.recorder import release_line, report
from tui_trainer.training.saver import best_job


def validation_due(t: Context) -> bool:
    """Whether the schedule wants a validation at this step that was not made yet."""
    progress, every = t.progress, t.experiment.training.validate_every_steps
    if progress.step in (0, progress.validated_step):
        return False
    return progress.step % every == 0 if every is not None else progress.batch == 0


def validate(t: Context, interrupted: Callable[[], bool], *, on_demand: bool = False) -> bool:
    """Measure the validation split; False when a stop came in between, and nothing was decided."""
    report(t)
    began_s = t.clock()
    metrics = measured(t, interrupted)
    if metrics is None:
        return False
    duration_s = t.clock() - began_s
    if on_demand:
        tell(t, metrics, duration_s, improved=False, on_demand=True)
        return True
    improved = judge(t, metrics)
    _follow(t, metrics[t.experiment.checkpoint.monitor])
    t.progress.validated_step = t.progress.step
    release_line(t, {f"val/{name}": value for name, value in metrics.items()})
    if improved:
        t.best_weights = None
        t.best_job = best_job(t)
    tell(t, metrics, duration_s, improved=improved)
    return True


def judge(t: Context, metrics: dict[str, float]) -> bool:
    """Update the best and the patience; True when this is the best so far. NaN never is."""
    progress, stopping = t.progress, t.experiment.early_stopping
    name = t.experiment.checkpoint.monitor
    value = metrics[name]
    progress.last_metrics = metrics
    if not math.isfinite(value):
        t.note(f"validation: {name} is {value}; it cannot become the best", "warning")
        progress.stale += 1
        return False
    if progress.reference is None or better(name, value, progress.reference, stopping.min_delta):
        progress.reference = value
        progress.stale = 0
    else:
        progress.stale += 1
    if progress.best is None or better(name, value, progress.best.value):
        progress.best = Best(name, value, progress.step, progress.shown_epoch, dict(metrics))
        return True
    return False


def _follow(t: Context, value: float) -> None:
    """Let the learning rate fall where its schedule follows the monitored metric."""
    schedule, progress, name = t.experiment.schedule, t.progress, t.experiment.checkpoint.monitor
    if not isinstance(schedule, PlateauSection):
        return
    before = t.lr()
    upwards = METRICS[name].higher_is_better
    old = progress.plateau
    progress.plateau = after_validation(schedule, old, value, higher_is_better=upwards)
    if progress.plateau.factor < old.factor:
        t.note(
            f"plateau: no better {name} in {old.stale + 1} validations; the learning rate falls "
            f"from {before:.4g} to {t.lr():.4g} after step {progress.step}"
        )


def better(name: str, value: float, other: float, by: float = 0.0) -> bool:
    """Whether `value` is better than `other` by more than `by`, in the metric's direction."""
    return value > other + by if METRICS[name].higher_is_better else value < other - by


def measured(t: Context, interrupted: Callable[[], bool]) -> dict[str, float] | None:
    """Metrics of the validation split, or None when a stop came in between."""
    task = t.task
    batches = task.dataset.val.count(task.eval_batch_size)
    t.emit(ValidationStarted(t.progress.step, batches))
    return measure(
        t.measuring,
        task.dataset.val,
        task.dataset,
        task.criterion.measure,
        task.eval_batch_size,
        interrupted,
        task.extras,
    )


def tell(
    t: Context,
    metrics: dict[str, float],
    duration_s: float,
    *,
    improved: bool,
    on_demand: bool = False,
) -> None:
    """Emit the end of a validation."""
    t.emit(
        ValidationEnded(
            step=t.progress.step,
            epoch=t.progress.shown_epoch,
            elapsed_s=t.watch.elapsed_s(),
            metrics=metrics,
            duration_s=duration_s,
            improved=improved,
            stale=t.progress.stale,
            on_demand=on_demand,
        )
    )
