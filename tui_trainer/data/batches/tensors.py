"""`TensorSplit`: samples held in memory as tensors, gathered by index on their device.

Layer: data. A batch is a function of (seed, epoch, index): `epoch(7, start=3)` gives the same
batches as the whole of epoch 7 from its fourth on, without drawing those before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tui_trainer.data.base.batch import Order
from tui_trainer.data.base.random import permutation
from tui_trainer.problems.batch import Batch, lengths_of


@dataclass(frozen=True, slots=True, eq=False)
class TensorSplit:
    """Rows of a data set as tensors; implements `Split`."""

    inputs: Tensor
    """(N, *input_shape) float32 or int64, or uint8: tokens (N, T), or images.
    Tokens may also be int16 or int32."""
    targets: Tensor
    """(N,) int64 classes, or (N, 1) float32 numbers, standardised."""
    rows: Tensor
    """(N,) int64, always on the CPU: the row number in the file, from 0, for messages."""
    lengths: Tensor | None = None
    """(N,) int64, always on the CPU; steps beyond are padding. None: not sequences."""
    name: str = "input"
    """The name of the field `inputs` in a batch."""
    others: Mapping[str, Tensor] = field(default_factory=dict)
    """Further fields by name, each (N, ...)."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        tensors = (self.inputs, self.targets, *self.others.values())
        return sum(tensor.nbytes for tensor in tensors)

    @property
    def is_plain(self) -> bool:
        """Whether a batch is nothing but gathered inputs and targets."""
        is_converted = self.inputs.dtype == torch.uint8
        return self.lengths is None and not (is_converted or self.others or self.name != "input")

    def to(self, device: torch.device | str) -> TensorSplit:
        return replace(
            self,
            inputs=self.inputs.to(device),
            targets=self.targets.to(device),
            others={name: column.to(device) for name, column in self.others.items()},
        )

    def rows_at(self, positions: Tensor) -> TensorSplit:
        """Return the split of some of its rows, given their positions (M,) on the CPU."""
        return replace(
            self,
            inputs=self.inputs[positions],
            targets=self.targets[positions],
            rows=self.rows[positions],
            lengths=None if self.lengths is None else self.lengths[positions],
            others={name: column[positions] for name, column in self.others.items()},
        )

    def batch_at(self, positions: Tensor | slice, on_host: Tensor | slice) -> Batch:
        """Return the batch of some rows, cut to its longest sequence.

        Tokens become int64, and images of uint8 float32.

        Args:
            positions: of the rows, on the device of the tensors.
            on_host: the same on the CPU.
        """
        inputs = self.inputs[positions]
        lengths = None if self.lengths is None else self.lengths[on_host]
        if lengths is not None:
            # The lengths are on the host, so this does not synchronise with the device.
            inputs = inputs[:, : int(lengths.max())]
        batch = {self.name: _widened(inputs), "target": self.targets[positions]}
        for name, column in self.others.items():
            batch[name] = _widened(column[positions])
        if lengths is not None:
            batch[lengths_of(self.name)] = lengths
        return batch

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            positions = slice(start, start + batch_size)
            yield self.batch_at(positions, positions)

    def count(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def shuffled(self, order: Order) -> TensorBatches:
        return TensorBatches(self, order)


def _widened(values: Tensor) -> Tensor:
    if values.dtype in (torch.int16, torch.int32):
        return values.long()
    if values.dtype != torch.uint8:
        return values
    # Tokens are (B, T) and images have more dimensions.
    return values.long() if values.dim() == 2 else values.float()


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
        inputs, targets = self._split.inputs, self._split.targets
        is_plain = self._split.is_plain
        size, world = self._order.batch_size, self._order.world
        on_host = permutation(len(self._split), self._order.seed, epoch)
        # A blocking copy would drain the device's queue at the start of every epoch.
        on_device = on_host.to(inputs.device, non_blocking=True)
        for index in range(start, self.per_epoch):
            positions = slice(index * size, (index + 1) * size)
            if world > 1:
                positions = rank_slice(positions, self.size(index), self._order.rank, world)
            chosen = on_device[positions]
            if is_plain:
                yield {
                    "input": inputs.index_select(0, chosen),
                    "target": targets.index_select(0, chosen),
                }
            else:
                yield self._split.batch_at(chosen, on_host[positions])


def rank_slice(part: slice, size: int, rank: int, world: int) -> slice:
    """Return the slice of a rank, as `tensor_split` cuts: the first ranks get one sample more."""
    least, extra = divmod(size, world)
    start = part.start + rank * least + min(rank, extra)
    return slice(start, start + least + (rank < extra))
