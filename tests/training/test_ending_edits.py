"""An edit that would end the run at once is made only by someone who says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.harness import Run, at_step, small_experiment, write_images
from tui_trainer.runs.commands import Set, Stop
from tui_trainer.runs.events import CommandApplied, Edited


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def answers(run: Run) -> list[tuple[str, bool]]:
    return [(it.refused, it.can_force) for it in run.events if isinstance(it, CommandApplied)]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("training.epochs", 2, "2 epochs are done"),
        ("training.epochs", 1, "2 epochs are done"),
        ("training.max_steps", 7, "7 steps are done"),
        ("training.max_seconds", 1e-9, "1e-09 s have passed"),
        ("early_stopping.threshold", 99.0, "loss reached 99"),
    ],
)
def test_an_edit_that_would_end_the_run_is_refused_with_what_is_done(
    tmp_path: Path, data: Path, key: str, value: float, reason: str
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(at_step(7, Set(key=key, value=value)))
    assert outcome.step == 12
    assert answers(run) == [(f"{reason}: this ends the run now", True)]
    assert not run.directory.edits.exists()


def test_a_forced_edit_ends_the_run(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(at_step(7, Set(key="training.epochs", value=1, force=True)))
    assert (outcome.state, outcome.step, outcome.reason) == ("finished", 7, "2 epochs are done")
    assert answers(run) == [("", False)]
    (edit,) = [event for event in run.events if isinstance(event, Edited)]
    assert (edit.old, edit.new) == (4, 1)


def test_a_lower_limit_that_is_not_reached_yet_needs_no_second_question(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(at_step(7, Set(key="training.epochs", value=3)))
    assert (outcome.step, outcome.reason) == (9, "3 epochs are done")
    assert answers(run) == [("", False)]


def test_patience_below_what_is_used_up_is_asked_about(tmp_path: Path, data: Path) -> None:
    # No change is ever large enough, so every validation but the first uses patience up.
    stopping = {"patience": 9, "min_delta": 100.0}
    run = Run.new(tmp_path / "run", small_experiment(data, early_stopping=stopping))
    outcome = run.start(at_step(11, Set(key="early_stopping.patience", value=2)))
    assert outcome.step == 12
    reason = "no improvement in 2 validations: this ends the run now"
    assert answers(run) == [(reason, True)]


def test_a_run_past_its_limit_is_edited_without_a_question(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    edits = (
        Set(key="training.epochs", value=1, force=True),
        Set(key="training.max_steps", value=3),
        Stop(),
    )
    run.start(at_step(7, *edits))
    assert answers(run) == [("", False)] * 3
