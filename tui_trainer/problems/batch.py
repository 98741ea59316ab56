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

- `input`: (B, *input_shape) float32, or (B, T) int64 tokens; a plugin may have other fields instead
  of it or beside it
- `target`: (B,) classes, (B, 1) numbers, (B, classes) shares of classes, (B, T) tokens or classes
  of steps, or (B, H, W) classes of pixels
- `lengths`, only if `input` is padded: (B,) int64, always on the CPU; those of a field NAME are
  called `NAME_lengths`
- `fresh`, only of texts: (B,) bool, always on the CPU; rows that start a new text, and so carry
  over no state from the batch before
"""

TARGET = "target"
FRESH = "fresh"
LENGTHS, MASK = "lengths", "mask"


def lengths_of(field: str) -> str:
    """Return the name of the field with the lengths of a field."""
    return LENGTHS if field == "input" else f"{field}_{LENGTHS}"


def is_on_host(name: str) -> bool:
    """Whether a field stays on the CPU, where reading it does not wait for the device."""
    return name in (LENGTHS, FRESH) or name.endswith(f"_{LENGTHS}")


def device_of(batch: Batch) -> torch.device:
    """Return the device of the fields that are not kept on the CPU."""
    return next(field.device for name, field in batch.items() if not is_on_host(name))


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return the batch with its fields on `device`; does not wait for the copies."""
    if device_of(batch) == device:
        return batch
    return {
        name: field if is_on_host(name) else field.to(device, non_blocking=True)
        for name, field in batch.items()
    }


def widened(batch: Batch) -> Batch:
    """Return the batch with pictures of uint8 as float32, from 0 to 255.

    They travel as uint8, which is a quarter of the bytes.
    """
    return {
        name: field.float() if field.dtype == torch.uint8 else field
        for name, field in batch.items()
    }


def describe(tensor: Tensor) -> str:
    """Describe the shape and dtype of a tensor in words."""
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"{'x'.join(map(str, tensor.shape)) or 'a number'} of {kind}"
