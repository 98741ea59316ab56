"""`build_model`: from a section to a module whose sizes are inferred from the data.

Layer: models. Initial weights are torch's defaults, drawn from the global generator: the caller
seeds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tui_trainer.config.section import TypedSection
from tui_trainer.models.cnn import Cnn
from tui_trainer.models.linear import Linear
from tui_trainer.models.mlp import Mlp

Builder = Callable[[Any, tuple[int, ...], int], nn.Module]

MODELS: dict[str, Builder] = {"linear": Linear, "mlp": Mlp, "cnn": Cnn}
"""Modules by the `type` of the section they take."""


def build_model(section: TypedSection, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A module from (B, *input_shape) to (B, outputs), on the CPU, in training mode.

    Raises:
        BadInput: the model cannot take inputs of this shape.
    """
    return MODELS[section.type](section, input_shape, outputs)
