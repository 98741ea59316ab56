"""Histories: what is drawn of short runs and long ones, bounded, smoothed, cut and read back."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.history import MOST_MARKS, WINDOW, History, Reading, Window, XAxis
from tui_trainer.runs.recording import read_history
from tui_trainer.runs.series import MOST_BUCKETS, Series, Times, smoothed
from tui_trainer.runs.tail import MOST_LINES


def started(step: int = 0, steps_per_epoch: int = 10) -> RunStarted:
    return RunStarted(step, 1, "r", "cpu", 1, 1, steps_per_epoch, None, 0)


def steps(last: int, losses: list[float], elapsed_s: float | None = None) -> StepsTaken:
    values = tuple(losses)
    rates = tuple(0.1 for _ in values)
    time_s = last / 100 if elapsed_s is None else elapsed_s
    return StepsTaken(last, 1, time_s, values, rates, rates, 50.0, 0.0)


def validated(step: int, loss: float, *, improved: bool = False) -> ValidationEnded:
    return ValidationEnded(step, 1, step / 100, {"loss": loss}, 0.1, improved, 0)


def test_a_short_run_is_shown_value_by_value() -> None:
    history = History()
    history.add(started())
    history.add(steps(3, [3.0, 2.0, 1.0]))
    history.add(steps(4, [0.5]))
    curve = history.curve("train/loss", x="step", window="all", columns=100, smoothing=0.0)
    assert list(curve.xs) == [1, 2, 3, 4]
    assert curve.means == curve.lows == curve.highs == curve.smooth == (3.0, 2.0, 1.0, 0.5)
    assert history.span(x="step", window="all") == (0, 4)
    assert history.names[0] == "train/loss"


def test_values_of_steps_that_are_known_already_are_left_out() -> None:
    history = History()
    history.add(started(), steps(3, [3.0, 2.0, 1.0]), validated(3, 0.5), validated(3, 0.4))
    history.add(steps(5, [9.0, 8.0, 7.0]), validated(3, 0.3), validated(5, 0.2))
    for name, xs, means in (
        ("train/loss", [1, 2, 3, 4, 5], [3.0, 2.0, 1.0, 8.0, 7.0]),
        ("val/loss", [3, 5], [0.5, 0.2]),
    ):
        curve = history.curve(name, x="step", window="all", columns=100, smoothing=0.0)
        assert (list(curve.xs), list(curve.means)) == (xs, means)


def test_many_events_at_once_give_the_curves_and_marks_of_each_by_itself() -> None:
    # Values whose sums are exact, in whatever order they are added.
    events: list[Event] = [started(steps_per_epoch=2)]
    for step in range(2, 5000, 2):
        events.append(steps(step, [step / 8, 1.0], elapsed_s=step / 64))
        events.append(validated(step, step / 4, improved=step % 1000 == 0))
    events[2000:2000] = [started(1000, steps_per_epoch=2), Edited(1000, "a", 1, 2, "you")]
    events[2002:2002] = [steps(1002, [0.5, 0.5]), validated(1002, 0.5)]
    del events[2004:2200]
    together, alone = History(), History()
    together.add(*events)
    for event in events:
        alone.add(event)
    assert together.parts().marks == alone.parts().marks
    for name in ("train/loss", "lr", "samples_per_s", "val/loss"):
        for window in get_args(Window):
            for x in get_args(XAxis):
                curves = [
                    history.curve(name, x=x, window=window, columns=90, smoothing=0.5)
                    for history in (together, alone)
                ]
                assert curves[0] == curves[1]
                assert curves[0].xs


def test_many_reports_change_each_series_once() -> None:
    history = History()
    history.add(*(steps(step, [1.0]) for step in range(1, 500)))
    assert history.version == len(history.names) == 4


def test_the_axes_are_steps_epochs_and_seconds_without_pauses() -> None:
    history = History()
    history.add(started(steps_per_epoch=4))
    history.add(steps(2, [1.0, 1.0], elapsed_s=1.0))
    history.add(steps(4, [1.0, 1.0], elapsed_s=5.0))
    by_epoch = history.curve("train/loss", x="epoch", window="all", columns=9, smoothing=0.0)
    by_time = history.curve("train/loss", x="time", window="all", columns=9, smoothing=0.0)
    assert list(by_epoch.xs) == [0.25, 0.5, 0.75, 1.0]
    assert list(by_time.xs) == [0.5, 1.0, 3.0, 5.0]


def test_smoothing_is_the_debiased_average() -> None:
    w = 0.6
    one = 4.0
    two = (w * (1 - w) * 4 + (1 - w) * 2) / (1 - w**2)
    three = (w * w * (1 - w) * 4 + w * (1 - w) * 2) / (1 - w**3)
    assert smoothed([4.0, 2.0, 0.0], w) == pytest.approx([one, two, three])


def test_what_is_not_finite_is_a_gap_and_no_value() -> None:
    history = History()
    history.add(started())
    history.add(steps(4, [1.0, math.nan, math.inf, 2.0]))
    history.add(NonFinite(2, 1, "the loss is NaN", ()))
    curve = history.curve("train/loss", x="step", window="all", columns=50, smoothing=0.6)
    assert list(curve.xs) == [1, 4]
    assert list(curve.gaps) == [2, 3]
    assert all(map(math.isfinite, curve.smooth))
    assert [mark.kind for mark in history.marks(x="step", window="all")] == ["nonfinite"]


@given(
    chunks=st.lists(st.integers(1, 900), min_size=1, max_size=12),
    seed=st.integers(0, 2**16),
)
def test_buckets_keep_count_mean_low_and_high(chunks: list[int], seed: int) -> None:
    series, first = Series(), 1
    added: list[float] = []
    for size in chunks:
        values = tuple(math.sin(seed + first + n) for n in range(size))
        series.add(range(first, first + size), values)
        added += values
        first += size
    points = series.all()
    assert len(points) <= MOST_BUCKETS
    assert sum(points.counts) == len(added)
    means, begin = points.means(), 0
    for index, end in enumerate(points.steps):
        mine = added[begin:end]
        assert points.counts[index] == len(mine)
        assert (points.lows[index], points.highs[index]) == (min(mine), max(mine))
        assert means[index] == pytest.approx(sum(mine) / len(mine))
        begin = end


def test_a_million_steps_are_as_small_and_as_quick_as_a_thousand() -> None:
    history = History()
    history.add(started(steps_per_epoch=1000))
    for last in range(2500, 1_000_001, 2500):
        history.add(steps(last, [1.0 / (last - 2499 + n) for n in range(2500)]))
    curve = history.curve("train/loss", x="time", window="all", columns=200, smoothing=0.6)
    assert 100 <= len(curve.xs) <= 200
    assert curve.xs[-1] == pytest.approx(10_000)
    assert curve.highs[0] == 1.0
    recent = history.curve("train/loss", x="step", window="recent", columns=5000, smoothing=0.6)
    assert len(recent.xs) == WINDOW
    assert recent.xs[-1] == 1_000_000


def test_no_more_points_than_columns() -> None:
    history = History()
    history.add(started())
    history.add(steps(700, [float(n) for n in range(700)]))
    for columns in (1, 2, 33, 80):
        curve = history.curve("train/loss", x="step", window="all", columns=columns, smoothing=0.6)
        assert 1 <= len(curve.xs) <= columns
        assert min(curve.lows) == 0.0
        assert max(curve.highs) == 699.0


def test_a_start_from_an_earlier_step_sets_aside_what_lies_after_it() -> None:
    history = History()
    history.add(started())
    history.add(steps(3000, [float(n) for n in range(1, 3001)]))
    history.add(validated(2500, 0.5, improved=True))
    history.add(validated(2900, 0.6))
    history.add(started(2700))
    curve = history.curve("train/loss", x="step", window="all", columns=4000, smoothing=0.0)
    assert curve.xs[-1] == 2700
    assert max(curve.highs) == 2700.0
    val = history.curve("val/loss", x="step", window="all", columns=80, smoothing=0.0)
    assert list(val.xs) == [2500]
    history.add(steps(2701, [7.0], elapsed_s=27.5))
    again = history.curve("train/loss", x="time", window="recent", columns=4000, smoothing=0.0)
    assert again.xs[-1] == 27.5


def test_marks_are_bounded_and_only_the_newest_best_is_one() -> None:
    history = History()
    history.add(started())
    history.add(validated(10, 0.5, improved=True))
    history.add(validated(20, 0.4, improved=True))
    for step in range(1, 1001):
        history.add(CheckpointSaved(step, "f", 1, 0.1, False))
    history.add(Edited(1000, "optimizer.lr", 0.003, 0.002, "you"))
    history.add(StateChanged(1000, "paused", "saved at step 1000"))
    history.add(StateChanged(1000, "running"))
    marks = history.marks(x="step", window="all")
    assert [mark.step for mark in marks if mark.kind == "best"] == [20]
    assert sum(mark.kind == "checkpoint" for mark in marks) == MOST_MARKS
    assert "optimizer.lr 0.003 -> 0.002" in [mark.text for mark in marks]
    assert sum(mark.kind == "pause" for mark in marks) == 1


def test_a_save_that_was_asked_for_has_a_mark_of_its_own() -> None:
    history = History()
    history.add(started())
    history.add(CommandApplied(7, "1", "save", "you"))
    history.add(CommandApplied(8, "2", "save", "you", refused="the run has ended"))
    history.add(CommandApplied(9, "3", "validate", "you"))
    marks = history.marks(x="step", window="all")
    assert [(mark.kind, mark.step) for mark in marks] == [("save", 7)]


def test_reading_takes_the_nearest_point() -> None:
    history = History()
    history.add(started())
    history.add(steps(20, [float(n) for n in range(1, 21)]))
    history.add(validated(10, 0.25))
    read = partial(history.read, window="all", smoothing=0.0)
    assert read("train/loss", 7) == Reading(7, 7.0, 7.0)
    assert read("train/loss", 99) == Reading(20, 20.0, 20.0)
    assert read("val/loss", 99) == Reading(10, 0.25, 0.25)
    assert read("val/accuracy", 1) is None


def test_a_step_of_a_long_run_is_read_exactly_or_as_the_mean_of_its_bucket() -> None:
    history = History()
    history.add(started())
    for last in range(1000, 16_001, 1000):
        history.add(steps(last, [float(n) for n in range(last - 999, last + 1)]))
    read = partial(history.read, "train/loss", smoothing=0.0)
    old = read(100, window="all")
    assert old is not None
    assert (old.step, old.count) == (100, 16)
    assert old.value == sum(range(96, 112)) / 16
    new = read(15_999, window="all")
    assert new is not None
    assert (new.value, new.count) == (15_999.0, 1)
    assert read(100, window="recent") == old


def test_the_version_grows_with_what_is_drawn_and_with_nothing_else() -> None:
    history = History()
    history.add(started())
    before = history.version
    history.add(StateChanged(0, "running"))
    assert history.version == before
    history.add(steps(1, [1.0]))
    assert history.version > before


def test_a_clock_is_bounded_and_keeps_first_and_last() -> None:
    clock = Times()
    for step in range(1, 100_001):
        clock.add(step, step * 0.5)
    assert clock.seconds(100_000) == 50_000
    assert clock.seconds(0) == 0
    assert clock.seconds(33_333) == pytest.approx(16_666.5, rel=1e-3)
    clock.cut(50)
    assert clock.seconds(100_000) <= 25


@given(values=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=60))
def test_no_value_breaks_a_curve(values: list[float]) -> None:
    history = History()
    history.add(started())
    history.add(steps(len(values), values))
    curve = history.curve("train/loss", x="step", window="all", columns=7, smoothing=0.9)
    finite = [value for value in values if math.isfinite(value)]
    assert len(curve.xs) == len(curve.means) == len(curve.smooth) <= 7
    assert all(low <= high for low, high in zip(curve.lows, curve.highs, strict=True))
    if finite:
        assert (min(curve.lows), max(curve.highs)) == (min(finite), max(finite))
    else:
        assert list(curve.xs) == []


def write(path: Path, records: list[dict[str, object]], torn: str = "") -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + torn)


def test_a_history_is_read_from_the_files_of_a_run(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    make_skeleton(run)
    lines: list[dict[str, object]] = [
        {
            "step": n,
            "epoch": 1,
            "elapsed_s": n / 10,
            "train/loss": 1 / n,
            "lr": 0.1,
            "grad_norm": None,
            "samples_per_s": 5.0,
        }
        for n in range(1, 9)
    ]
    lines[3]["val/loss"] = 0.7
    lines[4]["train/loss"] = None
    write(run.metrics, lines, '{"step": 9, "tr')
    write(
        run.events,
        [
            to_dict(ValidationEnded(4, 1, 0.4, {}, 0.1, True, 0)),
            to_dict(Edited(4, "optimizer.lr", 0.1, 0.2, "you")),
            to_dict(CheckpointSaved(6, "a", 1, 0.1, False)),
            to_dict(CheckpointSaved(8, "b", 1, 0.1, False)),
            {"event": "state_changed", "step": "x"},
        ],
    )
    history = read_history(run, 6)
    curve = history.curve("train/loss", x="step", window="all", columns=99, smoothing=0.0)
    assert list(curve.xs) == [1, 2, 3, 4, 6]
    assert list(curve.gaps) == [5]
    assert history.curve(
        "val/loss", x="time", window="all", columns=99, smoothing=0.0
    ).xs == pytest.approx((0.4,))
    kinds = [(mark.kind, mark.step) for mark in history.marks(x="step", window="all")]
    assert kinds == [("best", 4), ("edit", 4), ("checkpoint", 6)]


def metrics_line(step: int, **more: object) -> dict[str, object]:
    return {"step": step, "elapsed_s": step / 10, "train/loss": 1 / step, **more}


def test_what_an_earlier_resume_set_aside_is_not_read(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    make_skeleton(run)
    write(run.metrics, [metrics_line(n) for n in range(1, 31)])

    def scheduled(step: int) -> dict[str, object]:
        return to_dict(ValidationEnded(step, 1, 1.0, {"loss": 9.0}, 0.1, True, 0))

    def on_demand(step: int, loss: float) -> dict[str, object]:
        return to_dict(ValidationEnded(step, 1, 1.0, {"loss": loss}, 0.1, False, 0, on_demand=True))

    write(
        run.events,
        [
            to_dict(started(0, 5)),
            scheduled(5),
            on_demand(7, 0.5),
            on_demand(12, 0.4),
            scheduled(15),
            to_dict(NonFinite(20, 1, "loss is nan", ())),
            to_dict(CheckpointSaved(10, "a", 1, 0.1, False)),
            to_dict(started(10, 5)),
            to_dict(CheckpointSaved(25, "b", 1, 0.1, False)),
        ],
    )
    history = read_history(run, 30)
    kinds = [(mark.kind, mark.step) for mark in history.marks(x="step", window="all")]
    assert kinds == [("best", 5), ("checkpoint", 10), ("checkpoint", 25)]
    val = history.curve("val/loss", x="epoch", window="all", columns=99, smoothing=0.0)
    assert (list(val.xs), list(val.means)) == ([1.0, 1.4], [9.0, 0.5])


def test_of_a_very_long_file_some_lines_and_all_validations_are_read(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    make_skeleton(run)
    last = 2 * MOST_LINES
    lines = [metrics_line(n) for n in range(1, last)]
    write(run.metrics, [*lines, metrics_line(last, **{"val/loss": 0.25})])
    history = read_history(run, last)
    curve = history.curve("train/loss", x="time", window="all", columns=300, smoothing=0.6)
    assert len(curve.xs) > 100
    assert (curve.highs[0], curve.xs[-1]) == (1.0, last / 10)
    val = history.curve("val/loss", x="step", window="all", columns=9, smoothing=0.0)
    assert list(val.xs) == [last]


@given(
    records=st.lists(
        st.fixed_dictionaries(
            {
                "step": st.one_of(st.integers(-3, 40), st.none(), st.text(max_size=2)),
                "event": st.sampled_from(["run_started", "edited", "validation_ended", "x"]),
            },
            optional={
                "elapsed_s": st.floats() | st.none(),
                "train/loss": st.floats() | st.none() | st.booleans() | st.integers(),
                "val/loss": st.one_of(st.floats(), st.text(max_size=2)),
                "steps_per_epoch": st.integers(-1, 9),
                "metrics": st.dictionaries(st.text(max_size=2), st.floats()) | st.none(),
                "on_demand": st.booleans(),
            },
        )
    )
)
def test_no_file_breaks_a_history(records: list[dict[str, object]]) -> None:
    whole = {
        "run_started": to_dict(started()),
        "edited": to_dict(Edited(1, "optimizer.lr", 0.1, 0.2, "you")),
        "validation_ended": to_dict(validated(1, 0.5)),
        "x": {},
    }
    with TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        write(run.metrics, records, "\0\0")
        write(
            run.events,
            [{**whole[str(record["event"])], **record} for record in records],
            '{"step": 1',
        )
        history = read_history(run, 30)
    for name in history.names:
        curve = history.curve(name, x="time", window="recent", columns=5, smoothing=0.5)
        assert len(curve.xs) <= 5
        assert all(map(math.isfinite, (*curve.xs, *curve.means, *curve.smooth)))


def test_after_going_back_far_the_recent_window_is_of_buckets() -> None:
    history = History()
    history.add(started())
    for last in range(1000, 20_001, 1000):
        history.add(steps(last, [float(n) for n in range(last - 999, last + 1)]))
    history.add(started(5000))
    curve = history.curve("train/loss", x="step", window="recent", columns=80, smoothing=0.0)
    assert curve.xs[0] < 5000 - WINDOW / 2
    assert max(curve.highs) <= 5000
    assert history.span(x="time", window="all")[1] == pytest.approx(50.0, abs=1.0)


def test_the_best_before_is_the_best_again_after_going_back() -> None:
    history = History()
    history.add(started())
    history.add(steps(40, [1.0] * 40))
    history.add(validated(10, 0.5, improved=True))
    history.add(validated(30, 0.4, improved=True))
    history.add(started(20))
    assert [mark.step for mark in history.marks(x="step", window="all")] == [10]


def test_an_edit_that_a_resume_repeats_is_one_mark() -> None:
    history = History()
    edit = Edited(10, "optimizer.lr", 0.1, 0.2, "you")
    for event in (started(), steps(10, [1.0] * 10), edit, started(10), edit):
        history.add(event)
    assert [mark.kind for mark in history.marks(x="step", window="all")] == ["edit"]


def test_a_run_without_files_has_an_empty_history(tmp_path: Path) -> None:
    history = read_history(RunDirectory(tmp_path / "nothing"), 100)
    assert list(history.names) == []
    assert history.span(x="time", window="recent") == (0.0, 0.0)
