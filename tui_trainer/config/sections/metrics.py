"""Specs of the metrics: their tasks, which direction is better, and how they are shown.

Layer: config. In files the keys are `val/accuracy`; in results of one split, `accuracy`. A new
metric needs a name in one of the two `Literal` types and a spec here, and a formula in
training/metrics.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from tui_trainer.text.clean import clean
from tui_trainer.text.format import measured

ProblemName = Literal["classification", "regression", "language_modelling"]


ExtraMetric = Literal[
    "top3_accuracy", "top5_accuracy", "balanced_accuracy", "f1", "precision", "recall", "auroc"
]
"""Metrics that are computed only on request."""
MetricName = Literal[
    "loss",
    "accuracy",
    "perplexity",
    "bits_per_byte",
    "mae",
    "rmse",
    "r2",
    ExtraMetric,
]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A number computed over a whole split."""

    name: MetricName
    description: str
    tasks: tuple[ProblemName, ...]
    higher_is_better: bool
    is_extra: bool = False
    """Whether it is computed only on request, by torchmetrics."""
    more_classes_than: int = 1
    """With this many classes or fewer, the metric is meaningless."""
    is_share: bool = False
    """Whether it is shown as a percentage."""


_CLASSES: tuple[ProblemName, ...] = ("classification", "language_modelling")
_TEXT: tuple[ProblemName, ...] = ("language_modelling",)


def _of_numbers(name: MetricName, description: str, *, higher_is_better: bool) -> MetricSpec:
    return MetricSpec(name, description, ("regression",), higher_is_better)


def _extra(
    name: ExtraMetric, description: str, more_classes_than: int = 1, *, is_share: bool = False
) -> MetricSpec:
    return MetricSpec(
        name,
        description,
        ("classification",),
        higher_is_better=True,
        is_extra=True,
        more_classes_than=more_classes_than,
        is_share=is_share,
    )


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec("loss", "the loss, without smoothing", (*_CLASSES, "regression"), False),
        MetricSpec(
            "accuracy", "share of correct samples, or tokens", _CLASSES, True, is_share=True
        ),
        MetricSpec("perplexity", "e to the cross entropy per token", _TEXT, False),
        MetricSpec("bits_per_byte", "bits needed per byte of the text", _TEXT, False),
        _of_numbers("mae", "mean absolute error, in units of the target", higher_is_better=False),
        _of_numbers(
            "rmse", "root mean squared error, in units of the target", higher_is_better=False
        ),
        _of_numbers("r2", "coefficient of determination", higher_is_better=True),
        _extra(
            "top3_accuracy", "share of samples whose class is among the top 3", 3, is_share=True
        ),
        _extra(
            "top5_accuracy", "share of samples whose class is among the top 5", 5, is_share=True
        ),
        _extra("balanced_accuracy", "mean over the classes of the share correct", is_share=True),
        _extra("f1", "mean over the classes of the F1 score"),
        _extra("precision", "mean over the classes of the precision"),
        _extra("recall", "mean over the classes of the recall, which is balanced_accuracy"),
        _extra("auroc", "mean over the classes of the area under the ROC curve, one versus rest"),
    )
}
EXTRA_METRICS = tuple(name for name, spec in METRICS.items() if spec.is_extra)


def metrics_of(task: ProblemName) -> tuple[str, ...]:
    """Return the names of a task's metrics that are always computed, loss first."""
    return tuple(n for n, spec in METRICS.items() if task in spec.tasks and not spec.is_extra)


def extras_of(listed: Iterable[str], monitored: str) -> tuple[str, ...]:
    """Return the extra metrics to compute, listed or monitored, without duplicates."""
    return tuple(dict.fromkeys(name for name in (*listed, monitored) if METRICS[name].is_extra))


def why_no_metric(name: str, task: ProblemName, classes: int) -> str:
    """Return why a metric cannot be used for a task with `classes` classes, or an empty string."""
    spec = METRICS[name]
    usable = [
        other
        for other, found in METRICS.items()
        if task in found.tasks and (task != "classification" or classes > found.more_classes_than)
    ]
    if task not in spec.tasks:
        return f"{name} is not a metric of {task}; there are: {', '.join(usable)}"
    if name not in usable:
        return f"{name} is always 1 with {classes} classes; there are: {', '.join(usable)}"
    return ""


def better(name: str, value: float, other: float, by: float = 0.0) -> bool:
    """Whether `value` is better than `other` by more than `by`, in the metric's direction."""
    return value > other + by if METRICS[name].higher_is_better else value < other - by


def metric_text(name: str, value: float | None) -> str:
    """Format a metric: a share as `98.61 %`, any other with four significant digits."""
    is_share = name in METRICS and METRICS[name].is_share
    if is_share and value is not None and math.isfinite(value):
        return f"{value * 100:.2f} %"
    return measured(value)


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Format metrics as `loss 0.07120, accuracy 98.40 %`.

    Names are cleaned, because a run's file may contain anything.
    """
    return ", ".join(
        f"{clean(name, 40)} {metric_text(name, value)}" for name, value in metrics.items()
    )
