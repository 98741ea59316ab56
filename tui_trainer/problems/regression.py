"""Regression: a number, or several, for each sample.

Layer: problems. Outputs and targets are (B, K), standardised in memory; metrics and predictions are
scaled back to units of the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Prediction, Result, SampleMismatch, Sums, Totals

MOST_POINTS = 500
MOST_NUMBERS = 2000
"""The most samples, and true numbers, of a result: it is drawn in a terminal."""


class Regression:
    """A number, or several, for each sample; implements `ProblemKind`."""

    name: ProblemName = "regression"
    why_no_predictions = ""

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        """Return the numbers as (N, K) float32; ints are accepted.

        PyTorch would broadcast targets without a dimension for the numbers over the batch.
        """
        count = info.signature.outputs
        if targets.numel() != len(targets) * count or (count > 1 and targets.dim() != 2):
            raise SampleMismatch(
                f"the target is {describe(targets[0])}; it should be {_numbers(count)} to predict"
            )
        return targets.float().reshape(-1, count)

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        return max(target.numel(), 1)

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        return NumberTotals(info, with_result=with_result)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        numbers = info.in_units(outputs).tolist()
        if names := info.target_names:
            return [Prediction(dict(zip(names, row, strict=True)), {}) for row in numbers]
        return [Prediction(row[0] if len(row) == 1 else row, {}) for row in numbers]

    def combine(self, outputs: Tensor) -> None:
        return None


def _numbers(count: int) -> str:
    return "one number" if count == 1 else f"{count} numbers"


class NumberTotals:
    """The totals of a regression; implements `Totals`.

    With several numbers per sample, each metric is the mean over them of that of each number, as in
    scikit-learn. r2 is NaN if a number is the same for all samples.
    """

    def __init__(self, info: DatasetInfo, *, with_result: bool) -> None:
        self._info = info
        self._sums = Sums()
        self._points: list[Tensor] = []
        self._wanted = min(MOST_POINTS, MOST_NUMBERS // info.signature.outputs) * with_result
        """How many more samples to keep for the result."""

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        wanted = targets.double()
        error = outputs - wanted
        count = torch.tensor(float(len(targets)), dtype=torch.float64, device=error.device)
        self._sums.add(
            {
                "count": count,
                "loss": loss.double() * len(targets),
                "absolute_error": _over_samples(error.abs()),
                "squared_error": _over_samples(error.square()),
                "target": _over_samples(wanted),
                "squared_target": _over_samples(wanted.square()),
            }
        )
        if self._wanted > 0:
            pairs = torch.cat([wanted, outputs.double()], dim=1)[: self._wanted]
            self._points.append(pairs)
            self._wanted -= len(pairs)

    def compute(self) -> dict[str, float]:
        sums = self._sums.read()
        count, units = sums["count"][0], self._info.units
        absolute, squared = sums["absolute_error"], sums["squared_error"]
        r2 = []
        for error, total, square in zip(
            squared, sums["target"], sums["squared_target"], strict=True
        ):
            variation = square - total * total / count
            r2.append(1 - error / variation if variation > 0 else math.nan)
        return {
            "loss": sums["loss"][0] / count,
            "mae": _mean([it / count * unit for it, unit in zip(absolute, units, strict=True)]),
            "rmse": _mean(
                [math.sqrt(it / count) * unit for it, unit in zip(squared, units, strict=True)]
            ),
            "r2": _mean(r2),
        }

    def result(self) -> Result | None:
        """Return the first samples of the split."""
        if not self._points:
            return None
        halves = torch.cat(self._points).chunk(2, dim=1)
        points = torch.cat([self._info.in_units(half) for half in halves], dim=1)
        return Result(scatter=tuple(map(tuple, points.tolist())))


def _over_samples(values: Tensor) -> Tensor:
    """Return the sums (K,) of values (B, K) over the samples."""
    # One number per sample is summed as a whole, in the order of older versions.
    return values.sum() if values.shape[-1] == 1 else values.sum(dim=0)


def _mean(values: Sequence[float]) -> float:
    return values[0] if len(values) == 1 else sum(values) / len(values)
