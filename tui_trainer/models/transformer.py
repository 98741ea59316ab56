"""`Transformer`: layers of attention; causal for predictions at each step, otherwise an encoder.

Layer: models. It has no carry: text is generated from a window of the last T tokens. Causal
attention needs no mask for padding, because padding comes last and no earlier step sees it.

Shapes: B batch, T steps, C channels, D features, H heads, E numbers per head, K outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tui_trainer.config.sections.models import TransformerSection
from tui_trainer.models.compatibility import check_sequences, check_tied
from tui_trainer.models.layers import ACTIVATIONS, vector_norm
from tui_trainer.models.steps import (
    LearnedPositions,
    SinusoidalPositions,
    mask_of,
    mean_over_steps,
    real_lengths,
    rotate,
    rotation_table,
    without_padding,
)
from tui_trainer.problems.signature import Signature
from tui_trainer.text.errors import BadInput


class Transformer(nn.Module):
    """Maps sequences (B, T, C) or texts (B, T) to `outputs` numbers per sample, or per step."""

    def __init__(self, section: TransformerSection, signature: Signature) -> None:
        check_sequences(section.type, signature)
        if section.tie_embedding:
            check_tied(signature)
        super().__init__()
        width = section.width
        self.is_causal = signature.causal
        self.is_stepped = signature.places == "step"
        self.context = signature.input_shape[0]
        self.embedding = _embedding(section, signature)
        self.cls = _FirstPlace(width) if section.pooling == "cls" and not self.is_stepped else None
        places = self.context + (self.cls is not None)
        self.positions = _positions(section, places)
        self.rotation: Tensor | None
        table = rotation_table(places, width // section.heads)
        self.register_buffer(
            "rotation", table if section.position == "rotary" else None, persistent=False
        )
        self.dropout = nn.Dropout(section.dropout)
        self.blocks = nn.ModuleList(
            TransformerBlock(section, is_causal=self.is_causal) for _ in range(section.layers)
        )
        self.norm = _norm(section) if section.norm_order == "pre" else None
        # A language model's output layer mirrors its embedding, which has no bias.
        self.head = nn.Linear(width, signature.outputs, bias=not self.is_causal)
        _initialise(self, section)
        if section.tie_embedding and isinstance(self.embedding, nn.Embedding):
            self.head.weight = self.embedding.weight

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Map (B, T, C) or (B, T), with lengths (B,) on the CPU, to (B, K) or (B, T, K).

        Outputs of steps beyond a sample's length are undefined.

        Raises:
            BadInput: there are more steps than the model was built for.
        """
        self._check_steps(inputs.shape[1])
        lengths = real_lengths(lengths, inputs.shape[1])
        if lengths is not None:
            inputs = without_padding(inputs, lengths)
        features_BTD = self.embedding(inputs)
        if self.cls is not None:
            features_BTD = self.cls(features_BTD)
            lengths = None if lengths is None else lengths + 1
        if self.positions is not None:
            features_BTD = self.positions(features_BTD)
        features_BTD = self.dropout(features_BTD)
        mask = None
        if lengths is not None and not self.is_causal:
            mask = mask_of(lengths, features_BTD.shape[1], features_BTD.device)
        for block in self.blocks:
            features_BTD = block(features_BTD, mask, self.rotation)
        if self.norm is not None:
            features_BTD = self.norm(features_BTD)
        outputs: Tensor = self.head(self._pooled(features_BTD, lengths))
        return outputs

    def _pooled(self, features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the head's input: all steps, or one vector (B, D) for one prediction."""
        if self.is_stepped:
            return features_BTD
        return mean_over_steps(features_BTD, lengths) if self.cls is None else features_BTD[:, 0]

    def _check_steps(self, steps: int) -> None:
        if steps > self.context:
            raise BadInput(
                f"a sequence of {steps} steps, but this transformer was built for at most "
                f"{self.context}; cut it, or train with longer ones"
            )


class TransformerBlock(nn.Module):
    """Attention across the steps, then two dense layers at each step, both with residuals."""

    def __init__(self, section: TransformerSection, *, is_causal: bool) -> None:
        super().__init__()
        self.norm_first = section.norm_order == "pre"
        self.attention_norm = _norm(section)
        self.attention = Attention(section, is_causal=is_causal)
        self.dense_norm = _norm(section)
        self.dense = _dense(section)
        self.dropout = nn.Dropout(section.dropout)

    def forward(
        self, inputs_BTD: Tensor, mask_BT: Tensor | None = None, rotation: Tensor | None = None
    ) -> Tensor:
        """Map (B, T, D) to the same shape; steps where the mask is False are not attended to."""
        features_BTD: Tensor = inputs_BTD
        if self.norm_first:
            attended_BTD = self.attention(self.attention_norm(features_BTD), mask_BT, rotation)
            features_BTD = features_BTD + self.dropout(attended_BTD)
            features_BTD = features_BTD + self.dropout(self.dense(self.dense_norm(features_BTD)))
        else:
            attended_BTD = self.attention(features_BTD, mask_BT, rotation)
            features_BTD = self.attention_norm(features_BTD + self.dropout(attended_BTD))
            features_BTD = self.dense_norm(features_BTD + self.dropout(self.dense(features_BTD)))
        return features_BTD


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al., arXiv:1706.03762)."""

    def __init__(self, section: TransformerSection, *, is_causal: bool) -> None:
        super().__init__()
        self.heads = section.heads
        self.is_causal = is_causal
        self.dropped = section.attention_dropout
        self.queries_keys_values = nn.Linear(section.width, 3 * section.width, bias=section.bias)
        self.output = nn.Linear(section.width, section.width, bias=section.bias)

    def forward(
        self, inputs_BTD: Tensor, mask_BT: Tensor | None = None, rotation: Tensor | None = None
    ) -> Tensor:
        """Map (B, T, D) to the same shape."""
        batch, steps, width = inputs_BTD.shape
        joint = self.queries_keys_values(inputs_BTD).view(batch, steps, 3, self.heads, -1)
        queries_BHTE, keys_BHTE, values_BHTE = joint.permute(2, 0, 3, 1, 4).unbind(0)
        if rotation is not None:
            queries_BHTE, keys_BHTE = rotate(queries_BHTE, rotation), rotate(keys_BHTE, rotation)
        attended_BHTE = F.scaled_dot_product_attention(
            queries_BHTE,
            keys_BHTE,
            values_BHTE,
            attn_mask=None if mask_BT is None else mask_BT[:, None, None, :],
            dropout_p=self.dropped if self.training else 0.0,
            is_causal=self.is_causal,
        )
        outputs_BTD: Tensor = self.output(
            attended_BHTE.transpose(1, 2).reshape(batch, steps, width)
        )
        return outputs_BTD


class _FirstPlace(nn.Module):
    """Prepends a trained vector (CLS), whose output represents the whole sequence."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, features_BTD: Tensor) -> Tensor:
        cls_B1D = self.weight.to(features_BTD.dtype).expand(len(features_BTD), 1, -1)
        return torch.cat([cls_B1D, features_BTD], dim=1)


def _embedding(section: TransformerSection, signature: Signature) -> nn.Module:
    """Return the layer that turns tokens, or the numbers of a step, into vectors."""
    if signature.kind == "tokens":
        return nn.Embedding(signature.vocabulary, section.width)
    return nn.Linear(signature.input_shape[-1], section.width)


def _positions(section: TransformerSection, count: int) -> nn.Module | None:
    if section.position == "learned":
        return LearnedPositions(count, section.width)
    return SinusoidalPositions(count, section.width) if section.position == "sinusoidal" else None


def _norm(section: TransformerSection) -> nn.Module:
    return vector_norm(section.norm, section.width, bias=section.bias)


def _dense(section: TransformerSection) -> nn.Sequential:
    hidden = max(1, round(section.mlp_ratio * section.width))
    dense = nn.Sequential()
    dense.add_module("hidden", nn.Linear(section.width, hidden, bias=section.bias))
    dense.add_module("activation", ACTIVATIONS[section.activation]())
    dense.add_module("output", nn.Linear(hidden, section.width, bias=section.bias))
    return dense


def _initialise(model: Transformer, section: TransformerSection) -> None:
    """Draw initial weights as GPT-2 does, from the global generator.

    Weights are normal with `init_std`, biases 0 (Radford et al. 2018, section 4.1). Layers whose
    output is added to the residual stream, two per block, are divided by the square root of their
    number in the model, so that the sum does not grow with depth (Radford et al. 2019, section
    2.3).
    """
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif "norm" not in name:
            added = name.endswith(("attention.output.weight", "dense.output.weight"))
            scale = (2 * section.layers) ** -0.5 if added else 1.0
            nn.init.normal_(parameter, std=section.init_std * scale)
