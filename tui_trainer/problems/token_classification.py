"""Token classification: a class for each step of a sequence or token of a text.

Layer: problems. Outputs are logits (B, T, K), and targets are classes (B, T); a target that is
IGNORED, as that of padding, is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tui_trainer.config.problems import ProblemName
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.place_totals import PlaceTotals
from tui_trainer.problems.problem import Prediction, Totals
from tui_trainer.problems.targets import check_is_whole, check_places, check_steps, without_ignored


class TokenClassification:
    """A class for each step or token; implements `ProblemKind`."""

    name: ProblemName = "token_classification"
    why_no_predictions = ""

    def check(
        self, targets: Tensor, inputs: Tensor, info: DatasetInfo, subject: str = "a target"
    ) -> Tensor:
        check_is_whole(targets)
        targets = without_ignored(targets, info.ignore)
        check_steps(targets, inputs, "class")
        check_places(targets, info.signature.outputs)
        return targets

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        return PlaceTotals(info, device, extras, with_result=with_result)

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        return [
            Prediction([info.classes[index] for index in row], {})
            for row in outputs.argmax(dim=-1).tolist()
        ]

    def combine(self, outputs: Tensor) -> None:
        return None
