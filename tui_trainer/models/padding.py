"""Which steps of a batch are real, and which only fill it up to the longest sample.

Layer: models. Lengths are on the CPU, so that asking whether there is any padding waits for no
device. A sample of length 0 counts as one step of zeros: no mean and no maximum is over nothing.

Shapes: B batch, T steps, D features; ... what a step has.
"""

from __future__ import annotations

import torch
from torch import Tensor


def real_lengths(lengths: Tensor | None, steps: int) -> Tensor | None:
    """The lengths (B,), at least 1; None when no sample is shorter than `steps`."""
    if lengths is None or int(lengths.min()) >= steps:
        return None
    return lengths.clamp(min=1)


def mask_of(lengths: Tensor, steps: int, device: torch.device) -> Tensor:
    """(B, T) bool on a device: whether a step is real."""
    on_device = lengths.to(device, non_blocking=True)
    return torch.arange(steps, device=device) < on_device[:, None]


def without_padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Inputs (B, T, ...) with zeros for whatever stands in the padding, NaN included."""
    mask_BT = mask_of(lengths, inputs.shape[1], inputs.device)
    return inputs.masked_fill(~mask_BT.view(*mask_BT.shape, *[1] * (inputs.ndim - 2)), 0)


def mean_over_steps(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, D), the mean over the real steps."""
    if lengths is None:
        return features_BTD.mean(1)
    sums_BD = without_padding(features_BTD, lengths).sum(1)
    return sums_BD / lengths.to(sums_BD.device, sums_BD.dtype)[:, None]


def max_over_steps(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, D), the largest number of each feature over the real steps."""
    if lengths is None:
        return features_BTD.amax(1)
    mask_BT = mask_of(lengths, features_BTD.shape[1], features_BTD.device)
    return features_BTD.masked_fill(~mask_BT[:, :, None], float("-inf")).amax(1)


def last_step(features_BTD: Tensor, lengths: Tensor | None) -> Tensor:
    """(B, D), the last real step of each sample."""
    if lengths is None:
        return features_BTD[:, -1]
    batch = torch.arange(len(lengths), device=features_BTD.device)
    return features_BTD[batch, (lengths - 1).to(features_BTD.device)]
