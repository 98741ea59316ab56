"""`BinaryTotals`: a classification with two classes of which one is the positive one.

Layer: problems. Outputs are logits (B, 2), and targets are classes (B,).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Result, Sums, f1_of, logit

if TYPE_CHECKING:
    from torchmetrics import Metric


def predicted_classes(outputs: Tensor, positive: int, threshold: float) -> Tensor:
    """Return the class (B,) of each row of logits (B, 2): `positive` above the threshold."""
    other = 1 - positive
    is_positive = outputs[:, positive] - outputs[:, other] > logit(threshold)
    return torch.where(is_positive, positive, other)


class BinaryTotals:
    """The totals of two classes, one of which is positive; implements `Totals`.

    Precision, recall and F1 are those of the positive class: recall and F1 are NaN if no sample has
    it, and precision is 0 if it is never predicted, as in scikit-learn. Balanced accuracy is the
    mean recall of the classes that are there. AUROC is NaN if only one class has samples, or an
    output is not finite.
    """

    def __init__(
        self,
        info: DatasetInfo,
        positive: int,
        device: torch.device,
        extras: Sequence[str],
        *,
        with_result: bool,
    ) -> None:
        self._positive = positive
        self._threshold = info.threshold
        self._extras = tuple(extras)
        self._with_result = with_result
        self._sums = Sums()
        self._finite = torch.ones((), dtype=torch.bool, device=device)
        self._area: Metric | None = None
        if "auroc" in extras:
            from torchmetrics.classification import BinaryAUROC

            self._area = BinaryAUROC(validate_args=False).to(device)

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        predicted = predicted_classes(outputs, self._positive, self._threshold)
        cells = torch.bincount(targets * 2 + predicted, minlength=4).double()
        self._sums.add({"loss": loss.double() * len(targets), "cells": cells})
        self._finite = self._finite & outputs.isfinite().all()
        if self._area is not None:
            shares = outputs.double().softmax(dim=1)[:, self._positive]
            self._area.update(shares.nan_to_num(), (targets == self._positive).long())

    def compute(self) -> dict[str, float]:
        sums = self._sums.read()
        loss, cells = sums["loss"][0], sums["cells"]
        count, positive, other = sum(cells), self._positive, 1 - self._positive
        right = cells[3 * positive]
        true = cells[2 * positive] + cells[2 * positive + 1]
        predicted = cells[positive] + cells[2 + positive]
        metrics = {"loss": loss / count, "accuracy": (cells[0] + cells[3]) / count}
        for name in self._extras:
            if name == "f1":
                metrics[name] = f1_of(true, predicted, right) if true else math.nan
            elif name == "precision":
                metrics[name] = right / predicted if predicted else 0.0
            elif name == "recall":
                metrics[name] = right / true if true else math.nan
            elif name == "balanced_accuracy":
                recalls = [right / true] if true else []
                recalls += [cells[3 * other] / (count - true)] if count > true else []
                metrics[name] = sum(recalls) / len(recalls)
            elif name == "auroc":
                metrics[name] = self._ranking() if 0 < true < count else math.nan
        return metrics

    def _ranking(self) -> float:
        assert self._area is not None, "it is made for the metric"
        return float(self._area.compute().item()) if self._finite.item() else math.nan

    def result(self) -> Result | None:
        if not self._with_result:
            return None
        cells = list(map(int, self._sums.read()["cells"]))
        return Result(confusion=((cells[0], cells[1]), (cells[2], cells[3])))
