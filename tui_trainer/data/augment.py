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
