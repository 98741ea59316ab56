"""`HostCopies`: copies of tensors on the host, in memory that is used again.

Layer: training. Fresh memory costs five times as much as the copy itself, since the system hands it
out page by page; the loop stands still meanwhile. The memory of a copy is free again once nothing
refers to it any more, neither the copy nor a view of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from tui_trainer.data.batches.reused_memory import Blocks
from tui_trainer.training.byte_copies import Bytes, copy_bytes
from tui_trainer.training.checkpoint_data import nothing_to_await
from tui_trainer.training.flat_buffer import is_dense
from tui_trainer.training.side_stream import SideStreamCopies

_LEAST_BYTES = 1 << 16
"""Smaller copies come from memory that the process has already."""


class HostCopies:
    """Copies tensors; belongs to one thread, while its copies may be read and dropped by others."""

    def __init__(self) -> None:
        self._blocks: dict[int, Blocks] = {}
        """By their size in bytes."""
        self._asked: Counter[int] = Counter()
        """How many copies of each size were made since the last `trim`."""
        self._unfilled: list[tuple[Bytes, Bytes]] = []
        """The memory of copies that `finish` will make, and that of their sources."""

    def copy(self, tensor: Tensor) -> Tensor:
        """Return a copy that shares no memory with the tensor; read it only after `finish`."""
        source = tensor.detach()
        if source.device.type != "cpu" or source.nbytes < _LEAST_BYTES or not is_dense(source):
            return source.to("cpu", copy=True)
        block = self._unused_block(source.nbytes)
        in_memory = source.as_strided((source.numel(),), (1,))
        self._unfilled.append((block, in_memory.view(torch.uint8).numpy()))
        return torch.from_numpy(block).view(source.dtype).as_strided(source.size(), source.stride())

    def copy_all(self, tensors: Mapping[str, Tensor], late: Container[str]) -> dict[str, Tensor]:
        """Return copies by name; `late` is for those that are made after `finish`, as none here."""
        return {name: self.copy(tensor) for name, tensor in tensors.items()}

    def finish(self) -> Callable[[], None]:
        """Make a set of copies, and return a function that waits until they are there."""
        self._fill()
        self._trim()
        return nothing_to_await

    def look(self) -> None:
        """Notice which copies are there; here all are."""

    def let_change(self) -> None:
        """Make sure that what was copied may be changed; here it always may."""

    def _unused_block(self, size: int) -> Bytes:
        self._asked[size] += 1
        blocks = self._blocks.setdefault(size, Blocks())
        place = next(blocks.unused(), None)
        return blocks.add(size) if place is None else blocks[place]

    def _fill(self) -> None:
        unfilled, self._unfilled = self._unfilled, []
        copy_bytes(unfilled)

    def _trim(self) -> None:
        """Give back the memory beyond what is in use and what was asked for since the last call."""
        for size, blocks in self._blocks.items():
            blocks.drop(list(blocks.unused())[self._asked[size] :])
        self._asked.clear()


AnyCopies = HostCopies | SideStreamCopies


def copies_from(device: torch.device) -> AnyCopies:
    """Return what copies the tensors of a device to the host."""
    return SideStreamCopies(device) if device.type == "cuda" else HostCopies()


def to_host(value: Any, copies: AnyCopies) -> Any:
    """Return the same structure with every tensor copied to the host, after `copies.finish`."""
    if isinstance(value, Tensor):
        return copies.copy(value)
    if isinstance(value, dict):
        return {key: to_host(item, copies) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return type(value)(to_host(item, copies) for item in value)  # type: ignore[call-arg]
    return value


def copied_at_once(value: Any) -> Any:
    """Return the same structure with a copy of every tensor, which is there already."""
    copies = HostCopies()
    copied = to_host(value, copies)
    copies.finish()()
    return copied
