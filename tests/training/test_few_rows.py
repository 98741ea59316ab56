"""Runs without rows for validation or a test train, resume exactly, and say what they lack."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.commands import Stop, Validate
from tui_trainer.runs.events import CommandApplied, RunStarted, ValidationEnded, ValidationStarted
from tui_trainer.runs.view import RunView
from tui_trainer.text.errors import BadInput, ConfigError
from tui_trainer.training.evaluation import evaluate

NO_VAL = {"val_fraction": 0.0}
NO_TEST = {"test_fraction": 0.0}
NEITHER = NO_VAL | NO_TEST


def experiment(data: Path, shares: dict[str, float], **sections: object) -> Experiment:
    stopping = {"early_stopping": {"patience": None}}
    return small_experiment(data, dataset=shares, **{**stopping, **sections})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images.csv")


@pytest.mark.parametrize("shares", [NO_VAL, NO_TEST, NEITHER], ids=str)
def test_a_run_without_a_split_ends_well_and_resumes_exactly(
    tmp_path: Path, data: Path, shares: dict[str, float]
) -> None:
    uncut = Run.new(tmp_path / "uncut", experiment(data, shares))
    outcome = uncut.start()
    run = Run.new(tmp_path / "run", experiment(data, shares))
    assert run.start(at_step(5, Stop())).step == 5
    run.resume()

    assert outcome.state == "finished", outcome.reason
    assert (outcome.best is None) == ("val_fraction" in shares)
    assert (outcome.test is None) == ("test_fraction" in shares)
    has_validated = any(isinstance(event, ValidationStarted) for event in uncut.events)
    assert has_validated == ("val_fraction" not in shares)
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())
    notes = next(event for event in uncut.events if isinstance(event, RunStarted)).notes
    assert ("no pictures for validation" in " ".join(notes)) == ("val_fraction" in shares)
    assert ("no pictures for a test" in " ".join(notes)) == ("test_fraction" in shares)


def test_nothing_is_left_of_a_run_without_a_test(tmp_path: Path, data: Path) -> None:
    asked = experiment(data, NO_TEST, training={"validate_every_steps": 5})
    run = Run.new(tmp_path / "run", asked)
    outcome = run.start()

    assert (outcome.state, outcome.is_test_cut, outcome.test) == ("finished", False, None)
    validated = [event.step for event in run.events if isinstance(event, ValidationEnded)]
    assert validated == [5, 10, 15, 16]
    view = RunView("run")
    for event in [*run.events, outcome]:
        view.apply(event)
    assert not view.lacks_only_test


def test_what_needs_a_validation_is_refused_by_name_before_the_first_step(
    tmp_path: Path, data: Path
) -> None:
    asked = experiment(
        data,
        NO_VAL,
        early_stopping={"patience": 3},
        checkpoint={"monitor": "accuracy"},
        schedule={"type": "plateau"},
    )
    with pytest.raises(ConfigError) as caught:
        Run.new(tmp_path / "run", asked).task()
    message = str(caught.value)
    for key in ("early_stopping.patience", "checkpoint.monitor", "schedule.type"):
        assert f"{key}: needs a validation, and dataset.val_fraction=0" in message


def test_a_validation_on_demand_and_an_evaluation_say_that_there_are_no_rows(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", experiment(data, NEITHER))
    run.start(at_step(3, Validate()))

    (answer,) = [event for event in run.events if isinstance(event, CommandApplied)]
    assert answer.refused == "there is no data for validation: dataset.val_fraction is 0"
    for split in ("val", "test"):
        with pytest.raises(
            BadInput, match=rf"no pictures in the split {split}: .*--split measures"
        ):
            evaluate(run.directory, run.experiment, torch.device("cpu"), split, "last")
    assert evaluate(run.directory, run.experiment, torch.device("cpu"), "train", "last").metrics


def test_how_sure_a_test_on_few_rows_is_is_said(tmp_path: Path, data: Path) -> None:
    shares = {"test_fraction": 0.5}
    task = Run.new(tmp_path / "run", experiment(data, shares)).task()
    assert "the test has 36 pictures: an accuracy is known to 16 points or better" in " ".join(
        task.dataset.notes
    )
    more = write_images(tmp_path / "more.csv", rows=500)
    task = Run.new(tmp_path / "more", experiment(more, shares)).task()
    assert "the test has" not in " ".join(task.dataset.notes)
