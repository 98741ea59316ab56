"""Events come back from their lines as they were, and nothing else passes for one."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.runs import an_ending, some_events
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import (
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    RunEnded,
    SaveFailed,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.journal import encode

OTHERS: list[Event] = [
    an_ending(),
    RunEnded(3, "failed", "the disk is full", 1, "", 0.5, 3),
    SaveFailed(3, "the disk is full"),
    NonFinite(3, 1, "loss is nan", (1, 2)),
    CommandApplied(3, "ab", "set", "ctl (a@b/1)", "no such key"),
]


def line_of(event: Event) -> dict[str, object]:
    line: dict[str, object] = json.loads(encode([to_dict(event)]))
    return line


def test_every_event_of_a_run_comes_back() -> None:
    for event in [*some_events(), *OTHERS]:
        assert event_of({**line_of(event), "time": "now", "of a newer version": 1}) == event


def test_an_event_keeps_the_time_at_which_it_happened() -> None:
    event = SaveFailed(3, "the disk is full", at_s=1_700_000_000.25)
    line = line_of(event)
    assert line["time"] == "2023-11-14T22:13:20.250+00:00"
    read = event_of(line)
    assert read is not None
    assert read.at_s == event.at_s


@pytest.mark.parametrize(
    "text", ["", "yesterday", None, 3, "1969-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"]
)
def test_a_time_that_cannot_be_is_not_known(text: object) -> None:
    read = event_of({**line_of(SaveFailed(3, "the disk is full")), "time": text})
    assert read is not None
    assert read.at_s == 0
    assert "time" not in to_dict(read)


def test_what_was_not_finite_is_not_a_number_again() -> None:
    read = event_of(line_of(ValidationEnded(3, 1, 0.5, {"loss": math.inf}, 0.1, False, 0)))
    assert isinstance(read, ValidationEnded)
    assert math.isnan(read.metrics["loss"])


@pytest.mark.parametrize(
    "change",
    [
        {"event": "unheard_of"},
        {"event": ["run_ended"]},
        {"step": "3"},
        {"step": True},
        {"state": "asleep"},
        {"best": {"metric": "loss"}},
        {"best": 3},
        {"test": {"loss": "0.5"}},
        {"confusion": [[1, "2"]]},
        {"classes": "ab"},
        {"exit_code": 1.5},
        {"exit_code": 10**400},
        {"step": -1},
        {"step": 2**62},
        {"epoch": 10**400},
        {"elapsed_s": 10**400},
        {"elapsed_s": math.inf},
        {"elapsed_s": math.nan},
        {"test": {"loss": 10**400}},
        {"test": {"a" * 100_000: 0.5}},
        {"baseline": {"x": {"loss": math.inf}}},
        {"confusion": [[10**400]]},
        {"areas": [[1, 0.5, 0]]},
        {"classes": [""] * 200_000},
        {"reason": "a" * 100_000},
    ],
    ids=lambda change: f"{change!r:.50}",
)
def test_a_line_that_does_not_fit_is_no_event(change: dict[str, object]) -> None:
    assert event_of({**line_of(an_ending()), **change}) is None
    assert event_of({"event": "run_ended", "step": 3}) is None


@pytest.mark.parametrize(
    "value", [10**400, math.nan, [[[[[[[1]]]]]]], "a" * 100_000, {"a": -math.inf}]
)
def test_an_edit_to_what_no_setting_can_be_is_no_event(value: object) -> None:
    line = line_of(Edited(3, "optimizer.lr", 0.1, [0.1, 0.2], "you"))
    assert event_of(line) == Edited(3, "optimizer.lr", 0.1, [0.1, 0.2], "you")
    assert event_of({**line, "new": value}) is None


@given(
    st.dictionaries(
        st.sampled_from(["step", "best", "metrics", "classes", "epoch", "state", "reason"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
            max_leaves=5,
        ),
    )
)
def test_no_line_is_an_error(changes: dict[str, object]) -> None:
    for event in OTHERS:
        event_of({**line_of(event), **changes})
