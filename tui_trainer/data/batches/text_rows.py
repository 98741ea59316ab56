"""`TextSplit`: texts to be predicted token by token, held as one tensor and cut into rows on its
device.

Layer: data. Before each text stands a token from which its first one is predicted: for bytes NUL.
Training reads the texts as one long stream; evaluation reads each text on its own, and packs the
texts side by side so that little of a batch is padding.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.base.random import permutation, seeded
from tui_trainer.data.base.split import Batches, Order
from tui_trainer.data.batches.tensors import rank_slice
from tui_trainer.data.files.token_files import TokenFile
from tui_trainer.data.tokenizers.tokenizer import Tokenizer, dtype_for, start_of
from tui_trainer.data.tokenizers.tokenizer_choice import BYTES
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.text.errors import BadInput

PIECE_TOKENS = 1 << 15
"""Long texts are evaluated in pieces of this length, each read on its own: one endless text would
leave the other rows of a batch empty. For bytes the length is the window of gzip."""


@dataclass(frozen=True, slots=True, eq=False)
class TextSplit:
    """The texts of one split; implements `Split`."""

    data: Tensor
    """(tokens + texts + 1,) uint8, int16 or int32: a start, a text, a start, a text and so on, and
    a final start. Of a token file uint16 or int32: the first and the last are tokens as others."""
    borders: tuple[int, ...]
    """The position of each start."""
    rows: tuple[int, ...]
    """The number of each text in the data set, from 0, for messages."""
    sequence_length: int
    unit: str = "byte"
    """The noun for a token."""
    bytes_per_token: float = 1.0
    """The bytes of the texts per token, starts not counted; NaN if they are not known."""
    contents: tuple[bytes, ...] | None = None
    """The texts as they are; None if the tokens are their bytes, or if they are not kept."""
    file: TokenFile | None = None
    """The file that the data are mapped from; they stay there, and are never copied."""

    @staticmethod
    def from_texts(texts: Sequence[bytes], rows: Sequence[int], sequence_length: int) -> TextSplit:
        """Make a split of the bytes of texts, none of which may be empty; there may be no texts."""
        return TextSplit.encoded(BYTES, texts, rows, sequence_length)

    @staticmethod
    def encoded(
        tokenizer: Tokenizer,
        texts: Sequence[bytes],
        rows: Sequence[int],
        sequence_length: int,
        *,
        keeps_texts: bool = True,
    ) -> TextSplit:
        """Make a split of the tokens of texts, none of which may be empty."""
        start = np.array([start_of(tokenizer)], dtype=dtype_for(tokenizer.vocabulary))
        parts, borders = [], [0]
        for tokens in tokenizer.encode(texts):
            parts += [start, tokens]
            borders.append(borders[-1] + 1 + len(tokens))
        is_bytes = tokenizer.unit == "byte"
        count = borders[-1] - len(texts)
        return TextSplit(
            torch.from_numpy(np.concatenate([*parts, start])),
            tuple(borders),
            tuple(rows),
            sequence_length,
            tokenizer.unit,
            1.0 if is_bytes else sum(map(len, texts)) / max(count, 1),
            tuple(texts) if keeps_texts and not is_bytes else None,
        )

    def __len__(self) -> int:
        """Return the number of rows of `sequence_length` that fit at any offset of the first."""
        if not self.rows:
            return 0
        return max(1, (self.size - self.sequence_length + 1) // self.sequence_length)

    @property
    def size(self) -> int:
        """The number of tokens, with a start for each text."""
        return self.borders[-1]

    @property
    def nbytes(self) -> int:
        return self.data.nbytes if self.file is None else 0

    @property
    def ready(self) -> None:
        return None

    @property
    def has_texts(self) -> bool:
        """Whether `texts` can be called."""
        return self.contents is not None or self.unit == "byte"

    def texts(self) -> Iterator[bytes]:
        """Yield the bytes of each text."""
        if self.contents is not None:
            yield from self.contents
            return
        content = self.data.cpu().numpy().tobytes()
        for start, end in zip(self.borders[:-1], self.borders[1:], strict=True):
            yield content[start + 1 : end]

    def to(self, device: torch.device | str) -> TextSplit:
        return self if self.file is not None else replace(self, data=self.data.to(device))

    def check_file(self) -> None:
        """Raise BadInput if the file that the data are mapped from has become shorter."""
        if self.file is not None:
            self.file.check_unchanged()

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        """Yield batches that predict every token once; padding has the target `IGNORED`."""
        if not self.rows:
            return
        device, width = self.data.device, self.sequence_length
        starts, counts, fresh = windows(*self._pieces(), width, batch_size)
        device_starts = torch.from_numpy(starts).to(device, non_blocking=True)
        device_counts = torch.from_numpy(counts).to(device, non_blocking=True)
        offsets = torch.arange(width, device=device)
        last = len(self.data) - 1
        for index in range(len(starts)):
            self.check_file()
            inside = offsets < device_counts[index, :, None]
            positions = device_starts[index, :, None] + offsets
            inputs = self.data[positions.clamp(max=last)].long()
            targets = self.data[(positions + 1).clamp(max=last)].long()
            yield {
                "input": inputs.masked_fill_(~inside, 0),
                "target": targets.masked_fill_(~inside, IGNORED),
                "fresh": torch.from_numpy(fresh[index]),
            }

    def count(self, batch_size: int) -> int:
        if not self.rows:
            return 0
        return len(windows(*self._pieces(), self.sequence_length, batch_size)[0])

    def _pieces(self) -> tuple[list[int], list[int]]:
        """Return the positions at which the pieces of the texts begin, and their sizes."""
        width = self.sequence_length
        longest = max(PIECE_TOKENS // width, 1) * width
        firsts: list[int] = []
        sizes: list[int] = []
        for text_start, end in zip(self.borders[:-1], self.borders[1:], strict=True):
            for start in range(text_start, end - 1, longest):
                firsts.append(start)
                sizes.append(min(longest, end - 1 - start))
        return firsts, sizes

    def shuffled(self, order: Order) -> Batches:
        """Return batches of rows; for a stateful model, rows continue from batch to batch.

        Raises:
            BadInput: the text is too short for such rows.
        """
        return LaneBatches(self, order) if order.stateful else WindowBatches(self, order)


class LaneBatches:
    """Batches in which each row reads its own share of the texts, continued from batch to batch;
    implements `Batches`.

    The order of the texts changes every epoch. The end of a share that does not fill a row is left
    out.
    """

    def __init__(self, split: TextSplit, order: Order) -> None:
        self._split = split
        self._order = order
        self._share = split.size // order.batch_size
        self.per_epoch = self._share // split.sequence_length
        if self.per_epoch == 0:
            raise BadInput(
                f"the {split.size:,} {split.unit}s to train on are too few for training.batch_size "
                f"{order.batch_size} rows of dataset.sequence_length {split.sequence_length}; "
                f"make {'one of the two' if order.batch_size > 1 else 'the length'} smaller"
            )
        self.samples = self.per_epoch * order.batch_size

    @property
    def ready(self) -> None:
        return None

    def size(self, index: int) -> int:
        return self._order.batch_size

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Return the numbers of the texts in a batch."""
        borders, width = self._split.borders, self._split.sequence_length
        texts = self._texts(epoch)
        ends = torch.tensor([borders[text + 1] - borders[text] for text in texts]).cumsum(0)
        firsts = torch.arange(self._order.batch_size) * self._share + index * width
        low = torch.searchsorted(ends, firsts, right=True).tolist()
        high = torch.searchsorted(ends, firsts + width - 1, right=True).tolist()
        in_batch = {
            position for a, b in zip(low, high, strict=True) for position in range(a, b + 1)
        }
        return tuple(sorted(self._split.rows[texts[position]] for position in in_batch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        width = self._split.sequence_length
        own_rows = slice(0, self._order.batch_size)
        if self._order.world > 1:
            own_rows = rank_slice(
                own_rows, self._order.batch_size, self._order.rank, self._order.world
            )
        stream = self._stream(epoch)
        used = self._order.batch_size * self._share
        inputs = stream[:used].view(-1, self._share)[own_rows]
        targets = stream[1 : used + 1].view(-1, self._share)[own_rows]
        for index in range(start, self.per_epoch):
            columns = slice(index * width, (index + 1) * width)
            self._split.check_file()
            yield {"input": inputs[:, columns].long(), "target": targets[:, columns].long()}

    def _texts(self, epoch: int) -> list[int]:
        order: list[int] = permutation(len(self._split.rows), self._order.seed, epoch).tolist()
        return order

    def _stream(self, epoch: int) -> Tensor:
        """Return the texts in the order of the epoch, each after its start, and a final start."""
        data, borders = self._split.data, self._split.borders
        if len(self._split.rows) == 1:
            return data
        parts = [data[borders[text] : borders[text + 1]] for text in self._texts(epoch)]
        return torch.cat([*parts, data[self._split.size :]])


class WindowBatches:
    """Batches of rows from anywhere in the texts, at an offset drawn every epoch; implements
    `Batches`.

    The texts follow each other, so a row may hold the end of one and the beginning of the next.
    """

    def __init__(self, split: TextSplit, order: Order) -> None:
        self._split = split
        self._order = order
        width, size = split.sequence_length, order.batch_size
        if split.size < width:
            raise BadInput(
                f"the {split.size:,} {split.unit}s to train on are too few for a row of "
                f"dataset.sequence_length {width}; make it smaller"
            )
        self._windows = len(split)
        self._offsets = min(width, split.size - self._windows * width + 1)
        self.per_epoch = self._windows // size if order.drop_last else -(-self._windows // size)
        self.samples = min(self._windows, self.per_epoch * size)

    @property
    def ready(self) -> None:
        return None

    def size(self, index: int) -> int:
        return min(self._order.batch_size, self.samples - index * self._order.batch_size)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        """Return the numbers of the texts in a batch."""
        width = self._split.sequence_length
        firsts = self._row_starts(epoch)[index * self._order.batch_size :][: self.size(index)]
        ends = torch.tensor(self._split.borders[1:])
        low = torch.searchsorted(ends, firsts, right=True).tolist()
        high = torch.searchsorted(ends, firsts + width - 1, right=True).tolist()
        in_batch = {text for a, b in zip(low, high, strict=True) for text in range(a, b + 1)}
        return tuple(sorted(self._split.rows[text] for text in in_batch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        data, size = self._split.data, self._order.batch_size
        offsets = torch.arange(self._split.sequence_length + 1, device=data.device)
        firsts = self._row_starts(epoch).to(data.device, non_blocking=True)
        for index in range(start, self.per_epoch):
            positions = slice(index * size, (index + 1) * size)
            if self._order.world > 1:
                positions = rank_slice(
                    positions, self.size(index), self._order.rank, self._order.world
                )
            self._split.check_file()
            rows = data[firsts[positions, None] + offsets].long()
            yield {"input": rows[:, :-1], "target": rows[:, 1:]}

    def _row_starts(self, epoch: int) -> Tensor:
        """Return the positions at which the rows of an epoch begin, in order: int64, on the CPU."""
        generator = seeded("cpu", self._order.seed, "offset", epoch)
        offset = int(torch.randint(self._offsets, (1,), generator=generator))
        order = permutation(self._windows, self._order.seed, epoch)
        # In place, because a token file has millions of rows.
        return order.mul_(self._split.sequence_length).add_(offset)


# Packing for evaluation. It depends only on the texts and the batch size.

Table = NDArray[np.int64]
"""(batches, rows): one entry per row of each batch."""


def pack_rows(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Distribute items over at most `most` lanes, each read in sequence; return item indices.

    Each item, longest first, goes to the lane that is free first (R. L. Graham, Bounds on
    Multiprocessing Timing Anomalies, 1969). There are no more lanes than can all be kept busy
    while the longest item is read.
    """
    count = min(most, -(-sum(lengths) // max(lengths)))
    lanes: list[list[int]] = [[] for _ in range(count)]
    ends = [(0, lane) for lane in range(count)]
    for item in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        end, lane = heapq.heappop(ends)
        lanes[lane].append(item)
        heapq.heappush(ends, (end + lengths[item], lane))
    return lanes


def windows(
    firsts: Sequence[int], sizes: Sequence[int], width: int, most: int
) -> tuple[Table, Table, NDArray[np.bool_]]:
    """Arrange pieces of text into batches of at most `most` rows of `width` positions.

    Piece i begins at `firsts[i]` and has `sizes[i]` positions. Returns, for each row of each batch,
    the position it begins at, its number of positions (0: none), and whether it begins a piece.
    """
    counts = [-(-size // width) for size in sizes]
    lanes = pack_rows(counts, most)
    batches = max(sum(counts[piece] for piece in lane) for lane in lanes)
    starts = np.zeros((batches, len(lanes)), dtype=np.int64)
    position_counts = np.zeros_like(starts)
    fresh = np.ones(starts.shape, dtype=np.bool_)
    for row, lane in enumerate(lanes):
        batch = 0
        for piece in lane:
            offsets = np.arange(counts[piece]) * width
            span = slice(batch, batch + counts[piece])
            starts[span, row] = firsts[piece] + offsets
            position_counts[span, row] = np.minimum(sizes[piece] - offsets, width)
            fresh[span, row] = offsets == 0
            batch = span.stop
    return starts, position_counts, fresh
