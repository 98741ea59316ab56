"""`TensorSplit`: samples held in memory as tensors, gathered by index on their device.

Layer: data. A batch is a function of (seed, epoch, index): `epoch(7, start=3)` gives the same
batches as the whole of epoch 7 from its fourth on, without drawing those before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_trainer.data.base.batch import Order
from tui_trainer.data.base.random import permutation
from tui_trainer.problems.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class TensorSplit:
    """Rows of a data set as tensors; implements `Split`."""

    inputs: Tensor
    """(N, *input_shape) float32, or (N, T) uint8 tokens."""
    targets: Tensor
    """(N,) int64 classes, or (N, 1) float32 numbers, standardised."""
    rows: Tensor
    """(N,) int64, always on the CPU: the row number in the file, from 0, for messages."""
    lengths: Tensor | None = None
    """(N,) int64, always on the CPU; steps beyond are padding. None: not sequences."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        return self.inputs.nbytes + self.targets.nbytes

    def to(self, device: torch.device | str) -> TensorSplit:
        inputs, targets = self.inputs.to(device), self.targets.to(device)
        return TensorSplit(inputs, targets, self.rows, self.lengths)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            rows = slice(start, start + batch_size)
            lengths = None if self.lengths is None else self.lengths[rows]
            yield batch_of(self.inputs[rows], self.targets[rows], lengths)

    def count(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def shuffled(self, order: Order) -> TensorBatches:
        return TensorBatches(self, order)


class TensorBatches:
    """Batches in a new permutation every epoch; rank r takes its slice of each batch."""

    def __init__(self, split: TensorSplit, order: Order) -> None:
        self._split = split
        self._order = order
        count, size = len(split), order.batch_size
        self.per_epoch = count // size if order.drop_last else -(-count // size)
        self.samples = min(count, self.per_epoch * size)

    def size(self, index: int) -> int:
        return min(self._order.batch_size, self.samples - index * self._order.batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        order = permutation(len(self._split), self._order.seed, epoch)
        chosen = order[index * self._order.batch_size :][: self.size(index)]
        return tuple(self._split.rows[chosen].tolist())

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        inputs, targets, lengths = self._split.inputs, self._split.targets, self._split.lengths
        size, world = self._order.batch_size, self._order.world
        on_host = permutation(len(self._split), self._order.seed, epoch)
        # A blocking copy would drain the device's queue at the start of every epoch.
        on_device = on_host.to(inputs.device, non_blocking=True)
        for index in range(start, self.per_epoch):
            positions = slice(index * size, (index + 1) * size)
            if world > 1:
                positions = rank_slice(positions, self.size(index), self._order.rank, world)
            chosen = on_device[positions]
            chosen_inputs = inputs.index_select(0, chosen)
            chosen_targets = targets.index_select(0, chosen)
            if lengths is None:
                yield {"input": chosen_inputs, "target": chosen_targets}
            else:
                yield batch_of(chosen_inputs, chosen_targets, lengths[on_host[positions]])


def rank_slice(part: slice, size: int, rank: int, world: int) -> slice:
    """Return the slice of a rank, as `tensor_split` cuts: the first ranks get one sample more."""
    least, extra = divmod(size, world)
    start = part.start + rank * least + min(rank, extra)
    return slice(start, start + least + (rank < extra))


def batch_of(inputs: Tensor, targets: Tensor, lengths: Tensor | None) -> Batch:
    """Return a batch cut to its longest sequence, with uint8 tokens converted to int64."""
    if lengths is not None:
        # The lengths are on the host, so this does not synchronise with the device.
        inputs = inputs[:, : int(lengths.max())]
    if inputs.dtype == torch.uint8:
        inputs = inputs.long()
    if lengths is None:
        return {"input": inputs, "target": targets}
    return {"input": inputs, "target": targets, "lengths": lengths}
