"""`TensorSplit`: samples held in memory as tensors, gathered by index on their device.

Layer: data. A batch is a function of (seed, epoch, index): `epoch(7, start=3)` gives the same
batches as the whole of epoch 7 from its fourth on, without drawing those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from tui_trainer.data.base.split import Chunk, Order, Ready
from tui_trainer.data.batches.order import epoch_order
from tui_trainer.data.batches.reused_memory import take_tensor
from tui_trainer.problems.batch import IGNORED, Batch, lengths_of, widened

_GATHERED_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20
"""The inputs that are gathered at once for several batches; more would leave the cache."""
_MOST_IN_CHUNK = 64
_MOST_UINT16 = 0xFFFF
_SMALL = (torch.uint8, torch.int8, torch.int16)
"""The types of the numbers that are stored in fewer bits than those of a model."""
_PART_NUMBERS = 1 << 17
_MOST_VIEWS = 64
"""So many batches of a split are kept as views; to make one takes little beside more of them."""


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Makes float32 inputs of the stored numbers, batch by batch: `(number - mean) / std`."""

    mean: float | Tensor
    """A number, or float32 of a shape that fits the samples: (D,), or (C, 1, 1) for pictures."""
    std: float | Tensor
    """As `mean`."""
    is_unsigned: bool = False
    """Whether int16 numbers stand for uint16, which devices have few kernels for."""
    _placed: dict[torch.device, tuple[float | Tensor, float | Tensor]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __call__(self, numbers: Tensor) -> Tensor:
        """Return the inputs (B, ...) on the device of the numbers, which are not changed."""
        mean, std = self._on(numbers.device)
        if numbers.device.type == "cpu" and numbers.dtype in _SMALL and numbers.is_contiguous():
            return self._in_parts(numbers, mean, std)
        if self.is_unsigned:
            numbers = numbers.int().bitwise_and_(_MOST_UINT16)
        # The copy of `float` is not made for what is float32 already; fewer bits are too few.
        is_wide = numbers.dtype in (torch.float32, torch.float64)
        scaled = numbers - mean if is_wide else numbers.float().sub_(mean)
        return scaled.float().div_(std)

    def _in_parts(self, numbers: Tensor, mean: float | Tensor, std: float | Tensor) -> Tensor:
        """Return the same inputs, computed in parts that stay in the processor's cache."""
        inputs = take_tensor(numbers.shape, torch.float32)
        count = max(1, _PART_NUMBERS // max(numbers[:1].numel(), 1))
        for begin in range(0, len(numbers), count):
            stored = numbers[begin : begin + count]
            if self.is_unsigned:
                stored = stored.int().bitwise_and_(_MOST_UINT16)
            inputs[begin : begin + count].copy_(stored).sub_(mean).div_(std)
        return inputs

    def _on(self, device: torch.device) -> tuple[float | Tensor, float | Tensor]:
        """Return both numbers on a device; they are copied there once, since a copy waits."""
        if device not in self._placed:
            mean, std = (
                number.to(device) if isinstance(number, Tensor) else number
                for number in (self.mean, self.std)
            )
            self._placed[device] = mean, std
        return self._placed[device]


@dataclass(frozen=True, slots=True, eq=False)
class TensorSplit:
    """Rows of a data set as tensors; implements `Split`.

    Samples that are too many to be copied stay in one tensor, as in a mapped file, which all splits
    of the data share; then `places` says which of them are in this split.
    """

    inputs: Tensor
    """(N, *input_shape) float32 or int64, or uint8: tokens (N, T), or pictures. Tokens may also be
    int16 or int32. More than N of any kind of number if there are `places`."""
    targets: Tensor
    """(N,) int64 classes, or (N, 1) float32 numbers, standardised; or (N, H, W) classes of pixels,
    which may be uint8."""
    rows: Tensor
    """(N,) int64, always on the CPU: the row number in the file, from 0, for messages."""
    lengths: Tensor | None = None
    """(N,) int64, always on the CPU; steps beyond are padding. None: not sequences."""
    name: str = "input"
    """The name of the field `inputs` in a batch."""
    others: Mapping[str, Tensor] = field(default_factory=dict)
    """Further fields by name, each (N, ...)."""
    places: Tensor | None = None
    """(N,) int64, always on the CPU: the place of each sample in `inputs`; None: its own number."""
    scaling: Scaling | None = None
    """Is applied to the inputs of a batch on its device; None: they are as a model takes them."""
    ignored: int | None = None
    """The number in uint8 targets that stands for IGNORED, which is no byte; None: no number."""
    check: Callable[[], None] | None = None
    """Is called before samples are read one after the other; raises BadInput if the file that they
    are mapped from is no more as it was."""
    _views: dict[int, tuple[Batch, ...]] = field(default_factory=dict, init=False, repr=False)
    """The batches in order by their size: to make them takes a good part of a small validation."""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def nbytes(self) -> int:
        inputs = len(self) * self.inputs[:1].nbytes
        return inputs + sum(tensor.nbytes for tensor in (self.targets, *self.others.values()))

    @property
    def is_plain(self) -> bool:
        """Whether a batch is nothing but gathered inputs and targets."""
        is_tokens = self.inputs.dtype == torch.uint8 and self.inputs.dim() == 2
        return self.lengths is None and not (is_tokens or self.others or self.name != "input")

    @property
    def _yields_views(self) -> bool:
        """Whether a slice of the samples copies nothing."""
        return self.is_plain and self.places is None and not _are_tokens(self.inputs)

    @property
    def ready(self) -> Ready | None:
        fields = (self.inputs, self.targets, *self.others.values())
        has_bytes = any(field.dtype == torch.uint8 and field.dim() > 2 for field in fields)
        return self._ready if has_bytes or self.scaling is not None else None

    def _ready(self, batch: Batch) -> Batch:
        inputs, targets = batch[self.name], batch["target"]
        own = (self.name, "target")
        is_bytes = targets.dtype == torch.uint8
        others = widened({name: column for name, column in batch.items() if name not in own})
        return {
            **others,
            self.name: inputs.float() if self.scaling is None else self.scaling(inputs),
            "target": classes_of(targets, self.ignored) if is_bytes else targets,
        }

    def ready_inputs(self) -> Tensor:
        """Return the inputs (N, ...) of all samples as a model takes them, which may be large."""
        inputs = self.inputs if self.places is None else self.inputs[self.places]
        if self.scaling is not None:
            return self.scaling(inputs)
        return inputs.float() if inputs.dtype == torch.uint8 and inputs.dim() > 2 else inputs

    def to(self, device: torch.device | str) -> TensorSplit:
        if self.inputs.device == torch.device(device):
            return self
        if self.places is None:
            inputs = self.inputs.to(device)
        else:
            inputs = gathered(self.inputs, self.places, device)
        return replace(
            self,
            inputs=inputs,
            places=None,
            check=None,
            targets=self.targets.to(device),
            others={name: column.to(device) for name, column in self.others.items()},
        )

    def rows_at(self, positions: Tensor) -> TensorSplit:
        """Return the split of some of its rows, given their positions (M,) on the CPU."""
        is_shared = self.places is not None
        return replace(
            self,
            inputs=self.inputs if is_shared else self.inputs[positions],
            places=None if self.places is None else self.places[positions],
            targets=self.targets[positions],
            rows=self.rows[positions],
            lengths=None if self.lengths is None else self.lengths[positions],
            others={name: column[positions] for name, column in self.others.items()},
        )

    def batch_at(self, positions: Tensor | slice, on_host: Tensor | slice) -> Batch:
        """Return the batch of some rows, cut to its longest sequence; tokens become int64.

        Args:
            positions: of the rows, on the device of the tensors.
            on_host: the same on the CPU.
        """
        inputs = self.inputs[positions if self.places is None else self.places[on_host]]
        lengths = None if self.lengths is None else self.lengths[on_host]
        if lengths is not None:
            # The lengths are on the host, so this does not synchronise with the device.
            inputs = inputs[:, : int(lengths.max())]
        inputs = inputs if self.scaling is not None else _as_tokens(inputs)
        batch = {self.name: inputs, "target": self.targets[positions]}
        for name, column in self.others.items():
            batch[name] = _as_tokens(column[positions])
        if lengths is not None:
            batch[lengths_of(self.name)] = lengths
        return batch

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        if self.check is not None:
            self.check()
        if not self._yields_views or self.count(batch_size) > _MOST_VIEWS:
            yield from self._slices(batch_size)
            return
        if batch_size not in self._views:
            self._views[batch_size] = tuple(self._slices(batch_size))
        yield from map(dict, self._views[batch_size])

    def _slices(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            positions = slice(start, start + batch_size)
            yield self.batch_at(positions, positions)

    def count(self, batch_size: int) -> int:
        return -(-len(self) // batch_size)

    def shuffled(self, order: Order) -> TensorBatches:
        return TensorBatches(self, order)


def classes_of(targets: Tensor, ignored: int | None) -> Tensor:
    """Return classes of uint8 as int64; the number `ignored` becomes IGNORED."""
    classes = targets.long()
    return classes if ignored is None else classes.masked_fill_(targets == ignored, IGNORED)


def gathered(inputs: Tensor, places: Tensor, device: torch.device | str) -> Tensor:
    """Return the inputs at some places on a device, of which the host has few at any time."""
    shape = (len(places), *inputs.shape[1:])
    moved = torch.empty(shape, dtype=inputs.dtype, device=device)
    count = max(1, _GATHERED_BYTES // max(inputs[:1].nbytes, 1))
    for start in range(0, len(places), count):
        part = places[start : start + count]
        moved[start : start + count] = inputs.index_select(0, part).to(device)
    return moved


def _as_tokens(values: Tensor) -> Tensor:
    return values.long() if _are_tokens(values) else values


def _are_tokens(values: Tensor) -> bool:
    """Whether they are tokens in fewer bits than a model takes."""
    # Pictures have more dimensions, and become float32 on the device.
    return values.dtype in (torch.uint8, torch.int16, torch.int32) and values.dim() == 2


class TensorBatches:
    """Batches in a new order every epoch; rank r takes its slice of each batch."""

    def __init__(self, split: TensorSplit, order: Order) -> None:
        self._split = split
        self._order = order
        count, size = len(split), order.batch_size
        self.per_epoch = count // size if order.drop_last else -(-count // size)
        self.samples = min(count, self.per_epoch * size)
        self._batch_bytes = size * split.inputs[:1].nbytes

    @property
    def ready(self) -> Ready | None:
        return self._split.ready

    def size(self, index: int) -> int:
        return min(self._order.batch_size, self.samples - index * self._order.batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        order = epoch_order(self._order, len(self._split), epoch, self._split.lengths)
        chosen = order[index * self._order.batch_size :][: self.size(index)]
        return tuple(self._split.rows[chosen].tolist())

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for chunk in self.chunks(epoch, start, _CHUNK_BYTES):
            yield from chunk.batches()

    def chunks(self, epoch: int, start: int, most_bytes: int) -> Iterator[Chunk]:
        inputs, targets = self._split.inputs, self._split.targets
        if self._split.check is not None:
            self._split.check()
        on_host = epoch_order(self._order, len(self._split), epoch, self._split.lengths)
        # A blocking copy would drain the device's queue at the start of every epoch.
        on_device = on_host.to(inputs.device, non_blocking=True)
        places = on_device if self._split.places is None else self._split.places[on_host]
        count = self._most_in_chunk(most_bytes)
        for first in range(start, self.per_epoch, count):
            last = min(first + count, self.per_epoch)
            together = [self._part(index) for index in range(first, last)]
            rows = slice(together[0].start, together[-1].stop)
            if self._split.is_plain:
                samples = {
                    "input": inputs.index_select(0, places[rows]),
                    "target": targets.index_select(0, on_device[rows]),
                }
            else:
                samples = self._split.batch_at(on_device[rows], on_host[rows])
            yield Chunk(samples, [part.stop - part.start for part in together])

    def _part(self, index: int) -> slice:
        """Return the positions of a batch in the order of an epoch."""
        size, world = self._order.batch_size, self._order.world
        if world > 1:
            part = slice(index * size, (index + 1) * size)
            return rank_slice(part, self.size(index), self._order.rank, world)
        return slice(index * size, index * size + self.size(index))

    def _most_in_chunk(self, most_bytes: int) -> int:
        """Return how many batches are gathered at once."""
        if self._order.world > 1 or not self._split.is_plain:
            # Batches of one rank do not follow each other; others may be padded to other lengths.
            return 1
        return max(1, min(most_bytes // max(self._batch_bytes, 1), _MOST_IN_CHUNK))


def rank_slice(part: slice, size: int, rank: int, world: int) -> slice:
    """Return the slice of a rank, as `tensor_split` cuts: the first ranks get one sample more."""
    least, extra = divmod(size, world)
    start = part.start + rank * least + min(rank, extra)
    return slice(start, start + least + (rank < extra))
