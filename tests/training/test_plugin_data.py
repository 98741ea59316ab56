"""Training on the samples of a plugin that have a target at each step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run
from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.tree import Place, Tree
from tui_trainer.plugins import Data, DatasetParams, dataset

SAMPLES = 42


class Phrases(torch.utils.data.Dataset[Any]):
    """Texts of different lengths, each by itself."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        text = torch.arange(index, index + 3 + index % 4) % 10
        return text[:-1], text[1:]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    from tui_trainer.config.sections.datasets import DATASETS

    @dataset("test-phrases", description="numbers that go up", params=DatasetParams)
    def phrases(params: DatasetParams) -> Data:
        return Data(Phrases(), problem="language_modelling", vocabulary=10, input_shape=(6,))

    yield
    DATASETS._specs.pop("test-phrases", None)
    DATASET_FACTORIES.pop("test-phrases", None)


def experiment(**training: Any) -> Experiment:
    values: dict[str, Any] = {
        "dataset": {"type": "test-phrases"},
        "model": {"type": "rnn", "cell": "lstm", "hidden": 6},
        "optimizer": {"type": "adamw", "lr": 0.01},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"epochs": 2, "batch_size": 8, **training},
    }
    return resolve(Tree(values, {(): Place("test")}), "small")


def test_a_recurrent_model_takes_nothing_over_from_a_text_to_an_unrelated_one(
    tmp_path: Path,
) -> None:
    found = []
    for size in (1, 5, SAMPLES):
        run = Run.new(tmp_path / str(size), experiment(eval_batch_size=size))
        outcome = run.start()
        assert outcome.state == "finished"
        assert outcome.test is not None
        found.append(outcome.test["loss"])
    assert found[1:] == pytest.approx(found[:1] * 2, rel=1e-5)
