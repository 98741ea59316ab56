"""Language modelling: the next token at each position of a text.

Layer: problems. Outputs are logits (B, T, K), and targets are tokens (B, T).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.problems.classification import class_sums
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Prediction, Sums, Totals
from tui_trainer.problems.targets import check_is_whole, check_range, check_steps
from tui_trainer.text.errors import BadInput


class LanguageModelling:
    """The next token at each position; implements `ProblemKind`."""

    name: ProblemName = "language_modelling"
    why_no_predictions = "a language model predicts what comes next: use --generate N"

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        check_is_whole(targets)
        check_steps(targets, inputs, "token")
        # Of the tokens of a sample any may be wrong, so it is always one of several.
        check_range(targets[targets != IGNORED], info.signature.outputs, "a target", "tokens")
        return targets

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        return info.signature.vocabulary

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        return TokenTotals()

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        raise BadInput(self.why_no_predictions)

    def combine(self, outputs: Tensor) -> None:
        return None


class TokenTotals:
    """The totals of a language model; implements `Totals`."""

    def __init__(self) -> None:
        self._sums = Sums()

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        targets = batch["target"]
        # Bits per byte and perplexity come from the cross entropy, whatever loss is configured.
        nats = F.cross_entropy(
            outputs.flatten(0, -2), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        self._sums.add(class_sums(outputs, targets, loss) | {"nats": nats.double()})

    def compute(self) -> dict[str, float]:
        sums = self._sums.read_scalars()
        nats = sums["nats"] / sums["count"]
        return {
            "loss": sums["loss"] / sums["count"],
            "accuracy": sums["accuracy"] / sums["count"],
            "perplexity": _exp(nats),
            # As if each token was a byte; whoever knows the texts corrects it.
            "bits_per_byte": nats / math.log(2),
        }

    def result(self) -> None:
        return None


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf
