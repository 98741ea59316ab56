"""Random changes of training batches.

Layer: data. Each draws from the generator it is given and from nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_trainer.data.batch import Batch

Change = Callable[[Tensor, torch.Generator], Tensor]
"""Inputs (B, ...) to inputs of the same shape."""


@dataclass(frozen=True, slots=True)
class InputsChanged:
    """Changes of the inputs alone, one after the other."""

    changes: tuple[Change, ...]

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs = batch.inputs
        for change in self.changes:
            inputs = change(inputs, generator)
        return batch._replace(inputs=inputs)


@dataclass(frozen=True, slots=True)
class Noise:
    """Normal noise on numbers, but not on padding; an `Augment`."""

    std: float
    """In units of the inputs, which are standardised."""
    features: tuple[bool, ...] | None = None
    """Which of the features (the last dimension) have noise; None: all."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Batch:
        inputs = batch.inputs
        drawn = torch.randn(
            inputs.shape, generator=generator, device=inputs.device, dtype=inputs.dtype
        )
        noise = drawn * self.std
        if self.features is not None:
            noise = noise * torch.tensor(self.features).to(inputs.device, non_blocking=True)
        if batch.lengths is not None:
            lengths = batch.lengths.to(inputs.device, non_blocking=True)
            places = torch.arange(inputs.shape[1], device=inputs.device)
            noise = noise * (places < lengths[:, None])[..., None]
        return batch._replace(inputs=inputs + noise)
