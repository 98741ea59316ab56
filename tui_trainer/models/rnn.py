"""Recurrent networks: `Rnn` makes one prediction per sample, `SteppedRnn` one per step.

Layer: models. Each layer is a torch module of its own, followed by our dropout, instead of one
torch module with several layers: cuDNN's built-in dropout has a state that no checkpoint can save.

Shapes: B batch, T steps, C channels, D features, H hidden units of all directions, K outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tui_trainer.config.sections.models import RnnSection
from tui_trainer.models.compatibility import check_sequences, check_tied
from tui_trainer.models.steps import (
    last_step,
    max_over_steps,
    mean_over_steps,
    real_lengths,
    without_padding,
)
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import ConfigError, Problem

Carry = tuple[Tensor, ...]
"""The states of all layers in turn: (B, H) per layer, two for an LSTM (hidden, cell)."""

_CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def build_rnn(section: RnnSection, signature: Signature) -> nn.Module:
    """Build the network that the outputs require; ConfigError if it cannot take the data."""
    check_sequences(section.type, signature)
    if section.tie_embedding:
        check_tied(signature)
    if signature.places == "one":
        return Rnn(section, signature)
    if section.bidirectional and signature.causal:
        message = (
            "a prediction at each step must not see later steps, but reading from the end shows "
            "them; set it to false"
        )
        raise ConfigError([Problem(message, "model.bidirectional")])
    return SteppedRnn(section, signature)


class Rnn(nn.Module):
    """Maps sequences (B, T, C) or texts (B, T) to `outputs` numbers per sample."""

    def __init__(self, section: RnnSection, signature: Signature) -> None:
        super().__init__()
        self.embedding, width = _embedding(section, signature)
        self.blocks, width = _layers(section, width)
        self.head = nn.Linear(width, signature.outputs)
        self.is_bidirectional = section.bidirectional
        self.pooling = section.pooling

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, C) or (B, T), with lengths (B,) on the CPU, to (B, K)."""
        lengths = real_lengths(lengths, inputs.shape[1])
        features_BTH = _embed(self.embedding, inputs, lengths)
        for block in self.blocks:
            features_BTH = block(features_BTH, lengths)
        logits_BK: Tensor = self.head(self._pooled(features_BTH, lengths))
        return logits_BK

    def _pooled(self, features_BTH: Tensor, lengths: Tensor | None) -> Tensor:
        """Pool over the steps, to (B, H). The backward direction has its last output at step 0."""
        if self.pooling == "mean":
            return mean_over_steps(features_BTH, lengths)
        if self.pooling == "max":
            return max_over_steps(features_BTH, lengths)
        if not self.is_bidirectional:
            return last_step(features_BTH, lengths)
        forward_BTH, backward_BTH = features_BTH.chunk(2, dim=-1)
        return torch.cat([last_step(forward_BTH, lengths), backward_BTH[:, 0]], dim=-1)


class SteppedRnn(nn.Module):
    """Maps sequences (B, T, C) or texts (B, T) to `outputs` numbers per step.

    Unless it reads from both ends, it can continue where the previous batch ended: two calls of
    `advance` return the same as one call over all the steps.
    """

    def __init__(self, section: RnnSection, signature: Signature) -> None:
        super().__init__()
        self.embedding, width = _embedding(section, signature)
        self.blocks, width = _layers(section, width)
        self.head = nn.Linear(width, signature.outputs)
        self.is_bidirectional = section.bidirectional
        if section.tie_embedding and self.embedding is not None:
            # With torch's standard normal weights, an output layer would give logits of sqrt(H).
            nn.init.normal_(self.embedding.weight, std=width**-0.5)
            self.head.weight = self.embedding.weight

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, C) or (B, T) to (B, T, K); outputs beyond a sample's length are undefined."""
        lengths = real_lengths(lengths, inputs.shape[1])
        features_BTH = _embed(self.embedding, inputs, lengths)
        # Reading forwards needs no packing: padding comes last, and no step sees a later one.
        packed_lengths = lengths if self.is_bidirectional else None
        for block in self.blocks:
            features_BTH = block(features_BTH, packed_lengths)
        logits_BTK: Tensor = self.head(features_BTH)
        return logits_BTK

    def advance(self, inputs: Tensor, carry: Carry | None) -> tuple[Tensor, Carry]:
        """Return outputs (B, T, K) and the carry for the next call; a carry of None starts fresh.

        The carry is part of the graph; the caller must detach it before passing it on.
        """
        features_BTH = _embed(self.embedding, inputs, None)
        size = len(carry) // len(self.blocks) if carry else 0
        states: list[Tensor] = []
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, RecurrentLayer)
            before = carry[layer * size : (layer + 1) * size] if carry else ()
            features_BTH, after = block.advance(features_BTH, before)
            states.extend(after)
        return self.head(features_BTH), tuple(states)


class RecurrentLayer(nn.Module):
    """One recurrent layer, with dropout on its outputs."""

    def __init__(self, section: RnnSection, width: int) -> None:
        super().__init__()
        self.cell = _CELLS[section.cell](
            width, section.hidden, batch_first=True, bidirectional=section.bidirectional
        )
        _initialise(self.cell, section)
        if section.dropout > 0:
            self.dropout = nn.Dropout(section.dropout)
        self._has_dropout = section.dropout > 0

    def forward(self, inputs_BTD: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, D) to (B, T, H), zero beyond the lengths (B,); None means no padding."""
        if lengths is None:
            return self.advance(inputs_BTD, ())[0]
        packed = pack_padded_sequence(inputs_BTD, lengths, batch_first=True, enforce_sorted=False)
        with self._precision(inputs_BTD):
            outputs, _ = self.cell(packed)
        steps = inputs_BTD.shape[1]
        outputs_BTH, _ = pad_packed_sequence(outputs, batch_first=True, total_length=steps)
        return self._dropped(outputs_BTH)

    def advance(self, inputs_BTD: Tensor, carry: Carry) -> tuple[Tensor, Carry]:
        """Return outputs (B, T, H) and the carry after the last step; `()` starts fresh."""
        states = tuple(state_BH.to(inputs_BTD.dtype)[None] for state_BH in carry)
        is_lstm = isinstance(self.cell, nn.LSTM)
        with self._precision(inputs_BTD):
            before = (states if is_lstm else states[0]) if states else None
            outputs_BTH, after = self.cell(inputs_BTD, before)
        after = after if is_lstm else (after,)
        return self._dropped(outputs_BTH), tuple(state[0] for state in after)

    def _dropped(self, outputs_BTH: Tensor) -> Tensor:
        return self.dropout(outputs_BTH) if self._has_dropout else outputs_BTH

    def _precision(self, inputs: Tensor) -> torch.autocast | nullcontext[None]:
        """Keep an LSTM on the CPU in float32 if oneDNN, which computes it, has no other there."""
        device = inputs.device.type
        if (
            device == "cpu"
            and isinstance(self.cell, nn.LSTM)
            and torch.is_autocast_enabled(device)
            and not _has_lstm_of(torch.get_autocast_dtype(device))
        ):
            return torch.autocast(device, enabled=False)
        return nullcontext()


def _has_lstm_of(dtype: torch.dtype) -> bool:
    """Whether oneDNN has an LSTM of this type: never of float16, of bfloat16 from AVX-512 on."""
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype != torch.float16


def _embedding(section: RnnSection, signature: Signature) -> tuple[nn.Embedding | None, int]:
    """Return the embedding of tokens and its width; None for numbers, which need none."""
    if signature.kind == "tokens":
        return nn.Embedding(signature.vocabulary, section.embedding), section.embedding
    return None, signature.input_shape[-1]


def _embed(embedding: nn.Embedding | None, inputs: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is not None:
        inputs = without_padding(inputs, lengths)
    return inputs if embedding is None else embedding(inputs)


def _layers(section: RnnSection, width: int) -> tuple[nn.ModuleList, int]:
    """Build the layers, and return them with the width of the last one."""
    layers = nn.ModuleList()
    for _ in range(section.layers):
        layers.append(RecurrentLayer(section, width))
        width = section.hidden * (2 if section.bidirectional else 1)
    return layers, width


def _initialise(cell: nn.RNNBase, section: RnnSection) -> None:
    """Draw initial weights from the global generator; torch's own are uniform within 1 / sqrt(H).

    `orthogonal` (Saxe et al., arXiv:1312.6120) applies to each gate's recurrent matrix, so that a
    state keeps its norm over many steps; input weights follow Glorot and Bengio (AISTATS 2010), and
    biases are 0. The forget gate of an LSTM is opened as Jozefowicz et al. (ICML 2015, section 2.2)
    recommend.
    """
    hidden = section.hidden
    for name, parameter in cell.named_parameters():
        if section.init == "orthogonal":
            _draw_gates(name, parameter, hidden)
        if section.cell == "lstm" and name.startswith("bias"):
            # torch orders the gates input, forget, cell, output; each has two biases.
            forget = section.forget_bias if name.startswith("bias_ih") else 0.0
            with torch.no_grad():
                parameter[hidden : 2 * hidden] = forget


def _draw_gates(name: str, parameter: nn.Parameter, hidden: int) -> None:
    if name.startswith("bias"):
        nn.init.zeros_(parameter)
        return
    draw: Callable[[Tensor], Tensor] = (
        nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_
    )
    for gate in torch.split(parameter.detach(), hidden):
        draw(gate)
