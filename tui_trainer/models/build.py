"""`build_model`: builds a module from a section; its sizes are inferred from the data.

Layer: models. Initial weights are drawn from the global generator, so the caller must seed it.

Training requires of a module:

- `forward(inputs)` returns outputs (B, K). Inputs of the kinds `sequence` (B, T, C) and `tokens`
  (B, T) come with a second argument, `lengths`: (B,) int64 on the CPU, or None if every sample has
  the full length T. Steps beyond a length are padding, and must not change any output.
- If the signature says `per_step`, outputs are (B, T, K), and step t must not depend on later ones.
- A module that can continue where the previous batch ended has `advance(inputs, carry)`, which
  returns the outputs and the carry for the next call: a tuple of tensors, None for a fresh start.
- Repeated blocks are the children of an attribute named `blocks`; the last layer is named `head`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from tui_trainer.config.plugins import MODEL_FACTORIES, explained
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.data.base.signature import Signature
from tui_trainer.models.cnn import Cnn
from tui_trainer.models.cnn1d import Cnn1d
from tui_trainer.models.mlp import Linear, Mlp
from tui_trainer.models.resnet import ResNet
from tui_trainer.models.rnn import build_rnn
from tui_trainer.models.transformer import Transformer
from tui_trainer.text.errors import BadInput

Builder = Callable[[Any, Signature], nn.Module]

MODELS: dict[str, Builder] = {
    "linear": Linear,
    "mlp": Mlp,
    "cnn": Cnn,
    "cnn1d": Cnn1d,
    "resnet": ResNet,
    "rnn": build_rnn,
    "transformer": Transformer,
}
"""Builders by the `type` of the section they take."""


def build_model(section: TypedSection, signature: Signature) -> nn.Module:
    """Build a module for data of this signature, on the CPU, in training mode.

    Raises:
        BadInput: the model cannot take such data.
    """
    if section.type in MODELS:
        return MODELS[section.type](section, signature)
    try:
        model = MODEL_FACTORIES[section.type](section, signature)
    except Exception as error:
        raise BadInput(f"model {section.type}: {explained(error)}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"model {section.type}: {type(model).__name__} is not a torch.nn.Module")
    return model
