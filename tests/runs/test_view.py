"""What is known of a run now: folded from events, brought up by a status, written and read back."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest

from tests.runs.views import a_view, changed
from tests.ui.runs import an_ending, some_events
from tui_trainer.runs.events import (
    MeasurementAdvanced,
    RunEnded,
    RunStarted,
    StateChanged,
    StepsTaken,
)
from tui_trainer.runs.step_numbers import CURVES, NUMBERS
from tui_trainer.runs.view import RunView


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


def test_a_run_without_limits_has_no_time_left() -> None:
    view = RunView()
    for event in (started(total_steps=None), taken(10, 10.0), taken(20, 20.0)):
        view.apply(event)
    assert view.eta_s is None


def test_a_view_is_read_back_as_it_was_written_but_for_what_only_its_maker_knows() -> None:
    view = RunView()
    for event in (*some_events(300), an_ending()):
        view.apply(event)
    read = RunView.from_dict(view.to_dict())
    assert view.ending == an_ending()
    assert read == replace(view, run_dir="", ending=None)


def measured(part: str, done: int, total: int | None, elapsed_s: float) -> MeasurementAdvanced:
    return MeasurementAdvanced(460, part, done, total, "samples", elapsed_s, "then 2 baselines")


def test_the_time_left_of_a_test_is_that_of_its_present_part() -> None:
    view = RunView()
    view.apply(StateChanged(460, "testing", "360 samples, then 2 baselines"))
    assert (view.final_test.share, view.eta_s) == (None, None)
    view.apply(measured("test split", 0, 360, 0.0))
    assert (view.final_test.share, view.eta_s) == (0.0, None)
    view.apply(measured("test split", 90, 360, 5.0))
    assert (view.final_test.share, view.eta_s) == (0.25, 15.0)
    view.apply(measured("baseline logistic regression", 0, None, 1.0))
    assert (view.final_test.share, view.eta_s) == (None, None)
    assert RunView.from_dict({**view.to_dict(), "name": "run"}).final_test == view.final_test


def test_a_run_that_ended_in_its_test_lacks_only_that_until_it_starts_again() -> None:
    view = RunView()
    view.apply(StateChanged(460, "testing"))
    view.apply(measured("test split", 90, 360, 5.0))
    states = [(view.lacks_only_test, view.final_test.part)]
    late = a_view(state="testing", test_part="test split", test_total=360)
    for test in (None, {"loss": 0.5}):
        view.apply(RunEnded(460, "stopped", "", 20, None, 1.0, 1, test=test))
        view.update(late)
        states.append((view.lacks_only_test, view.final_test.part))
    assert states == [(False, "test split"), (True, "test split"), (False, "")]
    # Nothing is said of a test that is over, and 0 is no number that is not known.
    assert {"test_done": 0, "test_total": None}.items() <= view.to_dict().items()
    view.apply(measured("test split", 90, 360, 5.0))
    view.apply(started(460))
    assert view.final_test.part == ""


def test_large_results_are_not_in_the_file() -> None:
    view = RunView()
    view.apply(an_ending(classes=100))
    assert not {"confusion", "baseline", "ending"} & view.to_dict().keys()
    assert len(str(view.to_dict())) < 2000


def test_lines_that_come_after_a_status_that_is_further_do_not_turn_the_clock_back() -> None:
    view = RunView()
    view.apply(started())
    view.apply(taken(10, 1.0))
    view.update(changed(view, step=30, elapsed_s=3.0, waiting_share=0.5, epoch=3))
    view.apply(taken(20, 2.0))
    assert (view.step, view.epoch, view.elapsed_s) == (30, 3, 3.0)


def test_a_status_that_is_behind_gives_only_what_no_line_has() -> None:
    view = RunView()
    view.apply(started())
    status = changed(view, step=10, loss=7.0, elapsed_s=9.0, waiting_share=0.5, pid=4711)
    view.apply(replace(taken(20, 2.0), waiting_share=math.nan))
    view.update(status)
    numbers = view.numbers
    assert (view.step, view.elapsed_s, numbers.loss, numbers.waiting_share) == (20, 2.0, 0.5, 0.5)
    assert view.process.pid == 4711


def test_a_status_of_another_start_of_the_run_says_nothing_of_this() -> None:
    view = RunView()
    view.apply(started())
    before = view.to_dict()
    view.update(changed(view, generation=2, step=99, loss=7.0))
    assert view.to_dict() == before


def test_every_number_of_a_report_is_in_the_table() -> None:
    others = {"step", "at_s", "epoch", "elapsed_s", "others"}
    assert {own.name for own in fields(StepsTaken)} - others == {own.source for own in NUMBERS}
    assert [own.key for own in CURVES] == ["train/loss", "lr", "grad_norm", "samples_per_s"]


def test_a_number_that_a_report_does_not_know_stays_what_it_was() -> None:
    view = RunView()
    view.apply(taken(1, 1.0))
    unknown = replace(taken(2, 2.0), losses=(math.nan,), samples_per_s=math.nan)
    view.apply(unknown)
    assert view.numbers.samples_per_s == 9.0
    assert view.numbers.loss is not None
    assert math.isnan(view.numbers.loss), "a loss is NaN, and not unknown"
