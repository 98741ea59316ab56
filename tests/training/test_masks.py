"""Training on images with a mask, and predicting the masks of new ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.bars import SIDE, experiment, picture, registered
from tests.training.harness import Run, cut_at, same
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.errors import BadInput
from tui_trainer.training.baseline_costs import is_affordable
from tui_trainer.training.baselines import READ_OPERATIONS, baselines_of, compute
from tui_trainer.training.checkpoints import choose_checkpoint
from tui_trainer.training.evaluation import evaluate
from tui_trainer.training.prediction import Predictor

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


@pytest.mark.parametrize("as_columns", [False, True], ids=["samples", "columns"])
def test_a_cut_in_the_middle_equals_the_uncut_run(tmp_path: Path, *, as_columns: bool) -> None:
    asked = experiment(as_columns=as_columns, loss={"type": "dice"})
    whole = Run.new(tmp_path / "whole", asked)
    ending = whole.start()
    assert ending.state == "finished"
    assert ending.test is not None
    assert set(ending.test) == {"loss", "accuracy", "mean_iou", "dice"}
    assert ending.areas is not None
    assert ending.confusion is not None
    assert sum(map(sum, ending.confusion)) == 12 * (SIDE * SIDE - 1)
    assert [row[0] for row in ending.areas] == list(map(sum, ending.confusion))
    cut = Run.new(tmp_path / "cut", asked)
    assert cut_at(cut, (1, 5)).state == "finished"
    assert cut.lines() == whole.lines()
    assert same(cut.final(), whole.final())


@pytest.mark.parametrize("loss", ["cross_entropy", "dice"])
def test_the_size_of_a_batch_does_not_change_the_test(tmp_path: Path, loss: str) -> None:
    found = []
    for size in (1, 5, 60):
        training = {"epochs": 1, "batch_size": 8, "eval_batch_size": size, "metrics": ["dice"]}
        asked = experiment(training=training, loss={"type": loss})
        outcome = Run.new(tmp_path / str(size), asked).start()
        assert outcome.test is not None
        found.append(outcome.test)
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("as_columns", [False, True], ids=["samples", "columns"])
def test_the_majority_is_that_of_the_pixels_that_count(tmp_path: Path, *, as_columns: bool) -> None:
    data = Run.new(tmp_path / "run", experiment(as_columns=as_columns)).task().dataset
    targets = torch.cat([batch["target"] for batch in data.test.in_order(5)])
    share = float((targets[targets != IGNORED] == 0).float().mean())
    assert compute(baselines_of(data, data.test)) == {
        "majority_class": {
            "accuracy": pytest.approx(share, rel=1e-6),
            "mean_iou": pytest.approx(share / 3, rel=1e-6),
        }
    }


def test_reading_a_large_data_set_again_for_the_majority_is_not_affordable(tmp_path: Path) -> None:
    data = Run.new(tmp_path / "run", experiment()).task().dataset
    (baseline,) = baselines_of(data, data.test)
    assert baseline.cost == (41 + 12) * SIDE * SIDE * READ_OPERATIONS
    assert is_affordable(baseline, 0)
    assert not is_affordable(replace(baseline, cost=10**6 * 3 * 256 * 256 * READ_OPERATIONS), 10**9)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.full)])
def test_an_evaluation_reads_what_the_majority_needs(tmp_path: Path, workers: int) -> None:
    training = {"epochs": 1, "batch_size": 20}
    run = Run.new(tmp_path / "run", experiment(training=training, loader={"num_workers": workers}))
    ending = run.start()
    assert ending.baseline is not None
    for only_baselines in (False, True):
        found = evaluate(
            run.directory, run.experiment, CPU, "test", "last", only_baselines=only_baselines
        )
        assert found.baseline == ending.baseline
        assert bool(found.metrics) != only_baselines


def test_masks_of_new_images_are_predicted_better_than_the_majority(tmp_path: Path) -> None:
    training = {"epochs": 20, "batch_size": 8, "eval_batch_size": None}
    asked = experiment(training=training, checkpoint={"every_steps": 100}, as_columns=True)
    run = Run.new(tmp_path / "run", asked)
    ending = run.start()
    assert ending.test is not None
    assert ending.baseline is not None
    assert ending.test["mean_iou"] > 0.8
    assert ending.baseline["majority_class"]["mean_iou"] < 0.3
    checkpoint, _ = choose_checkpoint(run.directory.checkpoints, "last", "run")
    predictor = Predictor(checkpoint, run.experiment, CPU)
    images, masks = zip(*map(picture, range(100, 120)), strict=True)
    samples = predictor.predicted(Unseen(torch.stack(images), tuple(map(str, range(20)))))
    right = 0
    for sample, mask in zip(samples, masks, strict=True):
        predicted = sample.prediction.mask
        assert predicted is not None
        right += int((predicted == mask).sum())
        assert sum(sample.shares.values()) == pytest.approx(1)
        assert sample.shares["ground"] == pytest.approx(float((predicted == 0).float().mean()))
    assert right / (20 * (SIDE * SIDE - 1)) > 0.95


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"loss": {"type": "binary_cross_entropy"}}, "not a loss for segm.*=cross_entropy or foc"),
        ({"model": {"type": "cnn"}}, "cnn gives one prediction for each sample.*use unet"),
        ({"model": {"type": "unet", "depth": 4}}, "use at most 3"),
        ({"checkpoint": {"monitor": "f1"}}, "f1 is not a metric of segmentation"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, sections: Any, text: str) -> None:
    with pytest.raises(BadInput, match=text):
        Run.new(tmp_path / "run", experiment(**sections)).task()
