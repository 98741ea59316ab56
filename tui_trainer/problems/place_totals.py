"""`PlaceTotals` and `PlaceProblem`: classes at the places of samples, such as steps or pixels.

Layer: problems. Places whose target is IGNORED count nowhere. Every metric follows from counts of a
whole split, so it is the same for every batch size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.problems.classification import MOST_CLASSES
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Result, Rows, Sums, Totals


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The places of each class: those that have it, those for which it is predicted, and both."""

    true: Sequence[float]
    predicted: Sequence[float]
    right: Sequence[float]

    @property
    def rows(self) -> Rows:
        """The three counts of each class."""
        return tuple(
            (int(true), int(predicted), int(right)) for true, predicted, right in self._each()
        )

    def accuracy(self) -> float:
        """Return the share of places whose class is predicted."""
        total = sum(self.true)
        return sum(self.right) / total if total else math.nan

    def f1(self) -> float:
        """Return the mean F1 score of the classes that some place has."""
        return _mean([2 * both / (true + guess) for true, guess, both in self._each() if true])

    def precision(self) -> float:
        """Return the mean precision of the classes that some place has; 0 without a prediction."""
        return _mean([both / guess if guess else 0.0 for true, guess, both in self._each() if true])

    def recall(self) -> float:
        """Return the mean recall of the classes that some place has."""
        return _mean([both / true for true, _, both in self._each() if true])

    def mean_iou(self) -> float:
        """Return the mean intersection over union of the classes that are there or predicted."""
        return _mean(
            [both / (true + guess - both) for true, guess, both in self._each() if true + guess]
        )

    def dice(self) -> float:
        """Return the mean Dice coefficient of the classes that are there or predicted."""
        return _mean(
            [2 * both / (true + guess) for true, guess, both in self._each() if true + guess]
        )

    def _each(self) -> list[tuple[float, float, float]]:
        return list(zip(self.true, self.predicted, self.right, strict=True))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


SCORES: dict[str, Callable[[ClassCounts], float]] = {
    "accuracy": ClassCounts.accuracy,
    "mean_iou": ClassCounts.mean_iou,
    "f1": ClassCounts.f1,
    "precision": ClassCounts.precision,
    "recall": ClassCounts.recall,
    "dice": ClassCounts.dice,
}
"""The metrics of places but the loss, by name."""


def count_classes(targets: Tensor, classes: int) -> Tensor:
    """Return the number of places of each class, (classes,) int64; those IGNORED do not count."""
    # One more bucket for what is ignored: to take it out, the device would have to be waited for.
    kept = targets.where(targets != IGNORED, classes)
    return torch.bincount(kept.flatten(), minlength=classes + 1)[:classes]


class PlaceTotals:
    """The totals of classes at steps or pixels; implements `Totals`.

    `loss` is the mean over the places. If an output is not finite, all metrics are NaN but `loss`
    and `accuracy`.
    """

    def __init__(
        self, info: DatasetInfo, device: torch.device, extras: Sequence[str], *, with_result: bool
    ) -> None:
        self._classes = info.signature.outputs
        self._has_pixels = info.signature.places == "pixel"
        names = (*PROBLEMS[info.base].metrics, *extras)
        self._names = tuple(name for name in names if name != "loss")
        self._sums = Sums()
        self._finite = torch.ones((), dtype=torch.bool, device=device)
        self._cells: Tensor | None = None
        self._with_result = with_result and self._classes <= MOST_CLASSES
        if self._with_result:
            size = self._classes * self._classes + 1
            self._cells = torch.zeros(size, dtype=torch.int64, device=device)

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        """Add a batch of outputs (B, T, K) or (B, K, H, W) and of targets without the K."""
        targets, classes = batch["target"], self._classes
        dimension = 1 if self._has_pixels else -1
        known = targets != IGNORED
        guesses = outputs.argmax(dim=dimension).where(known, IGNORED)
        self._finite = self._finite & (outputs.isfinite().all(dim=dimension) | ~known).all()
        count = known.sum().double()
        self._sums.add(
            {
                "count": count,
                # The mean loss of a batch in which everything is ignored is undefined.
                "loss": torch.where(count > 0, loss.double() * count, 0.0),
                "true": count_classes(targets, classes).double(),
                "predicted": count_classes(guesses, classes).double(),
                "right": count_classes(
                    targets.where(guesses == targets, IGNORED), classes
                ).double(),
            }
        )
        if self._cells is not None:
            cells = (targets * classes + guesses).where(known, classes * classes)
            self._cells = self._cells + torch.bincount(cells.flatten(), minlength=len(self._cells))

    def compute(self) -> dict[str, float]:
        sums = self._sums.read()
        count, counts = sums["count"][0], _counts_of(sums)
        metrics = {"loss": sums["loss"][0] / count if count else math.nan}
        is_finite = bool(self._finite.item())
        for name in self._names:
            is_defined = is_finite or name == "accuracy"
            metrics[name] = SCORES[name](counts) if is_defined else math.nan
        return metrics

    def result(self) -> Result | None:
        if self._cells is None:
            return None
        table = self._cells[:-1].view(self._classes, self._classes).tolist()
        areas = _counts_of(self._sums.read()).rows if self._has_pixels else None
        return Result(confusion=tuple(map(tuple, table)), areas=areas)


class PlaceProblem:
    """The part that problems with a class at each place share; see `ProblemKind`."""

    why_no_predictions = ""

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
        return PlaceTotals(info, device, extras, with_result=with_result)

    def combine(self, outputs: Tensor) -> None:
        return None


def _counts_of(sums: dict[str, list[float]]) -> ClassCounts:
    return ClassCounts(sums["true"], sums["predicted"], sums["right"])
