"""Steps of a batch: masks and pooling that leave out padding, and positions for transformers.

Layer: models. Lengths are on the CPU, so that checking for padding does not wait for a device. A
sample of length 0 counts as one step of zeros, so that no mean or maximum is over nothing. Tables
of positions are buffers that are not saved in checkpoints.

Shapes: B batch, T steps, D features, P positions, F frequencies, H heads, E numbers per head; ...
the shape of a step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def real_lengths(lengths: Tensor | None, steps: int) -> Tensor | None:
    """Return the lengths (B,), at least 1; None if no sample is shorter than `steps`."""
    if lengths is None or int(lengths.min()) >= steps:
        return None
    return lengths.clamp(min=1)


def mask_of(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """Return which steps are not padding: (B, T) bool on `device`."""
    on_device = lengths.to(device, non_blocking=True)
    return torch.arange(steps, device=device) < on_device[:, None]


def without_padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Replace padding in inputs (B, T, ...) with zeros, even where it is NaN."""
    mask_BT = mask_of(lengths, inputs.shape[1], inputs.device)
    return inputs.masked_fill(~mask_BT.view(*mask_BT.shape, *[1] * (inputs.ndim - 2)), 0)


def mean_over_steps(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean over the real steps, (B, D)."""
    if lengths is None:
        return features_BTD.mean(1)
    sums_BD = without_padding(features_BTD, lengths).sum(1)
    return sums_BD / lengths.to(sums_BD.device, sums_BD.dtype)[:, None]


def max_over_steps(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the maximum of each feature over the real steps, (B, D)."""
    if lengths is None:
        return features_BTD.amax(1)
    mask_BT = mask_of(lengths, features_BTD.shape[1], features_BTD.device)
    return features_BTD.masked_fill(~mask_BT[:, :, None], float("-inf")).amax(1)


def last_step(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last real step of each sample, (B, D)."""
    if lengths is None:
        return features_BTD[:, -1]
    batch = torch.arange(len(lengths), device=features_BTD.device)
    return features_BTD[batch, (lengths - 1).to(features_BTD.device)]


# Positions for transformers. Learned and sinusoidal ones are added once, before the first layer;
# rotary ones rotate queries and keys in every layer.


class LearnedPositions(nn.Module):
    """Adds a trained vector for each position."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(places, width))

    def forward(self, features_BTD: Tensor) -> Tensor:
        """(B, T, D) to the same shape, for T up to the number of places."""
        return features_BTD + self.weight[: features_BTD.shape[1]]


class SinusoidalPositions(nn.Module):
    """Adds sines and cosines of falling frequencies (Vaswani et al., arXiv:1706.03762, section
    3.5).

    Features are multiplied by sqrt(D) first (section 3.4), or the waves would drown them.
    """

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        angles_PF = _angles(places, (width + 1) // 2)
        table = torch.stack([angles_PF.sin(), angles_PF.cos()], dim=-1).flatten(1)[:, :width]
        self.table: Tensor
        self.register_buffer("table", table, persistent=False)

    def forward(self, features_BTD: Tensor) -> Tensor:
        """(B, T, D) to the same shape, for T up to the number of places."""
        steps, width = features_BTD.shape[1:]
        return features_BTD * math.sqrt(width) + self.table[:steps]


def rotation_table(places: int, head_width: int) -> Tensor:
    """Return cosines and sines of the angle of each pair at each position: (2, P, E / 2).

    From Su et al., arXiv:2104.09864, section 3.4.2; pair i consists of the numbers i and i + E / 2.
    """
    angles_PF = _angles(places, head_width // 2)
    return torch.stack([angles_PF.cos(), angles_PF.sin()])


def rotate(vectors_BHTE: Tensor, table: Tensor) -> Tensor:
    """Rotate each pair of numbers by the angle of its position; the dtype is kept."""
    cosines_TF, sines_TF = table[:, : vectors_BHTE.shape[2]]
    first_half, second_half = vectors_BHTE.chunk(2, dim=-1)
    turned = (
        first_half * cosines_TF - second_half * sines_TF,
        second_half * cosines_TF + first_half * sines_TF,
    )
    return torch.cat(turned, dim=-1).to(vectors_BHTE.dtype)


def _angles(places: int, frequencies: int) -> Tensor:
    """Return the angles position / 10000^(f / F), (P, F)."""
    # In float64: a rounded frequency times a late position would be off by hundredths.
    powers_F = torch.arange(frequencies, dtype=torch.float64) / frequencies
    angles_PF = torch.arange(places, dtype=torch.float64)[:, None] * 10000.0**-powers_F
    return angles_PF.to(torch.get_default_dtype())
