"""`MapSplit`: samples of a map-style data set, read when they are needed, and their batches.

Layer: data. The epoch's permutation, drawn here, decides which samples are in a batch, so a batch
in the middle of an epoch can be requested without those before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.split import BatchLost, Order, Ready
from tui_trainer.data.batches.collation import STANDARD, Collation
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.data.batches.order import epoch_order
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import Origin, SampleMaker
from tui_trainer.data.batches.tensors import rank_slice
from tui_trainer.data.batches.worker_process import BatchRequest
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.problems.batch import Batch, widened

MEASURED = -1
"""The epoch number of samples read for evaluation: always the same, and so are the samples."""


@dataclass(frozen=True, slots=True, eq=False)
class MapSplit:
    """Samples of a map-style data set; implements `Split`."""

    dataset: Any
    """`dataset[index]` is a pair (input, target)."""
    rows: Tensor
    """(N,) int64, on the CPU: the indices of its samples in the data set."""
    pool: WorkerPool | None = None
    """The pool that reads the samples; None: one without workers is made when needed."""
    part: str = ""
    seed: int = 0
    form: SampleSpec | None = None
    """The form every sample must have; None: any samples that can be batched together."""
    collation: Collation = STANDARD
    origin: Origin | None = None
    """Makes the data set again, where it cannot be sent to a worker."""
    made_by: str = ""
    """The line of the function of the user's that made the data set."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return 0

    @property
    def ready(self) -> Ready:
        return widened

    def to(self, device: torch.device | str) -> MapSplit:
        return self

    def through(self, pool: WorkerPool, part: str, seed: int) -> MapSplit:
        """Return the split read by a pool; `seed` is for random numbers drawn within samples."""
        maker = SampleMaker(
            self.dataset, seed, part, self.form, self.collation, self.origin, self.made_by
        )
        pool.add(part, maker)
        return replace(self, pool=pool, part=part, seed=seed)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        split = self._readable()
        assert split.pool is not None, "a readable split has a pool"
        return split.pool.draw(
            BatchRequest(split.part, MEASURED, rows.tolist())
            for rows in torch.split(self.rows, batch_size)
        )

    def count(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def shuffled(self, order: Order) -> LoadedBatches:
        split = self._readable()
        assert split.pool is not None, "a readable split has a pool"
        return LoadedBatches(split.pool, split.part, self.rows, order)

    def _readable(self) -> MapSplit:
        if self.pool is not None:
            return self
        return self.through(WorkerPool(LoaderSection()), "samples", self.seed)


class LoadedBatches:
    """Batches made by a pool, in a new order every epoch; implements `Batches`."""

    def __init__(
        self,
        pool: WorkerPool,
        part: str,
        rows: Tensor,
        order: Order,
        *,
        lengths: Tensor | None = None,
        by_row: bool = True,
        left_out: LeftOut | None = None,
        ready: Ready = widened,
    ) -> None:
        """Prepare the batches of some rows; `left_out` are those that may not be read any more."""
        self.ready = ready
        self._pool = pool
        self._part = part
        self._rows = rows
        self._order = order
        self._lengths = lengths
        self._by_row = by_row
        self._left_out = left_out
        count, size = len(rows), order.batch_size
        self.per_epoch = count // size if order.drop_last else -(-count // size)
        self.samples = min(count, self.per_epoch * size)

    def size(self, index: int) -> int:
        return min(self._order.batch_size, self.samples - index * self._order.batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        order = epoch_order(self._order, len(self._rows), epoch, self._lengths)
        start = index * self._order.batch_size
        return tuple(self._rows[order[start : start + self.size(index)]].tolist())

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        index, left_out = start, self._left_out
        if left_out is not None and not left_out.present(self._rows.tolist()):
            raise BatchLost("no sample of the training split can be read any more")
        while index < self.per_epoch:
            stream = self._pool.draw(self._keys(epoch, index))
            for batch in stream:
                index += 1
                yield batch if left_out is None else left_out.received(batch)
                # A validation took the workers over; batches they had read ahead are read again.
                if not stream.is_current:
                    break

    def _keys(self, epoch: int, start: int) -> Iterator[BatchRequest]:
        size, world = self._order.batch_size, self._order.world
        order = epoch_order(self._order, len(self._rows), epoch, self._lengths)
        for index in range(start, self.per_epoch):
            positions = slice(index * size, index * size + self.size(index))
            if world > 1:
                positions = rank_slice(positions, self.size(index), self._order.rank, world)
            chosen = order[positions]
            indices = (self._rows[chosen] if self._by_row else chosen).tolist()
            if self._left_out is not None:
                indices = self._left_out.present(indices)
            yield BatchRequest(self._part, epoch, indices)
