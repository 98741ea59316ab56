"""`HostCopies`: copies of tensors on the host, in memory that is used again.

Layer: training. Fresh memory costs five times as much as the copy itself, since the system hands it
out page by page; the loop stands still meanwhile. The memory of a copy is free again once nothing
refers to it any more, neither the copy nor a view of it.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tui_trainer.training.flat_buffer import is_dense

Block = np.ndarray[Any, Any]

_LEAST_BYTES = 1 << 16
"""Smaller copies come from memory that the process has already."""

_UNUSED = 2
"""The references to a block in a list while they are counted, if no tensor uses it."""


class HostCopies:
    """Copies tensors; belongs to one thread, while its copies may be read and dropped by others."""

    def __init__(self) -> None:
        self._blocks: dict[int, list[Block]] = {}
        """By their size in bytes."""
        self._asked: Counter[int] = Counter()
        """How many copies of each size were made since the last `trim`."""

    def copy(self, tensor: Tensor) -> Tensor:
        """Return a copy on the host that shares no memory with the tensor."""
        source = tensor.detach()
        if source.device.type != "cpu" or source.nbytes < _LEAST_BYTES or not is_dense(source):
            return source.to("cpu", copy=True)
        block = self._free_block(source.nbytes)
        in_memory = source.as_strided((source.numel(),), (1,))
        # A plain copy of the bytes: torch's own is slower in one thread.
        np.copyto(block, in_memory.view(torch.uint8).numpy())
        return torch.from_numpy(block).view(source.dtype).as_strided(source.size(), source.stride())

    def _free_block(self, size: int) -> Block:
        self._asked[size] += 1
        blocks = self._blocks.setdefault(size, [])
        for place in range(len(blocks)):
            if sys.getrefcount(blocks[place]) == _UNUSED:
                return blocks[place]
        blocks.append(np.empty(size, dtype=np.uint8))
        return blocks[-1]

    def trim(self) -> None:
        """Give back the memory beyond what is in use and what was asked for since the last call."""
        for size, blocks in self._blocks.items():
            free = [n for n in range(len(blocks)) if sys.getrefcount(blocks[n]) == _UNUSED]
            for place in reversed(free[self._asked[size] :]):
                del blocks[place]
        self._asked.clear()
