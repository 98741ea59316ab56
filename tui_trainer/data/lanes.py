"""Texts packed side by side into the rows of batches, so that little of a batch is padding.

Layer: data. The packing depends on the texts and the batch size alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.int64]
"""(batches, rows): one entry for each row of each batch."""


def pack(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Lanes of items that are read one after the other, at most `most`; items by their index.

    Each item goes onto the lane that is free first, the longest first (R. L. Graham, Bounds on
    Multiprocessing Timing Anomalies, 1969). There are no more lanes than keep all of them full
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
    """How pieces of text are read in batches of `most` rows of `width` places.

    Piece i begins at `firsts[i]` and has `sizes[i]` places. Returned are, for each row of each
    batch, the place it begins at, how many places it has (0: none), and whether it begins a piece.
    """
    counts = [-(-size // width) for size in sizes]
    lanes = pack(counts, most)
    batches = max(sum(counts[piece] for piece in lane) for lane in lanes)
    starts = np.zeros((batches, len(lanes)), dtype=np.int64)
    known = np.zeros_like(starts)
    fresh = np.ones(starts.shape, dtype=np.bool_)
    for row, lane in enumerate(lanes):
        at = 0
        for piece in lane:
            offsets = np.arange(counts[piece]) * width
            part = slice(at, at + counts[piece])
            starts[part, row] = firsts[piece] + offsets
            known[part, row] = np.minimum(sizes[piece] - offsets, width)
            fresh[part, row] = offsets == 0
            at = part.stop
    return starts, known, fresh
