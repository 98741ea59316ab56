"""`Linear`: one affine map of the flattened input; logistic or linear regression.

Layer: models. It returns logits, or one number a sample, and no probabilities: the loss does that.

Shapes: B batch, ... any input shape, D features, K outputs.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from tui_trainer.config.models import LinearSection
from tui_trainer.data.base.signature import Signature
from tui_trainer.models.fit import check_fixed


class Linear(nn.Module):
    """Inputs of any shape to `outputs` numbers a sample."""

    def __init__(self, section: LinearSection, signature: Signature) -> None:
        check_fixed(section.type, signature)
        super().__init__()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(section.dropout) if section.dropout > 0 else None
        self.head = nn.Linear(
            math.prod(signature.input_shape), signature.outputs, bias=section.bias
        )
        if section.init == "zeros":
            for parameter in self.head.parameters():
                nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, ...) to (B, K)."""
        features_BD = self.flatten(inputs)
        if self.dropout is not None:
            features_BD = self.dropout(features_BD)
        logits_BK: Tensor = self.head(features_BD)
        return logits_BK
