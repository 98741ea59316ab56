"""`Batch`: the named fields of a batch, as data, models and problems see them.

Layer: problems.
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = -100
"""A target that is not measured: the number that torch's cross entropy ignores."""


Batch = dict[str, Tensor]
"""The fields of a batch by name, each with the samples in dimension 0.

- `input`: (B, *input_shape) float32, or (B, T) int64 tokens
- `target`: (B,) classes, (B, 1) numbers, (B, classes) shares of classes, or (B, T) tokens
- `lengths`, only of sequences that differ in length: (B,) int64, always on the CPU
- `fresh`, only of texts: (B,) bool, always on the CPU; rows that start a new text, and so carry
  over no state from the batch before
"""

ON_HOST = frozenset({"lengths", "fresh"})
"""Fields that stay on the CPU, where reading them does not wait for the device."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its fields on `device`; does not wait for the copies."""
    if batch["input"].device == device:
        return batch
    return {
        name: field if name in ON_HOST else field.to(device, non_blocking=True)
        for name, field in batch.items()
    }


def describe(tensor: Tensor) -> str:
    """Describe the shape and dtype of a tensor in words."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{'x'.join(map(str, tensor.shape)) or 'a number'} of {kind}"
