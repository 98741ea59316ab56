"""Specs of the metrics: for which task, and which way is better.

Layer: config. Keys in files are `val/accuracy`; in results of one split, `accuracy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Task = Literal["classification", "regression", "language_modelling"]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """A number computed over a whole split."""

    name: str
    description: str
    tasks: tuple[Task, ...]
    higher_is_better: bool


METRICS: dict[str, MetricSpec] = {
    spec.name: spec
    for spec in (
        MetricSpec("loss", "the loss, without smoothing", get_args(Task), False),
        MetricSpec(
            "accuracy",
            "share of samples whose class is right; of a text, of its bytes",
            ("classification", "language_modelling"),
            True,
        ),
        MetricSpec("perplexity", "exp of the loss", ("language_modelling",), False),
        MetricSpec("bits_per_byte", "the loss in bits", ("language_modelling",), False),
        MetricSpec("mae", "mean absolute error, in units of the target", ("regression",), False),
        MetricSpec(
            "rmse", "root mean squared error, in units of the target", ("regression",), False
        ),
        MetricSpec("r2", "coefficient of determination", ("regression",), True),
    )
}


def metrics_of(task: Task) -> tuple[str, ...]:
    """Names of the metrics of a task, loss first."""
    return tuple(name for name, spec in METRICS.items() if task in spec.tasks)
