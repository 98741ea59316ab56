"""Classification: one class for each sample.

Layer: problems. Outputs are logits (B, K), and targets are classes (B,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import IGNORED, Batch, describe
from tui_trainer.problems.binary import BinaryTotals, predicted_classes
from tui_trainer.problems.class_metrics import ClassMetrics
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Number, Prediction, Result, SampleMismatch, Sums, Totals
from tui_trainer.problems.targets import check_is_whole, check_range, name_of

MOST_CLASSES = 100
"""With more classes no confusion matrix is counted, since ten thousand cells are unreadable."""


class Classification:
    """One class for each sample; implements `ProblemKind`."""

    name: ProblemName = "classification"
    why_no_predictions = ""

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        check_is_whole(targets)
        if targets.numel() != len(targets):
            raise SampleMismatch(
                f"the target is {describe(targets[0])}; it should be one class, as an int"
            )
        check_range(targets, len(info.classes), name_of(targets), "classes")
        return targets.reshape(-1)

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        return len(info.classes)

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        if info.positive is not None:
            return BinaryTotals(info, info.positive, device, extras, with_result=with_result)
        return ClassTotals(info.signature.outputs, device, extras, with_result=with_result)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        predictions = [_decoded(shares, info.classes) for shares in outputs.softmax(dim=1)]
        if info.positive is None:
            return predictions
        chosen = predicted_classes(outputs, info.positive, info.threshold).tolist()
        return [
            replace(prediction, value=info.classes[index])
            for prediction, index in zip(predictions, chosen, strict=True)
        ]

    def combine(self, outputs: Tensor) -> Tensor:
        # Averaging the logarithms gives more weight to a confident passage than averaging the
        # probabilities would.
        return outputs.log_softmax(dim=1).mean(dim=0, keepdim=True)


class ClassTotals:
    """The totals of a classification; implements `Totals`."""

    def __init__(
        self, classes: int, device: torch.device, extras: Sequence[str], *, with_result: bool
    ) -> None:
        self._classes = classes
        self._sums = Sums()
        self._extras = ClassMetrics(extras, classes, device) if extras else None
        self._cells: Tensor | None = None
        if with_result and classes <= MOST_CLASSES:
            self._cells = torch.zeros(classes * classes, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        self._sums.add(class_sums(outputs, targets, loss))
        if self._extras is not None:
            self._extras.update(outputs, targets)
        if self._cells is not None:
            cells = targets * self._classes + outputs.argmax(dim=1)
            self._cells = self._cells + torch.bincount(cells, minlength=len(self._cells))

    def compute(self) -> dict[str, float]:
        sums = self._sums.read_scalars()
        metrics = {name: sums[name] / sums["count"] for name in ("loss", "accuracy")}
        return metrics if self._extras is None else metrics | self._extras.compute()

    def result(self) -> Result | None:
        if self._cells is None:
            return None
        table = self._cells.view(self._classes, self._classes).tolist()
        return Result(confusion=tuple(map(tuple, table)))


def class_sums(outputs: Tensor, targets: Tensor, loss: Tensor) -> dict[str, Number]:
    """Return the sums of a batch from which loss and accuracy are computed.

    Args:
        outputs: logits (..., K).
        targets: classes (...); those that are IGNORED do not count.
        loss: the mean loss of the others.
    """
    known = (targets != IGNORED).sum()
    # No class is IGNORED, which is negative.
    correct = (outputs.argmax(dim=-1) == targets).sum()
    # In a batch of nothing but padding the count is 0, and the mean loss is undefined.
    if outputs.is_cpu:
        # The same arithmetic in Python's numbers, which are float64 as well and take less time.
        count = known.item()
        mean = loss.item() if count else 0.0
        return {"count": count, "loss": mean * count, "accuracy": correct.item()}
    total = torch.where(known > 0, loss.double() * known, 0.0)
    return {"count": known, "loss": total, "accuracy": correct}


def _decoded(shares: Tensor, classes: Sequence[str]) -> Prediction:
    order = shares.argsort(descending=True, stable=True).tolist()
    return Prediction(classes[order[0]], {classes[index]: float(shares[index]) for index in order})
