"""What a front end makes of the events of a run: its state, its time left, its configuration."""

from __future__ import annotations

import pytest

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.live import edited
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.events import Edited, RunStarted, StepsTaken, ValidationEnded
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.session import TrackedRun


def an_experiment() -> Experiment:
    return PresetLibrary([builtin_dir()]).experiment("penguins-mlp")


def started(step: int = 0, total_steps: int | None = 1000) -> RunStarted:
    return RunStarted(step, 1, "r", "cpu", 1, 1, 10, total_steps, 0)


def taken(step: int, elapsed_s: float) -> StepsTaken:
    return StepsTaken(step, 1, elapsed_s, (0.5,), (0.1,), (0.01,), 9.0, 0.0)


def test_the_time_left_is_known_from_the_second_report_on() -> None:
    view = RunView()
    view.apply(started())
    view.apply(taken(10, 5.0))
    assert view.eta_s is None
    view.apply(taken(110, 6.0))
    assert view.eta_s == pytest.approx(8.9)


def test_the_time_left_of_a_resumed_run_is_by_its_speed_now() -> None:
    view = RunView(step=500, elapsed_s=5000.0)
    view.apply(started(500))
    for step in range(510, 710, 10):
        view.apply(taken(step, 5000.0 + (step - 500) * 0.1))
    assert view.eta_s == pytest.approx(30.0)


def test_the_time_left_follows_a_run_that_became_slower() -> None:
    view = RunView()
    view.apply(started(total_steps=2000))
    for step in range(1, 101):
        view.apply(taken(step, step * 0.1))
    for step in range(101, 201):
        view.apply(taken(step, 10 + (step - 100) * 1.0))
    assert view.eta_s == pytest.approx(1800.0, rel=0.05)


def test_a_limit_of_time_may_be_the_nearer_one() -> None:
    experiment = edited(an_experiment(), "training.max_seconds", 60)
    tracked = TrackedRun(experiment)
    tracked.add([started(), taken(10, 10.0), taken(20, 20.0)])
    assert tracked.view.eta_s == pytest.approx(40.0)
    tracked.add([Edited(20, "training.max_seconds", 60.0, 15.0, "you", 1000)])
    assert tracked.view.eta_s == 0.0


def test_a_run_without_limits_has_no_time_left() -> None:
    view = RunView()
    for event in (started(total_steps=None), taken(10, 10.0), taken(20, 20.0)):
        view.apply(event)
    assert view.eta_s is None


def test_going_back_forgets_a_later_best_and_takes_edits_back_until_their_step() -> None:
    tracked = TrackedRun(an_experiment())
    tracked.add([started(), taken(10, 1.0)])
    tracked.add([Edited(10, "optimizer.lr", 0.1, 0.02, "you", 1000)])
    tracked.add([Edited(30, "optimizer.lr", 0.02, 0.03, "you", 1000)])
    tracked.add([ValidationEnded(30, 3, 3.0, {"loss": 0.5}, 0.1, True, 0)])
    assert tracked.experiment is not None
    assert tracked.experiment.optimizer.lr == 0.03
    tracked.add([started(20)])
    assert tracked.experiment.optimizer.lr == 0.02
    assert (tracked.view.scores.best, tracked.view.scores.best_step, tracked.view.step) == (
        None,
        None,
        20,
    )
