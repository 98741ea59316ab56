"""Augmented batches have the same bits, however many of them are changed at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tui_trainer.data.base.augment import (
    Cutout,
    InputsChanged,
    Mixup,
    Noise,
    RandomAffine,
    RandomCrop,
    RandomFlip,
)
from tui_trainer.data.base.in_turn import Augment, InTurn, combine_augments
from tui_trainer.data.base.random import seeded
from tui_trainer.data.base.split import ChunkedBatches, Order
from tui_trainer.data.base.to_device import DeviceBatches
from tui_trainer.data.batches.tensors import Scaling, TensorSplit
from tui_trainer.problems.batch import Batch

CPU = torch.device("cpu")
CLASSES = 3
BACKGROUND = -0.3
CHANGES = (
    RandomFlip(-1),
    RandomAffine(1.3, 170.0, BACKGROUND),
    RandomCrop(1, BACKGROUND),
    Cutout(2, BACKGROUND),
)


def pictures(count: int, shape: tuple[int, ...], *, masks: bool = False) -> TensorSplit:
    """Pictures of bytes, and their classes or the classes of their pixels."""
    dice = torch.Generator().manual_seed(1)
    inputs = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=dice)
    of = (count, *shape[1:]) if masks else (count,)
    targets = torch.randint(0, CLASSES, of, generator=dice)
    return TensorSplit(inputs, targets, torch.arange(count), scaling=Scaling(90.0, 70.0))


def generator(epoch: int, index: int) -> torch.Generator:
    return seeded(CPU, 5, "augment", epoch, index, 0)


def assert_same_alone(split: TensorSplit, size: int, augment: Augment) -> None:
    """Every batch of an epoch, from wherever it is begun, is as it is when it is made alone."""
    source = split.shuffled(Order(size, seed=2))
    assert isinstance(source, ChunkedBatches)
    assert len(next(source.chunks(0, 0, 1 << 18)).sizes) > 1, "several are changed at once"
    batches = DeviceBatches(source, CPU, augment, seed=5)
    assert split.ready is not None
    alone = [
        augment(split.ready(batch), generator(4, index))
        for index, batch in enumerate(source.epoch(4))
    ]
    for start in range(batches.per_epoch):
        rest = list(batches.epoch(4, start))
        assert len(rest) == batches.per_epoch - start
        for batch, expected in zip(rest, alone[start:], strict=True):
            assert batch.keys() == expected.keys()
            for name, field in expected.items():
                assert batch[name].equal(field)
                assert batch[name].dtype == field.dtype
                # As matrix products round by the place in memory.
                assert batch[name].data_ptr() % 64 == 0
                assert batch[name].stride() == field.stride()


SHAPES = [(1, 8, 8), (3, 5, 7), (1, 9, 4), (2, 16, 3)]


@pytest.mark.parametrize("size", [1, 7, 10, 64])
@pytest.mark.parametrize("shape", SHAPES)
def test_pictures_get_the_same_bits_together_and_alone(shape: tuple[int, ...], size: int) -> None:
    split = pictures(4 * size + (size + 1) // 2, shape)
    everything = (InputsChanged(CHANGES), Noise(0.2), Mixup(0.4, CLASSES))
    assert_same_alone(split, size, InTurn(everything))


@pytest.mark.parametrize("change", [*CHANGES, Noise(0.2), Mixup(0.4, CLASSES)])
def test_each_change_has_the_same_bits_together_and_alone(change: Any) -> None:
    augment = change if isinstance(change, Noise | Mixup) else InputsChanged((change,))
    assert_same_alone(pictures(53, (1, 5, 7)), 10, augment)


@pytest.mark.parametrize("shape", SHAPES)
def test_masks_are_moved_to_the_same_bits_together_and_alone(shape: tuple[int, ...]) -> None:
    split = pictures(53, shape, masks=True)
    assert_same_alone(split, 10, InputsChanged(CHANGES, has_masks=True))


def test_a_function_draws_after_what_comes_before_it_and_when_it_is_asked() -> None:
    """A transform of a plugin: its settings may be edited between two batches."""
    share = 1.0

    def dimmed(batch: Batch, generator: torch.Generator) -> Batch:
        noise = torch.rand(len(batch["target"]), generator=generator)
        return {**batch, "input": batch["input"] * share + noise[:, None, None, None]}

    split = pictures(40, (1, 4, 4))
    of_the_data = combine_augments([InputsChanged(CHANGES), Mixup(0.4, CLASSES)])
    assert of_the_data is not None
    augment = combine_augments([of_the_data, dimmed, Noise(0.2)])
    assert isinstance(augment, InTurn)
    assert len(augment.augments) == 4, "those of the data are applied together"
    assert_same_alone(split, 8, augment)

    batches = DeviceBatches(split.shuffled(Order(8, seed=2)), CPU, augment, seed=5).epoch(0)
    before = inputs_alone(split, augment)
    assert next(batches)["input"].equal(before[0])
    share = 0.5
    assert next(batches)["input"].equal(inputs_alone(split, augment)[1])
    assert not before[1].equal(inputs_alone(split, augment)[1])


def inputs_alone(split: TensorSplit, augment: Augment) -> list[Tensor]:
    assert split.ready is not None
    epoch = enumerate(split.shuffled(Order(8, seed=2)).epoch(0))
    return [augment(split.ready(batch), generator(0, index))["input"] for index, batch in epoch]
