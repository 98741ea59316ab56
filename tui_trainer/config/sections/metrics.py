"""Specs of the metrics: which direction is better, and how they are shown.

Layer: config. In files the keys are `val/accuracy`; in results of one split, `accuracy`. A new
metric needs a spec here, a place in config/problem_specs.py among the metrics of each problem that
has it, and a formula in the totals of that problem.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.plugin_loader import may_have_it
from tui_trainer.config.problem_specs import PROBLEMS, ProblemName, add_metric, base_of
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.format import measured

Direction = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A number computed over a whole split."""

    name: str
    description: str
    higher_is_better: bool
    more_classes_than: int = 1
    """With this many classes or fewer, the metric is meaningless."""
    is_share: bool = False
    """Whether it is shown as a percentage."""
    origin: str = ""
    """The file and line of a plugin that registered it; empty: it is built in."""


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec("loss", "the loss, without smoothing", False),
        MetricSpec("accuracy", "share of correct samples, tokens or pixels", True, is_share=True),
        MetricSpec("perplexity", "e to the cross entropy per token", False),
        MetricSpec("bits_per_byte", "bits needed per byte of the text", False),
        MetricSpec("mae", "mean absolute error, in units of the target", False),
        MetricSpec("rmse", "root mean squared error, in units of the target", False),
        MetricSpec("r2", "coefficient of determination", True),
        MetricSpec(
            "top3_accuracy", "share of samples whose class is among the top 3", True, 3, True
        ),
        MetricSpec(
            "top5_accuracy", "share of samples whose class is among the top 5", True, 5, True
        ),
        MetricSpec(
            "balanced_accuracy", "mean over the classes of the share correct", True, is_share=True
        ),
        MetricSpec("f1", "F1 score: mean over the classes, or of all labels together", True),
        MetricSpec("macro_f1", "mean over the labels of the F1 score", True),
        MetricSpec("precision", "mean over the classes, or of all labels together", True),
        MetricSpec("recall", "mean over the classes, or of all labels together", True),
        MetricSpec("auroc", "mean over classes or labels of the area under the ROC curve", True),
        MetricSpec("average_precision", "mean over the labels of the average precision", True),
        MetricSpec("mean_iou", "mean over the classes of intersection over union", True),
        MetricSpec("dice", "mean over the classes of the Dice coefficient", True),
        MetricSpec(
            "exact_match", "share of samples whose labels are all right", True, is_share=True
        ),
    )
}
EXTRA_METRICS = tuple(
    name for name in METRICS if any(name in spec.more_metrics for spec in PROBLEMS.values())
)
"""The metrics that some problem computes only on request."""


def register_metric(spec: MetricSpec, problems: Iterable[str]) -> None:
    """Add a metric of a plugin to those of some problems; ValueError if its name is taken."""
    if (taken := METRICS.get(spec.name)) is not None:
        where = f"registered by {taken.origin}, too" if taken.origin else "built in"
        raise ValueError(f"metric {spec.name!r} is {where}; give this one another name")
    add_metric(spec.name, problems)
    METRICS[spec.name] = spec


def extras_of(problem: ProblemName, listed: Iterable[str], monitored: str) -> tuple[str, ...]:
    """Return the metrics to compute on request, listed or monitored, without duplicates."""
    more = PROBLEMS[problem].more_metrics
    return tuple(dict.fromkeys(name for name in (*listed, monitored) if name in more))


def directions_of(problem: ProblemName, extras: Iterable[str]) -> dict[str, Direction]:
    """Return the direction in which each metric is better that a run computes."""
    names = (*PROBLEMS[problem].metrics, *extras)
    return {name: "higher" if METRICS[name].higher_is_better else "lower" for name in names}


def why_no_metric(name: str, problem: ProblemName, classes: int) -> str:
    """Return why a problem with this many classes cannot use a metric, or an empty string."""
    spec = PROBLEMS[problem]
    own = (*spec.metrics, *spec.more_metrics)
    usable = [
        other
        for other in METRICS
        if other in own
        and (base_of(problem) != "classification" or classes > METRICS[other].more_classes_than)
    ]
    if name not in own:
        return f"{name} is not a metric of {problem}; available: {', '.join(usable)}"
    if name not in usable:
        return f"{name} is always 1 with {classes} classes; available: {', '.join(usable)}"
    return ""


def better(name: str, value: float, other: float, by: float = 0.0) -> bool:
    """Whether `value` is better than `other` by more than `by`, in the metric's direction."""
    return value > other + by if METRICS[name].higher_is_better else value < other - by


def metric_label(name: str) -> str:
    """Return the name of a metric as people read it: `bits per byte`.

    It is cleaned, because a run's file may contain anything.
    """
    return clean(name, 40).replace("_", " ")


def metric_text(name: str, value: float | None) -> str:
    """Format a metric: a share as `98.61 %`, any other with four significant digits."""
    is_share = name in METRICS and METRICS[name].is_share
    if is_share and value is not None and math.isfinite(value):
        return f"{value * 100:.2f} %"
    return measured(value)


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Format metrics as `loss 0.07120, accuracy 98.40 %`."""
    return ", ".join(
        f"{metric_label(name)} {metric_text(name, value)}" for name, value in metrics.items()
    )


def unknown_metric(name: str) -> str:
    """Return the message for a name that is no metric, or an empty string."""
    if name in METRICS:
        return ""
    hint = suggest(name, METRICS)
    known = ", ".join(METRICS)
    return f"no metric {clean(repr(name), 60)}{hint}; available: {known}{may_have_it()}"
