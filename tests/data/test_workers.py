"""Batches of map-style data are the same whoever makes them, and lost ones are explained."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.data.mapped_samples import Broken, Growing, Noisy, Staged
from tui_trainer.config.sections.training import LoaderSection
from tui_trainer.data.base.split import BatchLost, Order
from tui_trainer.data.batches.collation import collate
from tui_trainer.data.batches.mapped import LoadedBatches, MapSplit
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.workers import WorkerPool
from tui_trainer.data.feed import TensorMaker
from tui_trainer.problems.batch import IGNORED, Batch

ORDER = Order(batch_size=8, seed=3)
MANY = [0, 2, pytest.param(4, marks=pytest.mark.full)]


@pytest.fixture
def pools() -> Iterator[Any]:
    made: list[WorkerPool] = []

    def make(workers: int, **settings: Any) -> WorkerPool:
        pool = WorkerPool(LoaderSection(num_workers=workers, **settings))
        made.append(pool)
        return pool

    yield make
    for pool in made:
        pool.close()


def split_of(dataset: Any, pool: WorkerPool, part: str = "train") -> MapSplit:
    return MapSplit(dataset, torch.arange(len(dataset))).through(pool, part, seed=5)


def plain(batch: Batch) -> dict[str, Any]:
    return {name: field.tolist() for name, field in batch.items()}


def drawn(split: MapSplit, *epochs: tuple[int, int]) -> list[Any]:
    batches = split.shuffled(ORDER)
    return [plain(batch) for epoch, start in epochs for batch in batches.epoch(epoch, start)]


def states() -> list[Any]:
    numbers = np.random.get_state()
    return [torch.get_rng_state().tolist(), random.getstate(), str(numbers)]


@pytest.mark.parametrize("workers", MANY)
def test_batches_do_not_depend_on_the_number_of_workers(pools: Any, workers: int) -> None:
    expected = drawn(split_of(Noisy(), pools(0)), (0, 0), (1, 0))
    before = states()
    assert drawn(split_of(Noisy(), pools(workers)), (0, 0), (1, 0)) == expected
    assert states() == before
    assert len(expected) == 14


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_can_begin_anywhere(pools: Any, workers: int) -> None:
    split = split_of(Noisy(), pools(workers))
    whole = drawn(split, (2, 0))
    for start in (1, 4, 6, 7):
        assert drawn(split, (2, start)) == whole[start:]


def test_workers_stay_from_epoch_to_epoch_and_end_when_closed(pools: Any) -> None:
    pool = pools(2)
    split = split_of(Noisy(), pool)
    drawn(split, (0, 0))
    first = pool.pids
    assert len(first) == 2
    drawn(split, (1, 0))
    assert pool.pids == first
    pool.close()
    for pid in first:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.full
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
@pytest.mark.parametrize("persistent", [True, False])
def test_every_way_of_starting_gives_the_same(pools: Any, method: str, persistent: bool) -> None:
    pool = pools(2, start_method=method, persistent_workers=persistent, prefetch_factor=1)
    expected = drawn(split_of(Noisy(), pools(0)), (0, 0), (1, 3))
    assert drawn(split_of(Noisy(), pool), (0, 0), (1, 3)) == expected


@pytest.mark.parametrize("workers", [0, 2])
def test_a_validation_in_the_middle_of_an_epoch_changes_nothing(pools: Any, workers: int) -> None:
    expected = drawn(split_of(Noisy(), pools(0)), (0, 0))
    pool = pools(workers)
    train, val = split_of(Noisy(), pool), split_of(Noisy(20), pool, "val")
    batches = train.shuffled(ORDER).epoch(0)
    found = [plain(batch) for batch in islice(batches, 2)]
    measured = [plain(batch) for batch in val.in_order(6)]
    found += [plain(batch) for batch in islice(batches, 1)]
    assert [plain(batch) for batch in val.in_order(6)] == measured
    # One that is broken off, for a stop.
    assert plain(next(val.in_order(6))) == measured[0]
    found += [plain(batch) for batch in batches]
    assert found == expected
    assert len(measured) == val.count(6) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_tensors_in_memory_give_the_same_bits_through_workers(pools: Any, workers: int) -> None:
    dice = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 200, (30, 7), generator=dice, dtype=torch.uint8)
    lengths = torch.randint(1, 8, (30,), generator=dice)
    split = TensorSplit(tokens, torch.arange(30), torch.arange(30) + 100, lengths)
    pool = pools(workers)
    pool.add("train", TensorMaker(split))
    loaded = LoadedBatches(pool, "train", split.rows, ORDER, by_row=False)
    direct = split.shuffled(ORDER)
    for epoch, start in ((0, 0), (1, 2)):
        for one, other in zip(loaded.epoch(epoch, start), direct.epoch(epoch, start), strict=True):
            assert plain(one) == plain(other)
            assert one["input"].dtype == other["input"].dtype
    assert loaded.rows(1, 3) == direct.rows(1, 3)
    assert [loaded.size(index) for index in range(4)] == [direct.size(i) for i in range(4)]


def test_ranks_share_each_batch() -> None:
    split = MapSplit(Noisy(21), torch.arange(21))
    whole = split.shuffled(ORDER)
    for world in (2, 3):
        parts = [
            list(split.shuffled(Order(8, 3, rank=rank, world=world)).epoch(0))
            for rank in range(world)
        ]
        for number, batch in enumerate(whole.epoch(0)):
            shares = [part[number]["target"] for part in parts]
            assert torch.cat(shares).equal(batch["target"])


def test_sequences_are_padded_and_have_lengths(pools: Any) -> None:
    split = MapSplit(Growing(), torch.tensor([3, 0, 2]))
    batch = next(split.in_order(3))
    assert batch["input"].shape == (3, 4, 2)
    assert batch["input"].dtype == torch.float32
    assert "lengths" in batch
    assert batch["lengths"].tolist() == [4, 1, 3]
    assert batch["input"][1].tolist() == [[0, 0]] * 4
    assert batch["target"].dtype == torch.int64


def test_targets_at_each_place_are_padded_with_what_is_not_measured() -> None:
    samples = [{"input": torch.arange(n), "target": torch.arange(n)} for n in (2, 4)]
    batch = collate(samples)
    assert batch["target"][0].tolist() == [0, 1, IGNORED, IGNORED]


def test_fault_20_a_sample_that_raises_is_named_with_its_file(pools: Any) -> None:
    for workers in (0, 2):
        with pytest.raises(BatchLost) as caught:
            drawn(split_of(Broken(), pools(workers)), (0, 0))
        assert str(caught.value) == (
            "sample 17 of the data set (sample-17.png) cannot be read: "
            "OSError: truncated\\x1b[31m file"
        )
        assert "in __getitem__" in caught.value.details


class Odd:
    """Samples that are none, or do not go together."""

    def __init__(self, *samples: Any) -> None:
        self._samples = samples

    def __getitem__(self, index: int) -> Any:
        return self._samples[index]

    def __len__(self) -> int:
        return len(self._samples)


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (["abc"], "a sample is a pair (input, target), or a dict of names and values, not str"),
        ([({}, 1)], "TypeError: the input is of type dict, not numbers; make it a tensor"),
        ([(["a"], 1)], "the input is not an array of numbers"),
        (
            [(torch.zeros(2, 3), 0), (torch.zeros(2, 4), 0)],
            "samples 0, 1 of the data set: their input is 2x3 of float32, and 2x4 of float32; "
            "only the first dimension may differ",
        ),
        (
            [(torch.zeros(2), 0), (torch.zeros(2), 0.5)],
            "their target is a number of int64, and",
        ),
    ],
)
def test_fault_20_samples_that_do_not_fit_are_described(samples: list[Any], text: str) -> None:
    with pytest.raises(BatchLost) as caught:
        drawn(MapSplit(Odd(*samples), torch.arange(len(samples))), (0, 0))
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ("kill", "was killed by SIGKILL: out of memory?"),
        ("bus", "was killed by SIGBUS: /dev/shm has "),
        ("exit", "ended with status 3"),
        ("hang", "no batch came from 2 workers for 1 s: the data set hangs, or is slow"),
    ],
)
def test_fault_19_a_worker_that_is_lost_is_explained_in_time(
    pools: Any, tmp_path: Path, order: str, text: str
) -> None:
    told = tmp_path / "order"
    # On a busy machine a healthy worker takes long: only one that hangs is waited for briefly.
    pool = pools(2, timeout_s=120.0)
    patient = pool.settings
    split = split_of(Staged(told), pool)
    expected = drawn(split, (0, 0))
    told.write_text(order)
    if order == "hang":
        pool.settings = patient.model_copy(update={"timeout_s": 1.0})
    with pytest.raises(BatchLost) as caught:
        drawn(split, (0, 0))
    pool.settings = patient
    assert text in str(caught.value)
    assert "loader.num_workers=0" in str(caught.value)
    assert pool.pids == []
    told.unlink()
    # Whoever asks again gets the batches from new workers.
    assert drawn(split, (0, 0)) == expected


def test_a_stop_breaks_off_the_wait_for_a_batch(pools: Any, tmp_path: Path) -> None:
    told = tmp_path / "order"
    told.write_text("hang")
    pool = pools(2, timeout_s=60.0)
    pool.interrupted = lambda: True
    with pytest.raises(BatchLost, match="stopped while waiting"):
        drawn(split_of(Staged(told), pool), (0, 0))
    assert pool.pids == []


@pytest.mark.parametrize("method", [pytest.param("spawn", marks=pytest.mark.further), "forkserver"])
def test_workers_do_not_see_the_signals_of_a_terminal(pools: Any, method: str) -> None:
    pool = pools(1, start_method=method)
    split = split_of(Noisy(), pool)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    batches = split.shuffled(ORDER).epoch(0)
    next(batches)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before
    (pid,) = pool.pids
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(pid, number)
    assert len(list(batches)) == 6
    assert pool.pids == [pid]
