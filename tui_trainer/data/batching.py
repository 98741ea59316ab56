"""Batches of a split that is held in memory, gathered by index on its device.

Layer: data. A batch is a function of (seed, epoch, index): `epoch(7, start=3)` gives the same
batches as the whole of epoch 7 from its fourth on, without drawing what came before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor

from tui_trainer.data.dataset import Augment, Split
from tui_trainer.data.randomness import permutation, seeded


class Batch(NamedTuple):
    """One micro-batch; `inputs` (B, *input_shape) and `targets` (B,) or (B, outputs)."""

    inputs: Tensor
    targets: Tensor


class Batches(Protocol):
    """What the loop asks of a source of training batches."""

    samples: int
    per_epoch: int

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The micro-batches of an epoch (from 0), beginning with number `start`."""
        ...

    def size(self, index: int) -> int:
        """How many samples micro-batch `index` of an epoch has, over all ranks."""
        ...

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Which rows of the data file are in a micro-batch."""
        ...


class InMemoryBatches:
    """Batches of a split by a permutation of each epoch; rank r takes its slice of each batch."""

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        augment: Augment | None = None,
        drop_last: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._split = split
        self._batch_size = batch_size
        self._seed = seed
        self._augment = augment
        self._rank = rank
        self._world = world
        count = len(split)
        self.per_epoch = count // batch_size if drop_last else -(-count // batch_size)
        self.samples = min(count, self.per_epoch * batch_size)

    def size(self, index: int) -> int:
        return min(self._batch_size, self.samples - index * self._batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        order = permutation(len(self._split), self._seed, epoch)
        chosen = order[index * self._batch_size :][: self.size(index)]
        return tuple(self._split.rows.cpu()[chosen].tolist())

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        inputs, targets = self._split.inputs, self._split.targets
        device = inputs.device
        order = permutation(len(self._split), self._seed, epoch)
        # Not waited for: a copy that waits would empty the device's queue at every epoch's start.
        order = order.to(device, non_blocking=True)
        for index in range(start, self.per_epoch):
            first = index * self._batch_size
            chosen = order[first : first + self._batch_size]
            if self._world > 1:
                chosen = chosen.tensor_split(self._world)[self._rank]
            picked = inputs.index_select(0, chosen)
            if self._augment is not None:
                generator = seeded(device, self._seed, "augment", epoch, index, self._rank)
                picked = self._augment(picked, generator)
            yield Batch(picked, targets.index_select(0, chosen))
