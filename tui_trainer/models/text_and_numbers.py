"""`Joined`: a model of texts whose features are joined with the numbers beside each text.

Layer: models. Any built-in model of sequences reads the text, and gives features in place of
predictions. The hidden layer behind both lets what a word means depend on a number.

Shapes: B batch, T steps, N numbers, D features of either side, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.problems.signature import Signature


class Joined(nn.Module):
    """Maps texts (B, T) and the numbers beside them (B, N) to `outputs` numbers per sample."""

    def __init__(self, text: nn.Module, width: int, signature: Signature) -> None:
        super().__init__()
        self.text = text
        self.numbers = nn.Sequential(nn.Linear(signature.numbers, width), nn.ReLU())
        self.joint = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU())
        self.head = nn.Linear(width, signature.outputs)

    @property
    def blocks(self) -> Any:
        """The repeated blocks of the model of texts."""
        return self.text.blocks

    def forward(self, inputs: Tensor, numbers: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T) and (B, N), with lengths (B,) on the CPU, to (B, K)."""
        text_BD, beside_BD = self.text(inputs, lengths), self.numbers(numbers)
        joint_BD = self.joint(torch.cat([text_BD, beside_BD, text_BD * beside_BD], dim=1))
        logits_BK: Tensor = self.head(joint_BD)
        return logits_BK


def build_joined(
    build: Callable[[Any, Signature], nn.Module], section: Any, signature: Signature
) -> nn.Module:
    """Build a model of texts with numbers beside them; ConfigError if it is none of texts."""
    width = getattr(section, "join_width", 1)
    text = build(section, replace(signature, outputs=width))
    return Joined(text, width, signature)
