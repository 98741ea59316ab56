"""`Cnn1d`: convolutions over the steps of a sequence or a text, pooled over the steps.

Layer: models. Padding is set to zero again before each convolution, as if it were outside of the
sample, so more padding changes no output. Only batch norm in training mode includes padding in its
statistics; a training batch is always as long as its longest sample.

Shapes: B batch, T steps, C channels, D features, K outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tui_trainer.config.sections.models import Cnn1dSection
from tui_trainer.models.compatibility import check_sequences, suitable
from tui_trainer.models.layers import ACTIVATIONS, build_head, initialise
from tui_trainer.models.steps import (
    mask_of,
    max_over_steps,
    mean_over_steps,
    real_lengths,
    without_padding,
)
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError, Problem


class Cnn1d(nn.Module):
    """Maps sequences (B, T, C) or texts (B, T) to `outputs` numbers per sample, or per step."""

    def __init__(self, section: Cnn1dSection, signature: Signature) -> None:
        _check(section, signature)
        super().__init__()
        self.embedding: nn.Embedding | None = None
        channels = signature.input_shape[-1]
        if signature.kind == "tokens":
            channels = section.embedding
            self.embedding = nn.Embedding(signature.vocabulary, channels)
        self.blocks = nn.ModuleList()
        for wider in section.channels:
            self.blocks.append(_Block(section, channels, wider))
            channels = wider
        self._halves = section.pooling == "max"
        self._is_stepped = signature.places == "step"
        self._readout = max_over_steps if section.readout == "max" else mean_over_steps
        self.head = build_head(section, channels, signature.outputs)
        initialise(self, section.init, section.activation)

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, C) or (B, T), with lengths (B,) on the CPU, to (B, K) or (B, T, K).

        Outputs of steps beyond a sample's length are undefined.
        """
        lengths = real_lengths(lengths, inputs.shape[1])
        if lengths is not None:
            inputs = without_padding(inputs, lengths)
        features_BTC = inputs if self.embedding is None else self.embedding(inputs)
        for block in self.blocks:
            if lengths is not None:
                features_BTC = without_padding(features_BTC, lengths)
            features_BTC = block(features_BTC, lengths)
            if lengths is not None and self._halves:
                lengths = (lengths + 1) // 2
        if not self._is_stepped:
            features_BTC = self._readout(features_BTC, lengths)
        logits: Tensor = self.head(features_BTC)
        return logits


class _Block(nn.Module):
    """A convolution, an optional norm, an activation, and optional pooling of pairs of steps."""

    def __init__(self, section: Cnn1dSection, channels: int, wider: int) -> None:
        super().__init__()
        size = section.kernel_size
        has_norm = section.norm == "batch"
        self.conv = nn.Conv1d(channels, wider, size, padding=size // 2, bias=not has_norm)
        self.norm = nn.BatchNorm1d(wider) if has_norm else None
        self.activation = ACTIVATIONS[section.activation]()
        self._halves = section.pooling == "max"

    def forward(self, features_BTC: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, C), with lengths (B,), to (B, T, D), or (B, ceil(T / 2), D) with pooling."""
        features_BDT = self.conv(features_BTC.transpose(1, 2))
        if self.norm is not None:
            features_BDT = self.norm(features_BDT)
        features_BTD: Tensor = self.activation(features_BDT).transpose(1, 2)
        if not self._halves:
            return features_BTD
        if lengths is not None:
            # Padding must not win the maximum, so a last step paired with it is kept as it is.
            mask_BT = mask_of(lengths, features_BTD.shape[1], features_BTD.device)
            features_BTD = features_BTD.masked_fill(~mask_BT[:, :, None], float("-inf"))
        even_BTD, odd_BTD = features_BTD[:, ::2], features_BTD[:, 1::2]
        if even_BTD.shape[1] > odd_BTD.shape[1]:
            odd_BTD = torch.cat([odd_BTD, even_BTD[:, -1:]], dim=1)
        return torch.maximum(even_BTD, odd_BTD)


def _check(section: Cnn1dSection, signature: Signature) -> None:
    check_sequences(section.type, signature)
    if signature.causal:
        message = (
            "a prediction at each step must not see later steps, but these convolutions do; "
            f"use {suitable(signature)}"
        )
        raise ConfigError([Problem(message, "model.type")])
    if signature.places == "step" and section.pooling != "none":
        message = "pooling leaves fewer steps, but each needs a prediction; set it to none"
        raise ConfigError([Problem(message, "model.pooling")])
