"""`take_floats`: memory for the numbers of a large batch, used again once nobody has them any more.

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

LEAST_NUMBERS = 1 << 18
"""Smaller blocks are not given back to the system."""
MOST_NUMBERS = 1 << 27
"""Larger ones, as of all samples at once, are not held on to: 512 MB."""
_MOST_BLOCKS = 3
"""A loop holds a batch while the next one is made, and a copy of it may be in use as well."""


class _Blocks(threading.local):
    """The blocks of a thread."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.float32]] = []
        self.blocks.append(np.empty(0, dtype=np.float32))
        self.unused = self._holders(0)
        """How many hold a block that no tensor is in."""
        self.blocks.clear()

    def _holders(self, place: int) -> int:
        return sys.getrefcount(self.blocks[place])

    def take(self, count: int) -> NDArray[np.float32]:
        """Return a block of at least so many numbers."""
        # Read at once: a name for a block would count as a holder.
        used = [place for place in range(len(self.blocks)) if self._holders(place) > self.unused]
        for place, block in enumerate(self.blocks):
            if place not in used and len(block) >= count:
                return block
        self.blocks = [self.blocks[place] for place in used]
        block = np.empty(count, dtype=np.float32)
        if len(self.blocks) < _MOST_BLOCKS and count <= MOST_NUMBERS:
            self.blocks.append(block)
        return block


_OF_THREAD = _Blocks()


def take_floats(shape: Sequence[int]) -> Tensor:
    """Return a float32 tensor on the CPU, of which nothing is said but its shape.

    No other tensor that is in use, nor a view of one, has any of its memory.
    """
    count = math.prod(shape)
    if count < LEAST_NUMBERS:
        return torch.empty(tuple(shape))
    # A tensor of an array holds it for as long as the tensor, or a view of it, is there.
    return torch.from_numpy(_OF_THREAD.take(count)[:count]).view(*shape)
