"""Specs of the models; the sizes of input and output are inferred from the data.

Layer: config. The modules themselves are in `tui_trainer.models`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tui_trainer.config.registry import Registry, Spec
from tui_trainer.config.section import Items, TypedSection, setting

Width = Annotated[int, Field(ge=1, le=65536)]
Activation = Literal["relu", "gelu", "silu", "tanh", "leaky_relu"]

MODELS = Registry("model")


class LinearSection(TypedSection):
    """One affine map of the flattened input: logistic or linear regression."""

    type: Literal["linear"]
    bias: bool = setting(True, "add a bias")


class MlpSection(TypedSection):
    """Fully connected layers on the flattened input."""

    type: Literal["mlp"]
    layers: Items[Width] = setting(
        (128, 64), "units of each hidden layer", unit="units", max_length=64
    )
    activation: Activation = setting("relu", "activation after each hidden layer")
    norm: Literal["none", "batch", "layer"] = setting("none", "normalisation of hidden layers")
    dropout: float = setting(0.0, "share of hidden units dropped in training", ge=0, lt=1)


class CnnSection(TypedSection):
    """Blocks of convolution, normalisation, activation and 2x2 pooling, then a linear head."""

    type: Literal["cnn"]
    channels: Items[Width] = setting(
        (32, 64), "channels of each block", unit="channels", min_length=1, max_length=16
    )
    kernel_size: int = setting(3, "size of the kernels, odd", unit="pixels", ge=1, le=15)
    hidden: int = setting(0, "units of a hidden layer before the output; 0: none", ge=0, le=65536)
    activation: Activation = setting("relu", "activation of each block")
    norm: Literal["none", "batch"] = setting("batch", "normalisation of each block")
    dropout: float = setting(0.0, "share of features dropped before the output", ge=0, lt=1)


MODELS.add(Spec("linear", "one affine map: logistic or linear regression", LinearSection))
MODELS.add(Spec("mlp", "fully connected layers", MlpSection))
MODELS.add(Spec("cnn", "convolutions with pooling, for images", CnnSection))
