"""The title of the terminal's window."""

from __future__ import annotations

import pytest

from tests.ui.runs import some_events
from tui_trainer.runs.view import RunView
from tui_trainer.ui.terminal.title import has_title, sequence, title_of


def a_view(state: str = "") -> RunView:
    view = RunView()
    for event in some_events():
        view.apply(event)
    view.state = state or view.state
    return view


def test_a_run_has_its_name_state_share_and_time_left_in_the_title() -> None:
    running = a_view()
    assert title_of(running) == f"tui-trainer - {running.name} running 65 % - 0:03 left"
    paused = a_view("paused")
    assert title_of(paused) == f"tui-trainer - {paused.name} paused 65 %"
    assert title_of(a_view("finished")) == f"tui-trainer - {paused.name} finished"


def test_a_title_has_nothing_that_is_not_known() -> None:
    assert title_of(None) == "tui-trainer"
    assert title_of(RunView()) == "tui-trainer"
    assert title_of(RunView("digits-1126", total_steps=0)) == "tui-trainer - digits-1126 starting"
    begun = RunView("digits-1126", state="running", total_steps=460)
    assert title_of(begun) == "tui-trainer - digits-1126 running"


def test_no_name_of_a_run_can_leave_the_title() -> None:
    hostile = RunView("a\x1b]52;c;aGk=\x07\x9cb", state="finished")
    sent = sequence(title_of(hostile))
    assert sent.startswith("\x1b]2;tui-trainer - a")
    assert sent.endswith("\x1b\\")
    assert not set(sent[4:-2]) & {"\x1b", "\x07", "\x9c", "\n"}


@pytest.mark.parametrize(
    ("term", "has_one"),
    [
        *((term, True) for term in ("xterm-256color", "tmux-256color", "screen", "alacritty")),
        *((term, False) for term in ("dumb", "linux", "vt100", "")),
    ],
)
def test_only_terminals_that_have_a_title_get_one(term: str, has_one: bool) -> None:
    assert has_title({"TERM": term}) == has_one
