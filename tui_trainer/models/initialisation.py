"""First weights of layers in a row, by the names that sections use.

Layer: models. Torch draws its own first, and these over them: `default` is what it was ever.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tui_trainer.models.activations import gain_of


def initialise(model: nn.Module, how: str, activation: str) -> None:
    """Draw the weights of linear layers and convolutions from the global generator; biases 0.

    `kaiming` is normal by the inputs of a layer (He et al., arXiv:1502.01852), `xavier` uniform by
    inputs and outputs (Glorot and Bengio, AISTATS 2010), `orthogonal` keeps lengths (Saxe et al.,
    arXiv:1312.6120), `default` leaves torch's. The last layer is followed by no activation.
    """
    if how == "default":
        return
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    for layer in layers:
        _draw(layer.weight, how, gain_of("identity" if layer is layers[-1] else activation))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _draw(weight: Tensor, how: str, gain: float) -> None:
    if how == "xavier":
        nn.init.xavier_uniform_(weight, gain)
    elif how == "orthogonal":
        nn.init.orthogonal_(weight, gain)
    else:
        nn.init.kaiming_normal_(weight, nonlinearity="linear")
        with torch.no_grad():
            weight.mul_(gain)
