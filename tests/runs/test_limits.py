"""Which limit ends a run, and how far it is raised to train on."""

from __future__ import annotations

import pytest

from tests.runs.views import a_view
from tests.ui.runs import an_experiment
from tui_trainer.config.overrides import edited
from tui_trainer.runs.limits import Done, done_in, limit_reached, proposed_limit, trained_on


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("training.epochs", 72, "72 epochs are done"),
        ("training.epochs", 70, "72 epochs are done"),
        ("training.epochs", 73, None),
        ("training.max_steps", 1656, "1,660 steps are done"),
        ("training.max_steps", 1661, None),
        ("training.max_seconds", 30, "30 s have passed"),
        ("training.max_seconds", 31, None),
        ("early_stopping.patience", 3, "no improvement in 3 validations"),
        ("early_stopping.patience", 4, None),
        ("early_stopping.threshold", 0.1, "loss reached 0.1"),
        ("early_stopping.threshold", 0.05, None),
    ],
)
def test_a_limit_is_reached_from_what_is_done_on(
    key: str, value: float, reason: str | None
) -> None:
    roomy = edited(an_experiment(), "training.epochs", 1000)
    done = Done(step=1660, epochs=72, elapsed_s=30.5, stale=3, best=("loss", 0.08))
    limit = limit_reached(edited(roomy, key, value), done)
    assert (limit and limit.reason) == reason
    assert limit is None or limit.setting == key


def test_a_run_seen_from_outside_has_completed_the_epochs_behind_its_step() -> None:
    view = a_view(step=45, epoch=2, steps_per_epoch=23, elapsed_s=9.5, stale=1, best={"loss": 0.2})
    assert done_in(view, an_experiment()) == Done(45, 1, 9.5, 1, ("loss", 0.2))
    view.step = 46
    assert done_in(view, an_experiment()).epochs == 2
    view.steps_per_epoch, view.scores.best = 0, None
    assert done_in(view, an_experiment()) == Done(46, 1, 9.5, 1, None)


@pytest.mark.parametrize(
    ("limit", "used", "proposed"),
    [
        (1, 1, 2),
        (3, 3, 5),
        (5, 5, 8),
        (20, 20, 30),
        (40, 40, 60),
        (20, 72, 110),
        (460, 460, 700),
        (1234, 1234, 1900),
        (10_000, 10_000, 15_000),
        (60, 60.02, 90),
        (0.5, 0.6, 1),
        (90.5, 91.2, 140),
    ],
)
def test_a_new_limit_is_half_as_much_again_and_round(
    limit: float, used: float, proposed: int
) -> None:
    assert proposed_limit(limit, used) == proposed


def test_a_hint_names_the_setting_that_ended_the_run() -> None:
    experiment = edited(an_experiment(), "early_stopping.threshold", 0.1)
    done = Done(step=460, epochs=20, elapsed_s=9.0)
    limit = limit_reached(experiment, done)
    assert limit is not None
    assert trained_on(limit, experiment, done) == "training.epochs=30"
    good = done._replace(best=("loss", 0.05))
    limit = limit_reached(experiment, good)
    assert limit is not None
    assert trained_on(limit, experiment, good) == "early_stopping.threshold=null"
