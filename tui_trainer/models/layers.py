"""Building blocks of the models: activations, initialisation, norms, evaluation mode, and the head.

Layer: models. Activations and norms are known by the names that sections use. They are modules
rather than functions, so that a model's summary shows them.
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
    """Return the factor for weights before an activation that preserves the signal's variance.

    The values are torch's; activations that torch does not list are treated like ReLU, which
    halves the variance.
    """
    return _GAINS.get(activation, math.sqrt(2))


def initialise(model: nn.Module, how: str, activation: str) -> None:
    """Draw the weights of linear layers and 2-d convolutions from the global generator; biases 0.

    `kaiming` is normal, scaled by the inputs of a layer (He et al., arXiv:1502.01852); `xavier` is
    uniform, scaled by inputs and outputs (Glorot and Bengio, AISTATS 2010); `orthogonal` preserves
    norms (Saxe et al., arXiv:1312.6120); `default` keeps the weights that torch drew. No activation
    follows the last layer, so its gain is 1.
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
        # Scaled by our own gain, because torch does not know all of these activations.
        nn.init.kaiming_normal_(weight, nonlinearity="linear")
        with torch.no_grad():
            weight.mul_(gain)


class RmsNorm(nn.RMSNorm):
    """Divides by the root mean square (Zhang and Sennrich, arXiv:1910.07467).

    It computes in the precision of its weight: under autocast, torch has no fused kernel for a
    16-bit input with a 32-bit weight, and warns.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise over the last dimension, the features; the shape is kept."""
        if self.weight is not None:
            inputs = inputs.to(self.weight.dtype)
        return F.rms_norm(inputs, self.normalized_shape, self.weight, self.eps)


def vector_norm(kind: str, width: int, *, bias: bool = True) -> nn.Module:
    """Return a `layer` or `rms` norm over the last dimension; an RMS norm has no bias."""
    return RmsNorm(width, eps=1e-5) if kind == "rms" else nn.LayerNorm(width, bias=bias)


def channel_norm(kind: str, channels: int, groups: int) -> nn.Module:
    """Return a `batch` norm, or a `group` norm (Wu and He, arXiv:1803.08494), for feature maps."""
    return nn.GroupNorm(groups, channels) if kind == "group" else nn.BatchNorm2d(channels)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Set the model to evaluation mode, and restore each module's mode afterwards.

    Modules are restored one by one, because their modes may differ: a frozen norm, for example.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def build_head(section: CnnSection | Cnn1dSection, width: int, outputs: int) -> nn.Sequential:
    """Return the head of a convolutional model: a linear layer for `width` features, after a
    hidden layer and dropout if the section has them.
    """
    head = nn.Sequential()
    if section.hidden > 0:
        head.add_module("hidden", nn.Linear(width, section.hidden))
        head.add_module("activation", ACTIVATIONS[section.activation]())
        width = section.hidden
    if section.dropout > 0:
        head.add_module("dropout", nn.Dropout(section.dropout))
    head.add_module("output", nn.Linear(width, outputs))
    return head
