"""Regression: a number for each sample.

Layer: problems. Outputs and targets are (B, 1), standardised in memory; metrics and predictions are
scaled back to units of the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.config.problems import ProblemName
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Prediction, Sample, SampleMismatch, Sums, Totals


class Regression:
    """A number for each sample; implements `ProblemKind`."""

    name: ProblemName = "regression"
    why_no_predictions = ""

    def check(self, sample: Sample, info: DatasetInfo) -> Tensor:
        """Return a single number as (1,) float32; ints are accepted.

        PyTorch would broadcast a target without its own dimension over the batch.
        """
        target = sample["target"]
        if target.numel() != 1:
            raise SampleMismatch(
                f"the target is {describe(target)}; it should be one number to predict"
            )
        return target.float().reshape(1)

    def check_column(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        if targets.numel() != len(targets):
            raise SampleMismatch(
                f"the target is {describe(targets[0])}; it should be one number to predict"
            )
        return targets.float().reshape(-1, 1)

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_confusion: bool = False,
    ) -> Totals:
        return NumberTotals(info.target_std)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        numbers = outputs[:, 0] * info.target_std + info.target_mean
        return [Prediction(number, {}) for number in numbers.tolist()]

    def combine(self, outputs: Tensor) -> None:
        return None


class NumberTotals:
    """The totals of a regression; implements `Totals`.

    Args:
        unit: the size of one standardised unit, in units of the target.
    """

    def __init__(self, unit: float) -> None:
        self._unit = unit
        self._sums = Sums()

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        wanted = targets.double()
        error = outputs - wanted
        self._sums.add(
            {
                "count": torch.tensor(
                    float(len(targets)), dtype=torch.float64, device=error.device
                ),
                "loss": loss.double() * len(targets),
                "absolute_error": error.abs().sum(),
                "squared_error": error.square().sum(),
                "target": wanted.sum(),
                "squared_target": wanted.square().sum(),
            }
        )

    def compute(self) -> dict[str, float]:
        sums = self._sums.read()
        count = sums["count"]
        variation = sums["squared_target"] - sums["target"] * sums["target"] / count
        return {
            "loss": sums["loss"] / count,
            "mae": sums["absolute_error"] / count * self._unit,
            "rmse": math.sqrt(sums["squared_error"] / count) * self._unit,
            "r2": 1 - sums["squared_error"] / variation if variation > 0 else math.nan,
        }

    def confusion(self) -> None:
        return None
