"""Activations by the names that sections use.

Layer: models. Modules and not functions, so that a summary of a model shows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config.sections.models import Cnn1dSection, CnnSection

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
}

_GAINS = {
    "identity": 1.0,
    "sigmoid": 1.0,
    "tanh": nn.init.calculate_gain("tanh"),
    "selu": nn.init.calculate_gain("selu"),
    "leaky_relu": nn.init.calculate_gain("leaky_relu", 0.01),
}


def gain_of(activation: str) -> float:
    """What weights before an activation are multiplied by, to keep the size of the signal.

    torch's table; what it does not have is near a ReLU, which takes half of the variance.
    """
    return _GAINS.get(activation, math.sqrt(2))


# First weights of layers in a row, by the names that sections use.
#
# Torch draws its own first, and these over them: `default` is what it was ever.


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


# Normalisation by the names that sections use.
#
# Each function makes one module for features of a known number.


class RmsNorm(nn.RMSNorm):
    """Division by the root of the mean square (Zhang and Sennrich, arXiv:1910.07467).

    It works in the precision of its weight: under autocast torch has no fused form for a
    16-bit input with a 32-bit weight, and warns.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Any shape that ends in the features."""
        if self.weight is not None:
            inputs = inputs.to(self.weight.dtype)
        return F.rms_norm(inputs, self.normalized_shape, self.weight, self.eps)


def vector_norm(kind: str, width: int, *, bias: bool = True) -> nn.Module:
    """`layer` or `rms`, over the last dimension; an RMS norm has no bias."""
    return RmsNorm(width, eps=1e-5) if kind == "rms" else nn.LayerNorm(width, bias=bias)


def channel_norm(kind: str, channels: int, groups: int) -> nn.Module:
    """`batch`, or `group` (Wu and He, arXiv:1803.08494) in so many groups, over feature maps."""
    return nn.GroupNorm(groups, channels) if kind == "group" else nn.BatchNorm2d(channels)


# Training and evaluation mode of a module.
#
# Modules inside a model may have modes of their own, a frozen norm for one.


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and afterwards each module's own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


# The head of the convolutional models: from their features to the outputs.


def build_head(section: CnnSection | Cnn1dSection, width: int, outputs: int) -> nn.Sequential:
    """Return a linear layer for `width` features, after a hidden layer and dropout if asked for."""
    head = nn.Sequential()
    if section.hidden > 0:
        head.add_module("hidden", nn.Linear(width, section.hidden))
        head.add_module("activation", ACTIVATIONS[section.activation]())
        width = section.hidden
    if section.dropout > 0:
        head.add_module("dropout", nn.Dropout(section.dropout))
    head.add_module("output", nn.Linear(width, outputs))
    return head
