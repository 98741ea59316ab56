"""Token classification: a class for each step of a sequence or token of a text.

Layer: problems. Outputs are logits (B, T, K), and targets are classes (B, T); a target that is
IGNORED, as that of padding, is not measured.
"""

from __future__ import annotations

from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.place_totals import PlaceProblem
from tui_trainer.problems.problem import Prediction
from tui_trainer.problems.targets import check_is_whole, check_places, check_steps, without_ignored


class TokenClassification(PlaceProblem):
    """A class for each step or token; implements `ProblemKind`."""

    name: ProblemName = "token_classification"

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        check_is_whole(targets)
        targets = without_ignored(targets, info.ignore)
        check_steps(targets, inputs, "class")
        check_places(targets, info.signature.outputs)
        return targets

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        return [
            Prediction([info.classes[index] for index in row], {})
            for row in outputs.argmax(dim=-1).tolist()
        ]
