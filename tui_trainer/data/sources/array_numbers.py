"""Passes over the numbers of arrays: the key of each row, the range, and the moments of training.

Layer: data. An array may be mapped from a file that is larger than memory, so every pass takes a
block of a few megabytes at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.array_cache import Results
from tui_trainer.data.splits.row_keys import Keys, text_key, vector_keys
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

Array = NDArray[Any]

_BLOCK_BYTES = 8 << 20
_SHORT_ROW = 64
"""A row of up to so many numbers has the key of its numbers, a longer one that of its bytes. Never
change it, or rows of such lengths become others."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The result of a pass over all rows of some arrays."""

    keys: Keys
    low: float
    high: float

    @classmethod
    def of_results(cls, results: Results) -> Survey:
        """Return what `results` of another survey are."""
        low, high = results["range"].tolist()
        return cls(results["keys"], low, high)

    @property
    def results(self) -> Results:
        """The survey as arrays, to be kept."""
        return {"keys": self.keys, "range": np.array([self.low, self.high])}


def blocks(array: Array) -> Iterator[tuple[int, Array]]:
    """Yield the rows of an array, some megabytes at a time, with the number of their first."""
    row_bytes = max(array.nbytes // max(len(array), 1), 1)
    count = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, len(array), count):
        yield start, array[start : start + count]


def survey(arrays: Sequence[Array], names: Sequence[str]) -> Survey:
    """Return the keys of all rows and the range of the numbers; BadInput for NaN and infinity."""
    keys: list[Keys] = []
    low, high = math.inf, -math.inf
    for array, name in zip(arrays, names, strict=True):
        done = 0
        with ReadProgress(name, array.nbytes) as progress:
            for start, block in blocks(array):
                least, most = float(block.min()), float(block.max())
                if not (math.isfinite(least) and math.isfinite(most)):
                    raise _not_finite(name, start, block)
                low, high = min(low, least), max(high, most)
                keys.append(row_keys(block))
                done += block.nbytes
                progress.reach(done)
    return Survey(np.concatenate(keys), low, high)


def range_of(array: Array, name: str) -> tuple[float, float]:
    """Return the least and the largest number; BadInput for NaN and infinity."""
    low, high = math.inf, -math.inf
    for start, block in blocks(array):
        least, most = float(block.min()), float(block.max())
        if not (math.isfinite(least) and math.isfinite(most)):
            raise _not_finite(name, start, block)
        low, high = min(low, least), max(high, most)
    return low, high


def _not_finite(name: str, start: int, block: Array) -> BadInput:
    flat = block.reshape(len(block), -1)
    place, column = np.argwhere(~np.isfinite(flat))[0].tolist()
    value = flat[place, column]
    kind = "NaN" if math.isnan(value) else "infinite"
    return BadInput(
        f"{name}: the number {column + 1:,} of row {start + place:,} (from 0) is {kind}; leave "
        "such rows out, or fill them in: np.nan_to_num(x)"
    )


def row_keys(rows: Array) -> Keys:
    """Return the key (N,) of each row by its numbers, or by its bytes if they are many."""
    flat = rows.reshape(len(rows), -1)
    if flat.shape[1] <= _SHORT_ROW:
        return vector_keys(flat)
    # Little-endian, whatever the machine is.
    plain = np.ascontiguousarray(flat, dtype=flat.dtype.newbyteorder("<"))
    return np.array([text_key(row.tobytes()) for row in plain], dtype=np.uint64)


@dataclass(slots=True)
class Moments:
    """Mean and deviation of numbers that come block by block (Chan, Golub and LeVeque, 1983)."""

    axes: tuple[int, ...]
    """Of a block, which are averaged over."""
    count: int = 0
    mean: Any = 0.0
    squares: Any = 0.0
    """Of the distances to the mean."""

    def add(self, block: Array) -> None:
        if not block.size:
            return
        numbers = block.astype(np.float64)
        mean = numbers.mean(axis=self.axes)
        apart = tuple(1 if axis in self.axes else size for axis, size in enumerate(numbers.shape))
        numbers -= np.reshape(mean, apart)
        np.square(numbers, out=numbers)
        own = math.prod(block.shape[axis] for axis in self.axes)
        total = self.count + own
        distance = mean - self.mean
        self.squares += numbers.sum(axis=self.axes) + distance**2 * (self.count * own / total)
        self.mean += distance * (own / total)
        self.count = total

    @classmethod
    def of_results(cls, axes: tuple[int, ...], results: Results) -> Moments:
        """Return the moments whose `results` were kept."""
        return cls(axes, int(results["count"]), results["mean"], results["squares"])

    @property
    def results(self) -> Results:
        """The moments as arrays, to be kept."""
        numbers = {"count": self.count, "mean": self.mean, "squares": self.squares}
        return {name: np.asarray(number) for name, number in numbers.items()}

    def std(self) -> Any:
        """Return the population standard deviation."""
        return np.sqrt(self.squares / max(self.count, 1))


def moments_of(
    arrays: Sequence[Array], train: NDArray[np.int64], axes: tuple[int, ...], name: str
) -> Moments:
    """Return the moments of some rows of arrays that follow each other; `name` is for messages."""
    moments = Moments(axes)
    is_wanted = np.zeros(sum(map(len, arrays)), dtype=np.bool_)
    is_wanted[train] = True
    row = done = 0
    with ReadProgress(name, sum(array.nbytes for array in arrays)) as progress:
        for array in arrays:
            for _, block in blocks(array):
                chosen = is_wanted[row : row + len(block)]
                moments.add(block if chosen.all() else block[chosen])
                row += len(block)
                done += block.nbytes
                progress.reach(done)
    return moments
