"""`take_tensor`: memory for a large batch, used again once nobody has the batch any more.

Layer: data. The C library gives large blocks back to the system, which clears each page anew. That
takes three times as long as computing what is written there. Each thread has blocks of its own.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST_BYTES = 1 << 20
"""Smaller blocks are not given back to the system."""
MOST_BYTES = 1 << 28
"""Larger ones, as of all samples at once, are not held on to."""
_MOST_BLOCKS = 3
"""A loop holds a batch while the next one is made, and a copy of it may be in use as well."""


class Blocks:
    """Blocks of memory, each of them unused once no tensor has it any more."""

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.uint8]] = [np.empty(0, dtype=np.uint8)]
        self._without_tensor = self._holders(0)
        """How many hold a block that no tensor is in."""
        self._blocks.clear()

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, place: int) -> NDArray[np.uint8]:
        return self._blocks[place]

    def _holders(self, place: int) -> int:
        return sys.getrefcount(self._blocks[place])

    def unused(self) -> Iterator[int]:
        """Yield the places of the blocks that no tensor is in; hold none of them meanwhile."""
        for place in range(len(self._blocks)):
            if self._holders(place) <= self._without_tensor:
                yield place

    def add(self, size: int) -> NDArray[np.uint8]:
        """Return a new block of so many bytes, which is kept."""
        self._blocks.append(np.empty(size, dtype=np.uint8))
        return self._blocks[-1]

    def drop(self, places: Collection[int]) -> None:
        """Give back the blocks at some places."""
        self._blocks = [self._blocks[n] for n in range(len(self._blocks)) if n not in places]


class _OfThread(threading.local):
    """The blocks of a thread."""

    def __init__(self) -> None:
        self.blocks = Blocks()


_OF_THREAD = _OfThread()


def _take_block(size: int) -> NDArray[np.uint8]:
    """Return a block of at least so many bytes."""
    blocks = _OF_THREAD.blocks
    unused = list(blocks.unused())
    for place in unused:
        if len(blocks[place]) >= size:
            return blocks[place]
    blocks.drop(unused)
    if len(blocks) < _MOST_BLOCKS and size <= MOST_BYTES:
        return blocks.add(size)
    return np.empty(size, dtype=np.uint8)


def take_tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a new tensor on the CPU, of which nothing is said but its shape.

    No other tensor that is in use, nor a view of one, has any of its memory.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST_BYTES:
        return torch.empty(tuple(shape), dtype=dtype)
    # A tensor of an array holds it for as long as the tensor, or a view of it, is there.
    return torch.from_numpy(_take_block(size)[:size]).view(dtype).view(*shape)
