"""`ExtraMetrics`: the metrics that are computed by torchmetrics, over a whole split.

Layer: training. torchmetrics takes more than a second to import, and is imported by the first of
these only: a run that asks for none never loads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchmetrics import Metric

_TOP = {"top3_accuracy": 3, "top5_accuracy": 5}


class ExtraMetrics:
    """Metrics of classes, exact and the same for every batch size; draws no random numbers.

    A mean over the classes is NaN when a class has no sample in the split: without it the mean
    would be of something else. All are NaN when an output is not finite.

    Args:
        names: extra metrics of the specs.
        classes: how many there are.
        device: where outputs and targets will be.
    """

    def __init__(self, names: Sequence[str], classes: int, device: torch.device) -> None:
        self._metrics = {name: _metric(name, classes).to(device) for name in names}
        self._counts = torch.zeros(classes, dtype=torch.int64, device=device)
        self._finite = torch.ones((), dtype=torch.bool, device=device)

    @torch.inference_mode()
    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits (B, K) and classes (B,)."""
        self._counts = self._counts + torch.bincount(targets, minlength=len(self._counts))
        self._finite = self._finite & outputs.isfinite().all()
        # In float64 certain outputs are still apart. torchmetrics would look at each batch to
        # find out whether it is given logits, and one of small logits would pass for no logits.
        probabilities = outputs.double().softmax(dim=1)
        for metric in self._metrics.values():
            metric.update(probabilities, targets)

    @torch.inference_mode()
    def compute(self) -> dict[str, float]:
        """The metrics by name, after at least one batch."""
        if not self._finite.item():
            return dict.fromkeys(self._metrics, math.nan)
        complete = bool((self._counts > 0).all().item())
        return {
            name: float(metric.compute().item()) if complete or name in _TOP else math.nan
            for name, metric in self._metrics.items()
        }


def _metric(name: str, classes: int) -> Metric:
    """A metric of torchmetrics; its checks of every batch would wait for the device."""
    from torchmetrics import classification

    if name in _TOP:
        return classification.MulticlassAccuracy(
            classes, top_k=_TOP[name], average="micro", validate_args=False
        )
    kinds: dict[str, type[Metric]] = {
        "balanced_accuracy": classification.MulticlassAccuracy,
        "f1": classification.MulticlassF1Score,
        "precision": classification.MulticlassPrecision,
        "recall": classification.MulticlassRecall,
        "auroc": classification.MulticlassAUROC,
    }
    return kinds[name](num_classes=classes, average="macro", validate_args=False)
