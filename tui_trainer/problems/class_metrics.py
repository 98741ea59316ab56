"""`ClassMetrics`: the metrics of a classification that are computed on request, by torchmetrics.

Layer: problems. torchmetrics takes more than a second to import; only this module imports it, so a
run that asks for none of these metrics never loads it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchmetrics import Metric

_PER_CLASS = {"average": "none"}
TORCHMETRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "top3_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 3}),
    "top5_accuracy": ("MulticlassAccuracy", {"average": "micro", "top_k": 5}),
    "balanced_accuracy": ("MulticlassAccuracy", _PER_CLASS),
    "f1": ("MulticlassF1Score", _PER_CLASS),
    "precision": ("MulticlassPrecision", _PER_CLASS),
    "recall": ("MulticlassRecall", _PER_CLASS),
    "auroc": ("MulticlassAUROC", _PER_CLASS),
}
"""The extra metrics: a class of `torchmetrics.classification` and its arguments."""
MEANS = tuple(name for name, (_, options) in TORCHMETRICS.items() if options == _PER_CLASS)
"""The metrics that are means over the classes of a split."""


class ClassMetrics:
    """Classification metrics, exact and the same for every batch size; draws no random numbers.

    A mean over the classes is one over those that have a sample in the split, whatever is
    predicted, so that every measurement of a split takes the same mean. AUROC is NaN if only one
    class has samples, and all are NaN if an output is not finite.

    Args:
        names: names of extra metrics, as in their specs.
        classes: the number of classes.
        device: the device of the outputs and targets.
    """

    def __init__(self, names: Sequence[str], classes: int, device: torch.device) -> None:
        self._metrics = {name: _metric(name, classes).to(device) for name in names}
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    @torch.inference_mode()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch of logits (B, K) and classes (B,)."""
        self._counts = self._counts + torch.bincount(targets, minlength=len(self._counts))
        self._finite = self._finite & outputs.isfinite().all()
        # float64 still tells apart very confident outputs. torchmetrics is given probabilities,
        # because it guesses from each batch whether it got logits, and small ones fool it.
        probabilities = outputs.double().softmax(dim=1)
        for metric in self._metrics.values():
            metric.update(probabilities, targets)

    @torch.inference_mode()
    def compute(self) -> dict[str, float]:
        """Return the metrics by name, after at least one batch."""
        if not self._finite.item():
            return dict.fromkeys(self._metrics, math.nan)
        there = self._counts > 0
        return {name: self._value(name, metric, there) for name, metric in self._metrics.items()}

    def _value(self, name: str, metric: Metric, there: Tensor) -> float:
        """Return a metric, as a mean over the classes that are in the mask `there` (K,)."""
        if name not in MEANS:
            return float(metric.compute().item())
        count = int(there.sum().item())
        if name == "auroc" and count == 1:
            return math.nan
        with warnings.catch_warnings():
            # Of a class without a sample, whose score is then left out.
            warnings.filterwarnings("ignore", message="No positive samples")
            scores: Tensor = metric.compute()
        # In the order in which torchmetrics computes its own means, so that no bit differs.
        part = scores[there]
        return float((part.mean() if name == "auroc" else (part / count).sum()).item())


def _metric(name: str, classes: int) -> Metric:
    """Make a metric of torchmetrics, without its checks, which wait for the device each batch."""
    from torchmetrics import classification

    kind, options = TORCHMETRICS[name]
    made: Metric = getattr(classification, kind)(classes, validate_args=False, **options)
    return made
