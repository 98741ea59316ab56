"""How a transformer learns where a step is.

Layer: models. Learned and sinusoidal positions are added once, before the first layer; rotary
ones turn queries and keys in every layer. Tables are buffers that no checkpoint holds.

Shapes: B batch, T steps, D features, P places there are, H heads, E numbers a head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LearnedPositions(nn.Module):
    """A vector for each place, trained with the rest."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(places, width))

    def forward(self, features_BTD: Tensor) -> Tensor:
        """(B, T, D) to the same shape, for T up to the number of places."""
        return features_BTD + self.weight[: features_BTD.shape[1]]


class SinusoidalPositions(nn.Module):
    """Sines and cosines of falling frequencies (Vaswani et al., arXiv:1706.03762, section 3.5).

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
    """(2, P, E / 2): cosines and sines of the angle of each pair at each place.

    Su et al., arXiv:2104.09864, section 3.4.2; pair i is made of the numbers i and i + E / 2.
    """
    angles_PF = _angles(places, head_width // 2)
    return torch.stack([angles_PF.cos(), angles_PF.sin()])


def rotated(vectors_BHTE: Tensor, table: Tensor) -> Tensor:
    """Each pair of numbers turned by the angle of its place, in the precision of the vectors."""
    cosines_TF, sines_TF = table[:, : vectors_BHTE.shape[2]]
    first, second = vectors_BHTE.chunk(2, dim=-1)
    turned = (first * cosines_TF - second * sines_TF, second * cosines_TF + first * sines_TF)
    return torch.cat(turned, dim=-1).to(vectors_BHTE.dtype)


def _angles(places: int, frequencies: int) -> Tensor:
    """(P, F): place / 10000^(f / F)."""
    # In double, since a late place times a rounded frequency is off by whole hundredths.
    powers_F = torch.arange(frequencies, dtype=torch.float64) / frequencies
    angles_PF = torch.arange(places, dtype=torch.float64)[:, None] * 10000.0**-powers_F
    return angles_PF.to(torch.get_default_dtype())
