"""Exact resume with every optimizer and every schedule: cut at each step, in short runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.sections.optimizers import OPTIMIZERS
from tui_trainer.config.sections.schedules import SCHEDULES
from tui_trainer.runs.commands import Command, Save, Set, Stop, Validate
from tui_trainer.runs.events import Event, Notice, StepsTaken
from tui_trainer.training.progress import Progress

STEPS = 7
PLATEAU = {"type": "plateau", "patience": 1, "factor": 0.5, "threshold": 9.0, "warmup_steps": 2}
PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "sgd", "momentum": 0.9, "nesterov": True}, {"type": "polynomial", "power": 2.0}),
    ({"type": "adamw"}, {"type": "step", "every": 1, "gamma": 0.5, "warmup_steps": 2}),
    ({"type": "rmsprop", "momentum": 0.9, "centered": True}, {"type": "exponential"}),
    ({"type": "adagrad", "lr_decay": 0.1}, {"type": "milestones", "at": [1, 2]}),
    ({"type": "nadam", "weight_decay": 0.1}, {"type": "wsd", "shape": "1-sqrt"}),
    ({"type": "radam"}, PLATEAU),
    ({"type": "adafactor"}, {"type": "one_cycle"}),
    ({"type": "muon"}, {"type": "linear", "warmup_steps": 1}),
]
# Their parts are proved one by one: by the pairs above, by `test_optimizers` and `test_resume`.
FURTHER_PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "adam", "weight_decay": 0.1, "decay": "matrices"}, {"type": "cosine"}),
    ({"type": "muon", "adjust_lr_fn": "match_rms_adamw"}, PLATEAU),
    ({"type": "adamw"}, {"type": "constant", "warmup_steps": 3}),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def short(data: Path, optimizer: dict[str, Any], schedule: dict[str, Any]) -> Experiment:
    return small_experiment(
        data,
        optimizer={"lr": 0.01, **optimizer},
        schedule=schedule,
        training={"max_steps": STEPS, "validate_every_steps": 1, "epochs": None},
        early_stopping={"patience": None},
        checkpoint={"every_steps": 1},
    )


def edits() -> Any:
    return at_step(3, Set(key="optimizer.weight_decay", value=0.2))


def test_every_optimizer_and_every_schedule_is_in_a_pair() -> None:
    assert {optimizer["type"] for optimizer, _ in PAIRS + FURTHER_PAIRS} == set(OPTIMIZERS.names)
    assert {schedule["type"] for _, schedule in PAIRS + FURTHER_PAIRS} == set(SCHEDULES.names)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [*PAIRS, *(pytest.param(*pair, marks=pytest.mark.further) for pair in FURTHER_PAIRS)],
    ids=lambda section: str(section["type"]),
)
def test_cut_at_each_step_it_equals_the_uncut_run(
    tmp_path: Path, data: Path, optimizer: dict[str, Any], schedule: dict[str, Any]
) -> None:
    experiment = short(data, optimizer, schedule)
    uncut = Run.new(tmp_path / "uncut", experiment)
    assert uncut.start(edits()).step == STEPS
    lines, final = uncut.lines(), uncut.final()
    assert len({line["lr"] for line in lines}) > 1, "the schedule has something to lose"
    # Each resume goes on from one step less and trains to the end again: every step is a cut.
    for step in range(STEPS - 1, 0, -1):
        assert uncut.resume(which=str(step)).step == STEPS
        assert uncut.lines() == lines
        assert same(uncut.final(), final)


def test_a_validation_on_demand_does_not_move_the_plateau(tmp_path: Path, data: Path) -> None:
    experiment = short(data, {"type": "sgd"}, PLATEAU)
    quiet = Run.new(tmp_path / "quiet", experiment)
    quiet.start()

    def ask(event: Event) -> Sequence[Command]:
        return (Validate(), Save()) if isinstance(event, StepsTaken) else ()

    asked = Run.new(tmp_path / "asked", experiment)
    asked.start(ask)
    assert asked.lines() == quiet.lines()
    assert same(asked.final(), quiet.final())


def test_the_fall_of_a_plateau_is_told_with_both_rates(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", short(data, {"type": "sgd"}, PLATEAU))
    run.start()
    told = [e for e in run.events if isinstance(e, Notice) and e.text.startswith("plateau")]
    assert [event.step for event in told] == [3, 5, 7]
    assert told[0].text == (
        "plateau: no better loss in 2 validations; "
        "the learning rate falls from 0.01 to 0.005 after step 3"
    )
    assert [line["lr"] for line in run.lines()] == pytest.approx(
        [0.005, 0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025]
    )


def test_the_validation_that_closes_a_run_does_not_move_the_plateau(
    tmp_path: Path, data: Path
) -> None:
    def by(max_steps: int) -> Experiment:
        return small_experiment(
            data,
            schedule={**PLATEAU, "patience": 0},
            training={"max_steps": max_steps, "validate_every_steps": 2},
            early_stopping={"patience": None},
        )

    longer = Run.new(tmp_path / "longer", by(STEPS))
    longer.start()
    run = Run.new(tmp_path / "run", by(5))
    run.start()
    run.experiment = by(STEPS)
    run.resume()
    assert run.lines() == longer.lines()
    assert same(run.final(), longer.final())


def test_a_cut_between_the_steps_and_the_validation_feeds_the_plateau_once(
    tmp_path: Path, data: Path
) -> None:
    experiment = short(data, {"type": "sgd"}, PLATEAU)
    uncut = Run.new(tmp_path / "uncut", experiment)
    uncut.start()
    run = Run.new(tmp_path / "run", experiment)
    run.start(at_step(4, Stop()))
    run.resume()
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_progress_of_an_older_checkpoint_has_not_fallen() -> None:
    plain = Progress(step=3).to_dict()
    del plain["plateau"]
    assert Progress.from_dict(plain) == Progress(step=3)
