"""Runs on iterables: cut anywhere they equal the uncut ones, with a state or read again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset

from tests.training.harness import Run, at_step, cut_at, same
from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.tree import Place, Tree
from tui_trainer.data.base.split import BatchLost, Order
from tui_trainer.data.batches.iterated import IteratedBatches, IteratedSplit
from tui_trainer.plugins import Data, DatasetParams, dataset, setting
from tui_trainer.runs.commands import Stop, Validate
from tui_trainer.runs.events import RunStarted
from tui_trainer.text.errors import BadInput

STEPS = 9


class Points(Dataset[Any]):
    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3,), float(index % 2)), index % 2


class Stream(IterableDataset[Any]):
    """Draws with every generator; each pass goes on where the one before ended."""

    def __init__(self, most: int = 10_000) -> None:
        self.place = 0
        self.passes: list[int] = []
        self.most = most

    def set_epoch(self, epoch: int) -> None:
        self.passes.append(epoch)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        for _ in range(self.most):
            self.place += 1
            noise = torch.rand(3) + random.random() + float(np.random.rand())
            yield noise + 2.0 * (self.place % 2) + self.place / 100, self.place % 2


class Keeping(Stream):
    def state_dict(self) -> dict[str, Any]:
        return {"place": self.place, "seen": [self.place]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.place = state["place"]


class Afresh(Stream):
    """Each pass begins with the first sample."""

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        self.place = 0
        return super().__iter__()


class Params(DatasetParams):
    kept: bool = setting(True, "whether it keeps a state")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    from tui_trainer.config.sections.datasets import DATASETS

    if DATASETS.find("test-stream") is None:

        @dataset("test-stream", description="points in a stream", params=Params)
        def stream(params: Params) -> Data:
            train = Keeping() if params.kept else Afresh()
            return Data(train, Points(), Points(), classes=("a", "b"), samples_per_epoch=22)

    yield
    DATASETS._specs.pop("test-stream", None)
    DATASET_FACTORIES.pop("test-stream", None)


def experiment(**section: Any) -> Experiment:
    values: dict[str, Any] = {
        "dataset": {"type": "test-stream", **section},
        "model": {"type": "mlp", "layers": [6], "dropout": 0.2},
        "optimizer": {"type": "adamw", "lr": 0.01},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        # 22 samples: 5 micro-batches an epoch, the last of 2, in 3 steps.
        "training": {"epochs": 3, "batch_size": 5, "grad_accumulation": 2},
        "logging": {"every_steps": 1, "every_seconds": 1e-6},
        "checkpoint": {"every_seconds": None, "keep_last": 100},
    }
    return resolve(Tree(values, {(): Place("test")}), "small")


@pytest.mark.parametrize("kept", [True, False])
def test_fault_12_a_run_on_an_iterable_cut_at_each_step_equals_the_uncut_one(
    tmp_path: Path, *, kept: bool
) -> None:
    uncut = Run.new(tmp_path / "uncut", experiment(kept=kept))
    assert uncut.start(at_step(4, Validate())).step == STEPS
    for first in (1, 2):
        run = Run.new(tmp_path / f"cut-{first}", experiment(kept=kept))
        assert cut_at(run, range(first, STEPS, 2)).step == STEPS
        assert run.lines() == uncut.lines()
        assert same(run.final(), uncut.final())


def test_a_run_says_how_it_goes_on(tmp_path: Path) -> None:
    run = Run.new(tmp_path / "run", experiment(kept=False))
    run.start(at_step(1, Stop()))
    notes = next(event for event in run.events if isinstance(event, RunStarted)).notes
    assert any("reads again from the start of the epoch" in note for note in notes)


def batches(stream: Any, samples: int = 10, size: int = 4) -> IteratedBatches:
    return IteratedBatches(IteratedSplit(stream, samples), Order(size, 7))


def test_an_epoch_is_so_many_samples_and_the_generators_are_left_alone() -> None:
    before = torch.get_rng_state(), random.getstate()
    stream = Afresh()
    found = list(batches(stream).epoch(2))
    assert [len(batch["target"]) for batch in found] == [4, 4, 2]
    assert stream.passes == [2]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    again = list(batches(Afresh()).epoch(2, start=1))
    assert torch.equal(again[0]["input"], found[1]["input"])


def test_an_iterable_that_ends_too_early_says_both_numbers() -> None:
    with pytest.raises(BatchLost, match="ended after 6 samples, but an epoch has 10"):
        list(batches(Afresh(most=6)).epoch(0))


def test_a_sample_that_cannot_be_read_is_named() -> None:
    def broken() -> Iterator[tuple[Tensor, int]]:
        yield torch.zeros(3), 0
        raise OSError("the tape tore")

    class Broken:
        def __iter__(self) -> Iterator[tuple[Tensor, int]]:
            return broken()

    with pytest.raises(BatchLost, match=r"sample 1 of the iterable.*OSError: the tape tore"):
        list(batches(Broken()).epoch(0))


def test_a_state_that_no_checkpoint_takes_is_refused() -> None:
    class Odd(Keeping):
        def state_dict(self) -> dict[str, Any]:
            return {"place": np.int64(3)}

    with pytest.raises(BadInput, match=r"state_dict\(\)\['place'\] is of type int64"):
        next(batches(Odd()).epoch(0))


def test_a_state_is_that_of_what_was_trained_on_and_not_of_what_was_read() -> None:
    source = batches(Keeping())
    ahead = source.epoch(0)
    next(ahead), next(ahead)
    state = source.state(0, 1)
    assert state is not None
    assert state["dataset"]["place"] == 4
    assert source.state(0, 3) is None
