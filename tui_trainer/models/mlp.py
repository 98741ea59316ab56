"""`Mlp` and `Linear`: fully connected layers on the flattened input.

Layer: models. A hidden layer is linear, norm, activation, dropout, in this order; a linear layer
before a batch norm has no bias, since the norm would cancel it.

Shapes: B batch, ... any input shape, D features, K outputs.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from tui_trainer.config.sections.models import LinearSection, MlpSection
from tui_trainer.models.compatibility import check_fixed
from tui_trainer.models.direct_calls import call, plain_layers
from tui_trainer.models.layers import ACTIVATIONS, initialise, vector_norm
from tui_trainer.problems.signature import Signature


class Mlp(nn.Module):
    """A multilayer perceptron; maps inputs of any shape to `outputs` numbers per sample."""

    def __init__(self, section: MlpSection, signature: Signature) -> None:
        check_fixed(section.type, signature)
        super().__init__()
        hidden: list[nn.Module] = []
        width = math.prod(signature.input_shape)
        for units in section.layers:
            hidden.append(_hidden_layer(section, width, units))
            width = units
        self.hidden = nn.Sequential(*hidden)
        self.head = nn.Linear(width, signature.outputs)
        initialise(self, section.init, section.activation)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, ...) to (B, K)."""
        features_BD = call(self.hidden, inputs.flatten(1))
        return call(self.head, features_BD)

    def plain_layers(self) -> list[nn.Module] | None:
        """Return the layers that `forward` applies to the flattened input, see `plain_layers`."""
        if type(self).forward is not Mlp.forward:
            return None
        return plain_layers(self, (self.hidden, self.head))


def _hidden_layer(section: MlpSection, width: int, units: int) -> nn.Sequential:
    layer = nn.Sequential()
    layer.add_module("linear", nn.Linear(width, units, bias=section.norm != "batch"))
    if section.norm == "batch":
        layer.add_module("norm", nn.BatchNorm1d(units))
    elif section.norm != "none":
        layer.add_module("norm", vector_norm(section.norm, units))
    layer.add_module("activation", ACTIVATIONS[section.activation]())
    if section.dropout > 0:
        layer.add_module("dropout", nn.Dropout(section.dropout))
    return layer


class Linear(nn.Module):
    """One affine map of the flattened input: logistic or linear regression.

    It returns logits, or one number per sample, and never probabilities; the loss normalises.
    """

    def __init__(self, section: LinearSection, signature: Signature) -> None:
        check_fixed(section.type, signature)
        super().__init__()
        self.dropout = nn.Dropout(section.dropout) if section.dropout > 0 else None
        self.head = nn.Linear(
            math.prod(signature.input_shape), signature.outputs, bias=section.bias
        )
        if section.init == "zeros":
            for parameter in self.head.parameters():
                nn.init.zeros_(parameter)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (B, ...) to (B, K)."""
        features_BD = inputs.flatten(1)
        if self.dropout is not None:
            features_BD = self.dropout(features_BD)
        logits_BK: Tensor = self.head(features_BD)
        return logits_BK

    def plain_layers(self) -> list[nn.Module] | None:
        """Return the layers that `forward` applies to the flattened input, see `plain_layers`."""
        if type(self).forward is not Linear.forward:
            return None
        layers = (self.head,) if self.dropout is None else (self.dropout, self.head)
        return plain_layers(self, layers)
