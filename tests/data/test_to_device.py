"""Batches on the way to the device: pictures travel as bytes, and are changed where they arrive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tui_trainer.data.base.to_device import DeviceBatches, copied_ahead
from tui_trainer.problems.batch import Batch

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU of torch"),
        ],
    ),
]


class Pictures:
    """Batches of pictures on the host, of which a float is made once they are on the device."""

    samples, per_epoch = 12, 3

    def __init__(self) -> None:
        self.arrived: list[tuple[str, torch.dtype]] = []

    def ready(self, batch: Batch) -> Batch:
        pixels = batch["input"]
        self.arrived.append((pixels.device.type, pixels.dtype))
        return {**batch, "input": pixels.float()}

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        for index in range(start, self.per_epoch):
            pixels = torch.full((4, 1, 64, 64), 10 * epoch + index, dtype=torch.uint8)
            yield {"input": pixels, "target": torch.full((4,), index)}

    def size(self, index: int) -> int:
        return 4

    def rows(self, epoch: int, index: int) -> tuple[int, ...]:
        return ()


@pytest.mark.parametrize("device", DEVICES)
def test_pictures_travel_as_bytes_and_are_augmented_on_the_device(device: str) -> None:
    changed: list[tuple[str, str, torch.dtype]] = []

    def augment(batch: Batch, generator: torch.Generator) -> Batch:
        pixels = batch["input"]
        changed.append((pixels.device.type, generator.device.type, pixels.dtype))
        return {**batch, "input": pixels + 0.5}

    source = Pictures()
    batches = DeviceBatches(source, torch.device(device), augment, seed=0).epoch(2, start=1)
    pixels = [batch["input"].mean().item() for batch in batches]
    assert pixels == [21.5, 22.5]
    assert source.arrived == [(device, torch.uint8)] * 2
    assert changed == [(device, device, torch.float32)] * 2


@pytest.mark.parametrize("device", DEVICES)
def test_batches_that_are_copied_ahead_come_in_their_order(device: str) -> None:
    batches = list(copied_ahead(Pictures().epoch(1), torch.device(device)))
    assert [batch["input"].device.type for batch in batches] == [device] * 3
    assert [int(batch["input"].max()) for batch in batches] == [10, 11, 12]
    assert [batch["target"].tolist() for batch in batches] == [[index] * 4 for index in range(3)]
