"""The problem of data from which a recipe learns without a target.

Layer: problems. There is nothing to check, to measure or to predict: a recipe says all of that.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.config.problems import ProblemName
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Prediction, Totals
from tui_trainer.text.errors import BadInput


class NoProblem:
    """Nothing is predicted; implements `ProblemKind`."""

    name: ProblemName = "none"
    why_no_predictions = "its recipe has no predict_step, so nothing can be predicted"

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
        return _NoTotals()

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        raise BadInput(self.why_no_predictions)

    def combine(self, outputs: Tensor) -> None:
        return None


class _NoTotals:
    """Counts nothing; implements `Totals`."""

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        return

    def compute(self) -> dict[str, float]:
        return {}

    def result(self) -> None:
        return None
