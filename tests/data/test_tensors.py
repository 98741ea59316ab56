"""Tests of `TensorSplit` where all splits share one tensor of stored numbers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.split import Order
from tui_trainer.data.batches.order import epoch_order
from tui_trainer.data.batches.reused_memory import LEAST_BYTES, take_tensor
from tui_trainer.data.batches.tensors import Scaling, TensorSplit, gathered
from tui_trainer.data.feed import DataFeed

CPU = torch.device("cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Tensor:
    """Return 40 pictures of 3x4x4 bytes that are mapped from a file."""
    numbers = np.random.default_rng(0).integers(0, 256, (40, 3, 4, 4), dtype=np.uint8)
    numbers.tofile(tmp_path / "pictures")
    return torch.from_numpy(
        np.memmap(tmp_path / "pictures", np.uint8, mode="c", shape=numbers.shape)
    )


def splits(pictures: Tensor) -> tuple[TensorSplit, TensorSplit]:
    """Return the same samples twice: shared and scaled in batches, and copied and scaled before."""
    scaling = Scaling(torch.rand(3, 1, 1) * 9, torch.rand(3, 1, 1) + 0.5)
    targets, chosen = torch.arange(40), torch.randperm(40)[:23]
    shared = TensorSplit(
        pictures, targets, torch.arange(40), places=torch.arange(40), scaling=scaling
    )
    plain = TensorSplit(scaling(pictures), targets, torch.arange(40))
    return shared.rows_at(chosen), plain.rows_at(chosen)


def test_shared_samples_are_those_of_a_copy(pictures: Tensor) -> None:
    shared, plain = splits(pictures)
    assert shared.inputs is pictures
    assert shared.nbytes < plain.nbytes / 2
    order = Order(4, seed=3)
    pairs = [
        (shared.in_order(5), plain.in_order(5)),
        (shared.shuffled(order).epoch(2, 1), plain.shuffled(order).epoch(2, 1)),
    ]
    assert shared.ready is not None
    for one, other in pairs:
        for batch, wanted in zip(one, other, strict=True):
            assert batch["input"].dtype == torch.uint8
            assert shared.ready(batch)["input"].equal(wanted["input"])
            assert batch["target"].equal(wanted["target"])
    assert shared.ready_inputs().equal(plain.inputs)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16])
@pytest.mark.parametrize("is_unsigned", [False, True])
def test_numbers_are_scaled_to_the_same_bits_in_parts(
    dtype: torch.dtype, is_unsigned: bool
) -> None:
    scaling = Scaling(torch.rand(3, 1, 1) * 90, torch.rand(3, 1, 1) + 0.5, is_unsigned)
    limits = torch.iinfo(dtype)
    for count, side in ((9, 3), (70, 70), (2, 300)):
        stored = torch.randint(limits.min, limits.max + 1, (count, 3, side, side), dtype=dtype)
        wide = stored.int() & 0xFFFF if is_unsigned else stored
        expected = (wide.float() - scaling.mean) / scaling.std
        scaled = scaling(stored)
        assert scaled.equal(expected)
        # The order of the axes in memory is kept, by which convolutions are chosen.
        last = stored.contiguous(memory_format=torch.channels_last)
        assert scaling(last).equal(expected)
        assert scaling(last).is_contiguous(memory_format=torch.channels_last)


def test_memory_is_used_again_only_when_nobody_has_it() -> None:
    shape, size = (4, LEAST_BYTES // 4), 4 * LEAST_BYTES

    def taken(*shape: int) -> Tensor:
        return take_tensor(shape, torch.float32)

    first = taken(*shape)
    place = first.data_ptr()
    first.fill_(1)
    kept: list[object] = [first[1:, :7], first.numpy(), first.detach()]
    weight = torch.ones(1, requires_grad=True)
    kept.append((weight * first).sum())
    del first
    # A view, an array, another tensor, or what a gradient needs: each holds it alone.
    for _ in range(4):
        other = taken(*shape).fill_(2)
        assert not place <= other.data_ptr() < place + size
        del other
        kept.pop(0)
    # Another thread has its own.
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(taken, *shape).result()
        assert theirs.data_ptr() not in (taken(*shape).data_ptr(), place)
    again = take_tensor((size,), torch.uint8)
    assert again.data_ptr() == place
    # More than a loop holds are no more than that.
    many = [taken(*shape).fill_(number) for number in range(9)]
    assert [int(one[0, 0]) for one in many] == [*range(9)]
    assert len({one.data_ptr() for one in (again, *many)}) == 10
    small = [taken(5) for _ in range(2)]
    assert small[0].data_ptr() != small[1].data_ptr()


def test_workers_are_not_sent_shared_samples(pictures: Tensor) -> None:
    shared, _ = splits(pictures)
    feed = DataFeed(LoaderSection(num_workers=2), CPU, seed=0)
    assert type(feed.batches(shared, Order(4, seed=3))) is type(shared.shuffled(Order(4, seed=3)))
    assert shared.to(CPU) is shared


def test_classes_of_pixels_travel_as_bytes() -> None:
    masks = torch.randint(0, 3, (5, 4, 4), dtype=torch.uint8)
    split = TensorSplit(torch.zeros(5, 3, 4, 4), masks, torch.arange(5))
    batch = next(split.in_order(5))
    assert batch["target"].dtype == torch.uint8
    assert split.ready is not None
    assert split.ready(batch)["target"].equal(masks.long())


@pytest.mark.parametrize("row_bytes", [4, 30 << 20])
def test_samples_are_gathered_part_by_part(row_bytes: int) -> None:
    inputs = torch.arange(5, dtype=torch.uint8)[:, None].expand(5, row_bytes)
    places = torch.tensor([4, 0, 0, 3])
    moved = gathered(inputs, places, "cpu")
    assert moved.shape == (4, row_bytes)
    assert moved[:, -1].tolist() == [4, 0, 0, 3]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [8, 10])
def test_batches_are_the_same_gathered_together_or_alone(size: int, drop_last: bool) -> None:
    """Those of 8 are gathered together, and all begin where a tensor of their own would."""
    inputs, targets = torch.randn(203, 16), torch.arange(203)
    split = TensorSplit(inputs, targets, torch.arange(203))
    order = Order(size, seed=3, drop_last=drop_last)
    batches = split.shuffled(order)
    places = epoch_order(order, len(split), 2, None)
    for start in (0, 1, 13, batches.per_epoch - 1):
        epoch = list(batches.epoch(2, start))
        assert len(epoch) == batches.per_epoch - start
        for index, batch in enumerate(epoch, start):
            chosen = places[index * size :][: batches.size(index)]
            assert batch["input"].equal(inputs[chosen])
            assert batch["target"].equal(targets[chosen])
            assert batch["input"].data_ptr() % 64 == 0
