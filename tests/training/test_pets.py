"""The example whose samples have a picture, a text and numbers: trained, cut, edited, predicted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.plugins import restored
from tests.training.harness import Run, at_step, cut_at, same, small_experiment
from tests.training.test_prediction import predictor
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.plugin_loader import LOADED, load_plugins
from tui_trainer.runs.commands import Set
from tui_trainer.training.trial import try_step

PETS = Path(__file__).resolve().parents[2] / "examples" / "pets.py"


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        load_plugins([PETS])
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    sys.modules[LOADED[str(PETS)].module].write_pets(tmp_path / "pets", 60)
    return tmp_path / "pets"


def experiment(data: Path, workers: int = 0) -> Experiment:
    return small_experiment(
        data,
        dataset={"type": "pets", "path": str(data)},
        model={"type": "appraiser", "width": 8},
        loss={"type": "pinball"},
        training={"epochs": 2, "grad_accumulation": 1},
        checkpoint={"monitor": "within_one"},
        loader={"num_workers": workers},
    )


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.processes)])
def test_cut_at_any_step_it_equals_the_whole_run_and_predicts_alike(
    tmp_path: Path, data: Path, workers: int
) -> None:
    whole = Run.new(tmp_path / "whole", experiment(data))
    edit = Set(key="loss.quantile", value=0.8)
    outcome = whole.start(at_step(3, edit))
    assert outcome.state == "finished"
    last = whole.final()["progress"]["step"]
    files = [str(data / f"{number:03}.json") for number in (0, 7)]
    wanted = [predictor(whole).file(file).samples for file in files]
    # Every step is a cut of one of the two runs without workers.
    ways = [(2, 4, last - 1)] if workers else [range(first, last, 2) for first in (1, 2)]
    for number, steps in enumerate(ways):
        cut = Run.new(tmp_path / f"cut-{number}", experiment(data, workers))
        assert cut_at(cut, steps, at_step(3, edit)).state == "finished"
        assert cut.lines() == whole.lines()
        assert same(cut.final(), whole.final())
    assert [predictor(cut).file(file).samples for file in files] == wanted
    plain = Run.new(tmp_path / "plain", experiment(data))
    plain.start()
    assert plain.lines()[:3] == whole.lines()[:3]
    assert plain.lines()[3:] != whole.lines()[3:], "the edit changed something"
    assert outcome.best is not None
    measured = [line["val/within_one"] for line in whole.lines() if "val/within_one" in line]
    assert outcome.best["value"] == max(measured)


def test_a_prediction_is_what_the_model_gives_for_the_sample(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", experiment(data))
    try_step(run.task())
    run.start()
    loaded = predictor(run)
    # Of different numbers of words, so that one of them is padded in a batch but not alone.
    batch = next(run.task().dataset.test.in_order(12))
    assert "words_lengths" in batch
    lengths = batch["words_lengths"]
    together = loaded.model(
        batch["picture"],
        batch["words"],
        batch["numbers"],
        words_mask=lengths[:, None] > torch.arange(batch["words"].shape[1]),
    ).squeeze(1)
    by_price = {
        json.loads(file.read_text())["price"]: loaded.file(str(file)).samples[0].value
        for file in data.glob("*.json")
    }
    for target, value in zip(batch["target"].squeeze(1).tolist(), together.tolist(), strict=True):
        price = min(by_price, key=lambda price: abs(price - target))
        assert by_price[price] == pytest.approx(value, rel=1e-4)
