"""`take_tensor`: memory for a large batch, used again once nobody has the batch any more.

Layer: data. The C library gives large blocks back to the system, which clears each page anew. That
takes three times as long as computing what is written there. Each thread has blocks of its own.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Sequence

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


class _Blocks(threading.local):
    """The blocks of a thread."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.uint8]] = [np.empty(0, dtype=np.uint8)]
        self.unused = self._holders(0)
        """How many hold a block that no tensor is in."""
        self.blocks.clear()

    def _holders(self, place: int) -> int:
        return sys.getrefcount(self.blocks[place])

    def take(self, size: int) -> NDArray[np.uint8]:
        """Return a block of at least so many bytes."""
        # Asked for at once: a name for a block would count as a holder.
        used = [place for place in range(len(self.blocks)) if self._holders(place) > self.unused]
        for place, block in enumerate(self.blocks):
            if place not in used and len(block) >= size:
                return block
        self.blocks = [self.blocks[place] for place in used]
        block = np.empty(size, dtype=np.uint8)
        if len(self.blocks) < _MOST_BLOCKS and size <= MOST_BYTES:
            self.blocks.append(block)
        return block


_OF_THREAD = _Blocks()


def take_tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return a new tensor on the CPU, of which nothing is said but its shape.

    No other tensor that is in use, nor a view of one, has any of its memory.
    """
    size = math.prod(shape) * dtype.itemsize
    if size < LEAST_BYTES:
        return torch.empty(tuple(shape), dtype=dtype)
    # A tensor of an array holds it for as long as the tensor, or a view of it, is there.
    return torch.from_numpy(_OF_THREAD.take(size)[:size]).view(dtype).view(*shape)
