"""The interface between data and loop: a `Split` yields its samples in order or shuffled.

Layer: data. Samples may be a tensor on the device, a text, or read by workers; the loop sees
nothing but these protocols.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from tui_trainer.problems.batch import Batch
from tui_trainer.text.errors import TrainerError

Ready = Callable[[Batch], Batch]
"""Makes a batch that came to the device in a small form what a model takes."""
LINE_BYTES = 64
"""Tensors of their own begin in memory at a multiple of this."""


class Chunk(NamedTuple):
    """Batches that follow each other, as one, because a small batch costs little but the calls."""

    samples: Batch
    """Those of all batches, in their order."""
    sizes: Sequence[int]
    """The number of samples in each batch."""

    def batches(self) -> Iterator[Batch]:
        """Yield the batches."""
        if len(self.sizes) == 1:
            yield self.samples
            return
        columns = [_parts(column, self.sizes) for column in self.samples.values()]
        for fields in zip(*columns, strict=True):
            yield dict(zip(self.samples, fields, strict=True))


def _parts(column: Tensor, sizes: Sequence[int]) -> Sequence[Tensor]:
    """Return the part of each batch, at a place where a tensor of its own could begin.

    Matrix products of the CPU round at other places otherwise, and a resume, which cuts the batches
    of an epoch into other chunks, would not be bitwise.
    """
    parts = torch.split(column, list(sizes))
    row_bytes = column.stride(0) * column.element_size()
    offsets = {size * row_bytes for size in sizes[:-1]}
    if any(offset % LINE_BYTES for offset in (column.data_ptr(), *offsets)):
        return [part.clone() for part in parts]
    return parts


class Batches(Protocol):
    """A source of training batches, as the loop uses it."""

    samples: int
    per_epoch: int

    @property
    def ready(self) -> Ready | None:
        """Is applied to each batch once it is on the device; None: nothing is left to do."""
        ...

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the micro-batches of an epoch (counted from 0), beginning with number `start`.

        Raises:
            BadInput: a sample cannot be read.
        """
        ...

    def size(self, index: int) -> int:
        """Return the number of samples in micro-batch `index` of an epoch, over all ranks."""
        ...

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Return the rows of the data that are in a micro-batch, for messages."""
        ...


@runtime_checkable
class ChunkedBatches(Batches, Protocol):
    """Batches that are there in memory, so that several can be made at once."""

    def chunks(self, epoch: int, start: int, most_bytes: int) -> Iterator[Chunk]:
        """Yield what `epoch` does, as many batches at once as have so many bytes of inputs."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """Settings for drawing training batches; they, the epoch and the index determine a batch."""

    batch_size: int
    seed: int
    drop_last: bool = False
    group_by_length: bool = False
    """Whether the samples of a batch are to be similarly long, if their lengths are known."""
    rank: int = 0
    world: int = 1
    stateful: bool = False
    """Whether row b of a batch continues where row b of the previous batch ended."""


class Measurable(Protocol):
    """Samples that a model can be measured on."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    @property
    def ready(self) -> Ready | None:
        """Is applied to each batch once it is on the device; None: nothing is left to do."""
        ...

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield every sample once, for evaluation; draws no random numbers."""
        ...

    def count(self, batch_size: int) -> int:
        """Return the number of batches that `in_order` yields."""
        ...


class Split(Measurable, Protocol):
    """A part of a data set."""

    @property
    def nbytes(self) -> int:
        """The bytes it holds in memory."""
        ...

    def shuffled(self, order: Order) -> Batches:
        """Return the batches to train on."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the split with everything that batches are made of on `device`."""
        ...


class SampleLost(Exception):
    """A sample cannot be read any more; the text says why. Its batch can be made without it."""


class BatchLost(TrainerError):
    """A batch cannot be made: a worker died or hangs, or a sample cannot be read.

    It is raised before the step has changed anything, so the state after the previous step can
    still be saved.
    """

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message)
        self.details = details
        """The traceback from the worker, for --debug."""
