"""`Linear`: one affine map of the flattened input; logistic or linear regression.

Layer: models. It returns logits, or one number a sample, and no probabilities: the loss does that.

Shapes: B batch, ... any input shape, K outputs.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from tui_trainer.config.models import LinearSection


class Linear(nn.Module):
    """Inputs of any shape to `outputs` numbers a sample."""

    def __init__(self, section: LinearSection, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.head = nn.Linear(math.prod(input_shape), outputs, bias=section.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, ...) to (B, K)."""
        logits_BK: Tensor = self.head(self.flatten(inputs))
        return logits_BK
