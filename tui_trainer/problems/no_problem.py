"""The problem of data without a target, from which a recipe learns, or a model with its own loss.

Layer: problems. There is nothing to check or to predict, and nothing to measure but the loss of
such a model: a recipe says all of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import TARGET, Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Prediction, Totals
from tui_trainer.text.errors import BadInput


class NoProblem:
    """Nothing is predicted; implements `ProblemKind`."""

    name: ProblemName = "none"
    why_no_predictions = "only the predict_step of a recipe predicts anything for the problem none"

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        return targets

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        return 1

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        return _LossAlone()

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        raise BadInput(self.why_no_predictions)

    def combine(self, outputs: Tensor) -> None:
        return None


class _LossAlone:
    """The mean of the loss over the samples, if there is one; implements `Totals`."""

    def __init__(self) -> None:
        self._total: Tensor | None = None
        self._count = 0

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        count = len(batch[TARGET])
        total = loss.double() * count
        self._total = total if self._total is None else self._total + total
        self._count += count

    def compute(self) -> dict[str, float]:
        # The numbers of a recipe are added up elsewhere.
        return {} if self._total is None else {"loss": (self._total / self._count).item()}

    def result(self) -> None:
        return None
