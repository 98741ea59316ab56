"""A session knows the configuration in force of a run, and the limits that it sets."""

from __future__ import annotations

import pytest

from tests.runs.test_view import started, taken
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.events import Edited, ValidationEnded
from tui_trainer.sessions.session import TrackedRun


def an_experiment() -> Experiment:
    return PresetLibrary([builtin_dir()]).experiment("penguins-mlp")


def test_a_limit_of_time_may_be_the_nearer_one() -> None:
    experiment = edited(an_experiment(), "training.max_seconds", 60)
    tracked = TrackedRun(experiment)
    tracked.add([started(), taken(10, 10.0), taken(20, 20.0)])
    assert tracked.view.eta_s == pytest.approx(40.0)
    tracked.add([Edited(20, "training.max_seconds", 60.0, 15.0, "you", 1000)])
    assert tracked.view.eta_s == 0.0


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
    scores = tracked.view.scores
    assert (scores.best, scores.best_step, tracked.view.step) == (None, None, 20)
