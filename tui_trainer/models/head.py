"""The head of the convolutional models: from their features to the outputs.

Layer: models.
"""

from __future__ import annotations

from torch import nn

from tui_trainer.config.models import Cnn1dSection, CnnSection
from tui_trainer.models.activations import ACTIVATIONS


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
