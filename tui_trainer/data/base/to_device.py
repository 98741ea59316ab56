"""`DeviceBatches`: brings training batches to the device, copied ahead of use, then augmented.

Layer: data. Augmentation draws from a new generator for each batch, on the device, so it does not
matter which process read the samples, how far ahead, or how many batches are changed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tui_trainer.data.base.in_turn import Augment, InTurn, size_of
from tui_trainer.data.base.random import seeded
from tui_trainer.data.base.split import Batches, Chunk, ChunkedBatches, Measurable
from tui_trainer.problems.batch import Batch, device_of, is_on_host, to_device

_AUGMENTED_BYTES = 1 << 19
"""The inputs that are augmented at once; the steps of a change need a few times as much."""


def placed_on(device: torch.device, batch: Batch, split: Measurable) -> Batch:
    """Return a batch of a split on a device, as a model takes it; does not wait for the copies."""
    placed = to_device(batch, device)
    return placed if split.ready is None else split.ready(placed)


class DeviceBatches:
    """Batches of another source, on a device and augmented; implements `Batches`."""

    def __init__(
        self,
        source: Batches,
        device: torch.device,
        augment: Augment | None,
        *,
        seed: int,
        rank: int = 0,
    ) -> None:
        self._source = source
        self._chunked = source if isinstance(source, ChunkedBatches) else None
        self._device = device
        self._augment = (
            augment if augment is None or isinstance(augment, InTurn) else InTurn((augment,))
        )
        self._seed = seed
        self._rank = rank
        self.samples = source.samples
        self.per_epoch = source.per_epoch

    @property
    def ready(self) -> None:
        return None

    def size(self, index: int) -> int:
        return self._source.size(index)

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        return self._source.rows(epoch, index)

    def state(self, epoch: int, index: int) -> dict[str, Any] | None:
        """Return the source's position before a batch; None unless it can only be read in order."""
        state_of = getattr(self._source, "state", None)
        return state_of(epoch, index) if state_of is not None else None

    def restore(self, state: dict[str, Any]) -> None:
        """Let the source continue from the position that `state` describes."""
        if hasattr(self._source, "restore"):
            self._source.restore(state)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self._augment is not None:
            return self._augmented(self._augment, epoch, start)
        batches = copied_ahead(self._source.epoch(epoch, start), self._device)
        return batches if self._source.ready is None else map(self._source.ready, batches)

    def _augmented(self, augment: InTurn, epoch: int, start: int) -> Iterator[Batch]:
        ready, index = self._source.ready, start
        for chunk in self._chunks(epoch, start):
            samples = chunk.samples if ready is None else ready(chunk.samples)
            if not size_of(samples):
                # None of the files of this batch can be read any more.
                yield samples
            else:
                generators = [
                    seeded(self._device, self._seed, "augment", epoch, index + place, self._rank)
                    for place in range(len(chunk.sizes))
                ]
                yield from augment.of_chunk(Chunk(samples, chunk.sizes), generators)
            index += len(chunk.sizes)

    def _chunks(self, epoch: int, start: int) -> Iterator[Chunk]:
        """Yield the samples of one or more batches, on the device."""
        if self._device.type == "cpu" and self._chunked is not None:
            yield from self._chunked.chunks(epoch, start, _AUGMENTED_BYTES)
            return
        for batch in copied_ahead(self._source.epoch(epoch, start), self._device):
            yield Chunk(batch, [size_of(batch)])


def copied_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """Return batches on a GPU, each copied on a side stream while the one before is used.

    For a CPU they are returned as they are, and those that are on a GPU are passed through.
    """
    return _copy_ahead(batches, device) if device.type == "cuda" else batches


def _copy_ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    stream: torch.cuda.Stream | None = None
    waiting: tuple[Batch, torch.cuda.Event] | None = None
    for batch in batches:
        # Not compared with the device, since `cuda` and `cuda:0` name the same one.
        if device_of(batch).type == "cuda":
            yield batch
            continue
        stream = stream or torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        with torch.cuda.stream(stream):
            # From pinned memory: a copy from pageable memory waits for everything before it.
            moved = {
                name: field if is_on_host(name) else _start_copy(field, device)
                for name, field in batch.items()
            }
            copied = stream.record_event()
        if waiting is not None:
            yield _wait_for_copy(*waiting, device)
        waiting = moved, copied
    if waiting is not None:
        yield _wait_for_copy(*waiting, device)


def _start_copy(tensor: Tensor, device: torch.device) -> Tensor:
    pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
    return pinned.to(device, non_blocking=True)


def _wait_for_copy(batch: Batch, copied: torch.cuda.Event, device: torch.device) -> Batch:
    """Return the batch, ready for use on the current stream."""
    current = torch.cuda.current_stream(device)
    current.wait_event(copied)
    for name, field in batch.items():
        if not is_on_host(name):
            # Keeps the allocator from reusing the memory while this stream still reads it.
            field.record_stream(current)
    return batch
