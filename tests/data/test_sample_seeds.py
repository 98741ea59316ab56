"""Generators that no sample draws from are not seeded for each, and samples are the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from tests.data.mapped_samples import Drawn
from tui_trainer.data.batches.samples import Failure, SampleMaker
from tui_trainer.problems.batch import Batch

COUNT, SIZE = 96, 16


def late_python(index: int) -> float:
    return random.random() if index > 40 else 0.0


def late_numpy(index: int) -> float:
    return float(np.random.normal()) if index == 90 else 0.0


def late_torch(index: int) -> float:
    return float(torch.rand(())) if index > 60 else 0.0


def one_after_another(index: int) -> float:
    if index < 30:
        return 0.0
    number = float(torch.rand(()))
    if index >= 50:
        number += float(np.random.rand())
    return number + random.random() if index >= 70 else number


def torch_alone(index: int) -> float:
    return float(torch.rand(()))


def always(index: int) -> float:
    return random.random() + float(np.random.rand())


class ByState(Drawn):
    """Its module reads the state of a generator."""


def by_state(index: int) -> float:
    return float(np.random.default_rng(np.random.get_state(legacy=True)[1][0]).random())  # type: ignore[index]


def made(maker: SampleMaker, indices: Sequence[int]) -> Batch:
    batch = maker.make(1, indices)
    assert not isinstance(batch, Failure)
    return batch


@pytest.mark.parametrize(
    ("draw", "twice"),
    [
        (float, 0),
        (late_python, 1),
        (late_numpy, 1),
        (late_torch, 1),
        (one_after_another, 3),
        (torch_alone, 0),
        (always, 0),
        (by_state, 0),
    ],
)
def test_samples_are_those_that_are_seeded_one_by_one(
    draw: Callable[[int], float], twice: int
) -> None:
    samples = (ByState if draw is by_state else Drawn)(COUNT, draw)
    maker, alone = (SampleMaker(samples, 3, "train") for _ in range(2))
    wanted = [made(alone, [index]) for index in range(COUNT)]
    samples.read = 0
    for begin in range(0, COUNT, SIZE):
        batch = made(maker, range(begin, begin + SIZE))
        for row in range(SIZE):
            for name in ("input", "target"):
                assert batch[name][row].equal(wanted[begin + row][name][0])
    assert samples.read == COUNT + twice * SIZE


def test_seeding_is_left_out_where_nothing_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    monkeypatch.setattr(np.random, "seed", seeded.append)
    maker = SampleMaker(Drawn(COUNT, torch_alone), 0, "train")
    torch.manual_seed(7)
    wanted = torch.rand(3), np.random.get_state(legacy=True)[1].tolist(), random.getstate()  # type: ignore[index]
    torch.manual_seed(7)
    for begin in range(0, COUNT, SIZE):
        maker.make(0, range(begin, begin + SIZE))
    assert len(seeded) == SIZE
    assert torch.rand(3).equal(wanted[0])
    assert np.random.get_state(legacy=True)[1].tolist() == wanted[1]  # type: ignore[index]
    assert random.getstate() == wanted[2]
