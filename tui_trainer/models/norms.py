"""Normalisation by the names that sections use.

Layer: models. Each function makes one module for features of a known number.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class RmsNorm(nn.RMSNorm):
    """Division by the root of the mean square (Zhang and Sennrich, arXiv:1910.07467).

    It works in the precision of its weight: under autocast torch has no fused form for a
    16-bit input with a 32-bit weight, and warns.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Any shape that ends in the features."""
        if self.weight is not None:
            inputs = inputs.to(self.weight.dtype)
        return F.rms_norm(inputs, self.normalized_shape, self.weight, self.eps)


def vector_norm(kind: str, width: int, *, bias: bool = True) -> nn.Module:
    """`layer` or `rms`, over the last dimension; an RMS norm has no bias."""
    return RmsNorm(width, eps=1e-5) if kind == "rms" else nn.LayerNorm(width, bias=bias)


def channel_norm(kind: str, channels: int, groups: int) -> nn.Module:
    """`batch`, or `group` (Wu and He, arXiv:1803.08494) in so many groups, over feature maps."""
    return nn.GroupNorm(groups, channels) if kind == "group" else nn.BatchNorm2d(channels)
