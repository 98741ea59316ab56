"""Activations by the names that sections use.

Layer: models. Modules and not functions, so that a summary of a model shows them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

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
