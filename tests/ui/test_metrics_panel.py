"""The rows of numbers, the bars and the heading: pure functions of what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.ui.runs import USAGE, an_experiment, some_events
from tui_trainer.config.overrides import with_value
from tui_trainer.config.preferences import Preferences
from tui_trainer.config.sections.section import TypedSection
from tui_trainer.machine.usage import GpuUsage, Usage
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Event,
    RunEnded,
    RunStarted,
    RunState,
    SaveFailed,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    ValidationStarted,
)
from tui_trainer.runs.history import History
from tui_trainer.runs.view import Model, RunView, Scores
from tui_trainer.ui.appearance import plain_terminal
from tui_trainer.ui.run.metrics_panel import (
    SavedProgress,
    _content,
    column,
    device_text,
    metric,
    safe_text,
    size,
    steady,
    two_lines,
)
from tui_trainer.ui.run.state_label import StateLabel, bar, epoch_share, run_share


def after(*events: Event) -> tuple[RunView, SavedProgress]:
    """Return the view and the saved progress after some events."""
    view, safety, history = RunView(), SavedProgress(), History()
    for event in events:
        view.apply(event)
        safety.add(event)
        history.add(event)
    safety.measure(view, history)
    return view, safety


def steps(step: int, elapsed_s: float, count: int = 1) -> StepsTaken:
    one = (0.5,) * count
    return StepsTaken(step, 1, elapsed_s, one, one, one, 100.0, 0.0)


def started(step: int = 0) -> RunStarted:
    return RunStarted(step, 1, "r", "cpu", 10, 100, 10, 100, 1)


def saved(step: int) -> CheckpointSaved:
    return CheckpointSaved(step, "f.pt", 1000, 0.1, False)


@given(st.floats(1e-9, 1e9))
def test_a_number_keeps_its_width_while_it_falls(value: float) -> None:
    assert len(steady(value)) == 8


@given(st.floats())
def test_no_number_takes_more_than_ten_cells(value: float) -> None:
    assert 8 <= len(steady(value)) <= 10


def test_numbers_show_what_is_known_and_not_more() -> None:
    assert steady(None).strip() == "-"
    assert steady(0.0712).strip() == "0.07120"
    assert steady(12346.0).strip() == "1.235e4"
    assert steady(1e-5).strip() == "1.000e-5"
    assert steady(float("nan")).strip() == "nan"
    assert metric("accuracy", 0.9861).strip() == "98.61 %"
    assert metric("loss", 0.5).strip() == "0.5000"


def test_a_load_that_is_not_measured_yet_is_a_dash() -> None:
    view = RunView(model=Model(device="cpu"))
    usage = replace(USAGE, process_percent=None, machine_percent=None)
    rows = dict(column(view, usage, None, SavedProgress()))
    assert (rows["process"].strip(), rows["machine"].strip()) == ("-", "-")
    assert device_text(view, usage).split()[:2] == ["cpu", "-"]


def test_sizes_keep_their_width() -> None:
    sizes = [size(n) for n in (0, 5e8, 999.6e6, 1e9, 9.9e9, 9.96e9, 8e10, 1e11)]
    assert sizes[-1] == "100 GB"
    assert {len(text) for text in sizes} == {6}


def test_what_is_lost_by_a_stop_is_counted_from_the_newest_checkpoint() -> None:
    view, safety = after(started(), steps(20, 2.0), saved(20), steps(43, 5.5))
    assert (safety.step, safety.steps_beyond(view.step), safety.age_s) == (20, 23, 3.5)
    assert safe_text(safety, view) == "saved 20, 23 steps ago"


def test_the_age_of_a_checkpoint_is_known_of_a_run_that_others_began() -> None:
    view, history, safety = RunView(), History(), SavedProgress()
    for event in (started(), steps(50, 10.0, count=50), saved(50), steps(60, 12.0, count=10)):
        view.apply(event)
        history.add(event)
    safety.begin(view)
    safety.measure(view, history)
    assert safety.behind(60) == "10 steps, 2.0 s"


def test_an_age_that_the_curves_do_not_tell_is_left_out() -> None:
    safety = SavedProgress(step=50)
    safety.measure(RunView(step=60, elapsed_s=12.0), History())
    assert safety.behind(60) == "10 steps"


def test_a_run_without_a_checkpoint_says_so() -> None:
    view, safety = after(started(), steps(5, 1.0))
    assert safe_text(safety, view) == "no checkpoint yet"
    assert (safety.steps_beyond(5), safety.age_s) == (5, 1.0)


def test_a_failed_save_is_said_until_one_succeeds() -> None:
    view, safety = after(started(), steps(5, 1.0), saved(5), steps(9, 2.0), SaveFailed(9, "full"))
    assert safe_text(safety, view) == "NOT SAVED for 4 steps"
    safety.add(saved(9))
    assert safe_text(safety, view) == "saved 9, 0 steps ago"


@pytest.mark.parametrize("width", [0, 1, 20, 58, 78, 118, 198])
def test_the_two_lines_fit_the_width_they_are_given(width: int) -> None:
    view, safety = after(*some_events())
    lines = two_lines(view, USAGE, an_experiment(), safety, width)
    assert len(lines) == 2
    longest = max(cell_len(line.rstrip()) for line in lines)
    assert longest <= max(width, 26)


def test_80_columns_tell_whether_it_learns_and_is_safe_and_where_it_runs() -> None:
    view, safety = after(*some_events())
    text = "\n".join(two_lines(view, USAGE, an_experiment(), safety, 78))
    for part in (
        "train 0.",
        "val 0.",
        "best 0.",
        "epoch 13",
        "accuracy 9",
        "saved 299, 1 step ago",
    ):
        assert part in text
    for part in ("samples/s", "patience 0/5", "cuda:0  34 % 2.1 GB"):
        assert part in text


def test_the_column_has_every_number() -> None:
    view, safety = after(*some_events())
    rows = dict(column(view, USAGE, an_experiment(), safety))
    assert rows["patience"] == "0/5"
    assert rows["best loss"].strip() == rows["val loss"].strip()
    assert rows["  at step"] == "299, epoch 13"
    assert rows["checkpoint"] == "step 299"
    assert rows["  behind by"].startswith("1 step, ")
    assert rows["GPU memory"] == "2.1 GB of 80 GB"
    assert rows["data wait"].strip() == "1 %"


def test_where_the_best_was_found_fits_beside_its_label_in_a_long_run() -> None:
    view = RunView(scores=Scores(best_step=123_456), steps_per_epoch=124)
    assert dict(column(view, None, None, SavedProgress()))["  at step"] == "123,456, epoch 996"


def test_nothing_is_known_before_the_start_and_nothing_fails() -> None:
    assert two_lines(RunView(), None, None, SavedProgress(), 78)[0].startswith("train -")
    rows = dict(column(RunView(), None, None, SavedProgress()))
    assert (rows["checkpoint"], rows["patience"]) == ("none yet", "-")


def test_a_recipe_shows_what_it_measures_in_the_place_of_the_loss() -> None:
    experiment = replace(an_experiment(), recipe=TypedSection(type="gan"))
    monitored = with_value(experiment, "checkpoint.monitor", "accuracy")
    view, safety = after(started(), steps(10, 1.0))
    first, _ = two_lines(view, None, an_experiment(), safety, 78)
    assert first.split()[2:5] == ["val", "-", "best"]
    first, _ = two_lines(view, None, experiment, safety, 78)
    rows = dict(column(view, None, experiment, safety))
    assert not {"val", "best", "-"} & set(first.split())
    assert not {"val loss", "best loss", "  at step"} & rows.keys()
    view.apply(ValidationEnded(10, 1, 1.0, {"accuracy": 0.5, "f1": 0.25}, 0.1, True, 0))
    first, _ = two_lines(view, None, monitored, safety, 78)
    assert " ".join(first.split()[2:]) == "val accuracy 50.00 % best 50.00 % epoch 1 f1 0.2500"


def test_a_value_too_long_for_the_column_loses_its_second_part() -> None:
    rows = [("val balanced accuracy", "0.5"), ("  behind by", "12,128 steps, 25.3 s")]
    assert _content(rows, 39).plain.splitlines()[1].endswith(" 12,128 steps, 25.3 s")
    assert _content(rows, 34).plain.splitlines()[1].endswith(" 12,128 steps")


def test_a_run_on_the_cpu_shows_its_process_and_not_a_gpu_of_others() -> None:
    view = RunView(model=Model("cpu"))
    assert device_text(view, USAGE) == "cpu  97 % 812 MB"
    assert device_text(view, None) == "cpu"
    without_load = Usage(1, 0.0, 0.0, 1, None)
    assert device_text(RunView(model=Model("cuda:0")), without_load).endswith(" 1 kB")


@given(st.floats(-1, 2), st.integers(0, 300))
def test_a_bar_is_as_wide_as_it_was_asked_to_be(share: float, width: int) -> None:
    done, left = bar(share, width)
    assert len(done + left) == width


def test_the_last_step_of_an_epoch_fills_its_bar() -> None:
    view = RunView(steps_per_epoch=10, total_steps=40, step=10)
    assert epoch_share(view) == 1.0
    assert run_share(view) == 0.25
    view.step = 11
    assert epoch_share(view) == 0.1
    assert run_share(RunView(step=5)) is None


def test_the_heading_says_what_was_asked_for_until_the_run_has_done_it() -> None:
    standing = StateLabel()
    view = RunView(name="r", state="running")
    standing.wish = "pausing"
    assert standing.words(view) == "pausing"
    assert standing.is_pausing(view)
    for state, reason in (
        ("pausing", ""),
        ("paused", "saved at step 7; gave back 5 MB of GPU memory"),
    ):
        event = StateChanged(7, state, reason)  # type: ignore[arg-type]
        view.apply(event)
        standing.add(event)
    assert standing.words(view) == "paused, saved at step 7; p resumes"
    standing.wish = "resuming"
    assert not standing.is_pausing(view)


def test_a_refused_command_is_a_wish_no_more() -> None:
    standing = StateLabel()
    standing.wish = "pausing"
    standing.add(CommandApplied(1, "i", "pause", "you", "no"))
    assert not standing.wish


def test_the_end_of_a_run_ends_every_wish() -> None:
    standing = StateLabel()
    standing.wish = "stopping"
    standing.add(RunEnded(1, "stopped", "", 1, "", 1.0, 0))
    assert not standing.wish


def test_a_validation_is_said_while_it_lasts() -> None:
    now_s = [100.0]
    standing, view = StateLabel(clock=lambda: now_s[0]), RunView(state="running")
    standing.add(ValidationStarted(1, 3, at_s=100.0))
    assert standing.words(view) == "running", "most validations are over at once"
    now_s[0] += 0.6
    assert standing.words(view) == "validating"
    standing.add(ValidationEnded(1, 1, 1.0, {}, 0.1, False, 0))
    assert standing.words(view) == "running"


@pytest.mark.parametrize("plain", [False, True])
def test_every_state_has_a_sign_and_a_word(plain: bool) -> None:
    standing = StateLabel(plain=plain)
    firsts = {}
    for state in get_args(RunState):
        left, _ = standing.texts(RunView(name="name", state=state), None, 78)
        assert state in left
        firsts[state] = left[0]
        assert left.isascii() or not plain
    assert len(set(firsts.values())) == 6
    assert "?" not in firsts.values()


def test_what_is_left_is_shown_where_there_is_room_and_the_run_goes_on() -> None:
    view, _ = after(*some_events())
    standing, experiment = StateLabel(), an_experiment()
    assert standing.texts(view, experiment, 78)[1] == "epoch 14/20 · step 300/460 · ETA 3.2 s"
    assert standing.texts(view, experiment, 58)[1] == "epoch 14/20 · ETA 3.2 s"
    view.state = "paused"
    assert "ETA" not in standing.texts(view, experiment, 78)[1]


def test_a_paused_heading_cuts_the_name_only_where_there_is_no_room() -> None:
    view, standing = RunView(name="digits-cnn-1122-2315", state="paused"), StateLabel()
    view.reason, view.epoch = "saved at step 12,345", 14
    for width, name in ((118, view.name), (78, view.name), (74, "digits-c…122-2315")):
        left, right = standing.texts(view, an_experiment(), width)
        assert f"‖ {name} · paused, saved at step 12,345; p resumes" == left
        assert cell_len(left) + 2 + cell_len(right) <= width
    view.name = "x" * 80
    left, right = standing.texts(view, an_experiment(), 78)
    assert cell_len(left) + 2 + cell_len(right) == 78
    assert standing.texts(view, an_experiment(), 58)[0].startswith("‖ paused, saved")


def test_ascii_is_enough_when_it_is_asked_for() -> None:
    assert plain_terminal(Preferences(markers="ascii"))
    assert not plain_terminal(Preferences(markers="braille"))


def test_what_this_run_holds_of_the_gpu_is_told_apart_from_what_is_used() -> None:
    gpu = GpuUsage("H100", 0, 9_000_000_000, 80_000_000_000, own_bytes=410_000_000)
    usage = Usage(10**9, 3.0, 4.0, 10**9, gpu)
    rows = dict(column(RunView(model=Model("cuda:0 H100")), usage, None, SavedProgress()))
    assert rows["GPU memory"].startswith("9.0 GB of 80 GB")
    assert rows["  by this run"].strip() == "410 MB"
