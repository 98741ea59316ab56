"""`Batch`, and the seam between data and loop: a `Split` gives its samples in order, or shuffled.

Layer: data. Whatever holds the samples (a tensor on the device, a text, a loader with workers)
answers these few questions, and the loop knows of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor

from tui_trainer.text.errors import TrainerError

IGNORED = -100
"""A target that is not measured; the number that torch's cross entropy leaves out."""


class Batch(NamedTuple):
    """Some samples; `lengths` and `fresh` are there for sequences only."""

    inputs: Tensor
    """(B, *input_shape) float32, or (B, T) int64 tokens."""
    targets: Tensor
    """(B,) classes, (B, 1) numbers, (B, classes) shares of classes, or (B, T) tokens."""
    lengths: Tensor | None = None
    """(B,) int64, always on the CPU; None: all are of the full length."""
    fresh: Tensor | None = None
    """(B,) bool, on the CPU: rows that begin anew, and take over nothing from the batch before."""

    def to(self, device: torch.device) -> Batch:
        """The same batch with inputs and targets on a device; does not wait for the copy."""
        if self.inputs.device == device:
            return self
        return self._replace(
            inputs=self.inputs.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
        )


class Batches(Protocol):
    """What the loop asks of a source of training batches."""

    samples: int
    per_epoch: int

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch (from 0), beginning with number `start`.

        Raises:
            BadInput: a sample cannot be read.
        """
        ...

    def size(self, index: int) -> int:
        """How many samples micro-batch `index` of an epoch has, over all ranks."""
        ...

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Which rows of the data are in a micro-batch, for messages."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """How training batches are drawn: a batch is a function of these, its epoch and its number."""

    batch_size: int
    seed: int
    drop_last: bool = False
    rank: int = 0
    world: int = 1
    stateful: bool = False
    """Whether row b of a batch goes on where row b of the batch before ended."""


class Split(Protocol):
    """A part of a data set."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    @property
    def nbytes(self) -> int:
        """What it holds in memory."""
        ...

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Every sample once, for measuring; draws no random numbers."""
        ...

    def count(self, batch_size: int) -> int:
        """How many batches `in_order` gives."""
        ...

    def shuffled(self, order: Order) -> Batches:
        """Batches to train on."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same with everything a batch is made of on a device."""
        ...


# `BatchLost`: a batch that cannot be made, and all that is known of why.
#
# It is raised before a step has touched anything, so that the state of the step before can still
# be saved.


class BatchLost(TrainerError):
    """A worker died or hangs, or a sample cannot be read."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
        """The traceback from the worker, for --debug."""
