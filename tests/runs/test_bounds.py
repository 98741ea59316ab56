"""The bounds of what is read: whatever JSON allows, a value within them can be worked with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tui_trainer
from tui_trainer.runs.bounds import (
    MOST_ITEMS,
    MOST_LETTERS,
    MOST_NAMES,
    MOST_WHOLE,
    are_counts,
    are_growing,
    are_metrics,
    is_count,
    is_list,
    is_number,
    is_plain,
    is_text,
    is_whole,
    number_or_nan,
)

HUGE = 10**400
DEEP: list[Any] = json.loads("[" * 500 + "]" * 500)


@pytest.mark.parametrize("value", [0, 1, -7, MOST_WHOLE - 1, 1 - MOST_WHOLE])
def test_an_integer_below_two_to_the_62_is_whole_and_a_number(value: int) -> None:
    assert is_whole(value)
    assert is_number(value)
    assert is_count(value) == (value >= 0)
    assert number_or_nan(value) == float(value)


@pytest.mark.parametrize("value", [MOST_WHOLE, -MOST_WHOLE, HUGE, True, None, "1", math.nan])
def test_what_no_clock_or_column_takes_is_not_whole(value: object) -> None:
    assert not is_whole(value)
    assert not is_count(value)


@pytest.mark.parametrize("value", [HUGE, -HUGE, math.nan, math.inf, True, None, "0.5", [0.5]])
def test_what_is_no_finite_number_is_nan(value: object) -> None:
    assert not is_number(value)
    assert math.isnan(number_or_nan(value))


def test_texts_lists_and_mappings_have_a_longest() -> None:
    assert is_text("a" * MOST_LETTERS)
    assert not is_text("a" * (MOST_LETTERS + 1))
    assert is_list([0] * MOST_ITEMS)
    assert not is_list([0] * (MOST_ITEMS + 1))
    names = {str(number): 0.5 for number in range(MOST_NAMES)}
    assert are_metrics(names)
    assert not are_metrics({**names, "one more": 0.5})


@pytest.mark.parametrize(
    "metrics", [{"a": HUGE}, {"a": math.inf}, {"a": "1"}, {"a" * 10**5: 1.0}, [], None, {"a": {}}]
)
def test_metrics_are_finite_numbers_by_names_that_can_be_shown(metrics: object) -> None:
    assert not are_metrics(metrics)
    assert are_metrics({"loss": 0.5, "was not finite": None})


@pytest.mark.parametrize("value", [None, True, 3, 0.5, "x", [1, [2]], {"a": [{"b": 1}]}])
def test_a_setting_is_plain(value: object) -> None:
    assert is_plain(value)


@pytest.mark.parametrize("value", [HUGE, [HUGE], {"a": math.nan}, DEEP, {1: 2}, "a" * 10**6])
def test_a_setting_out_of_bounds_is_not_plain(value: object) -> None:
    assert not is_plain(value)


def test_steps_grow_or_are_none() -> None:
    assert are_growing([])
    assert are_growing([0, 3, 4])
    for steps in ([0, 0], [3, 2], [-1, 2], [0, HUGE], [0, HUGE, HUGE + 1]):
        assert not are_growing(steps)


def test_counts_are_none_of_them_negative_or_huge() -> None:
    assert are_counts([])
    assert are_counts([3, 0, 2**61])
    for numbers in ([-1], [0, HUGE], [2**62, 1]):
        assert not are_counts(numbers)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=20,
    )
)
def test_no_value_is_an_error(value: object) -> None:
    for check in (is_whole, is_count, is_number, is_text, is_list, are_metrics, is_plain):
        assert check(value) in (True, False)


READERS = {
    "runs/status": "bounds of each field",
    "runs/tail": "a step, and a number of each curve or NaN; events by runs/event_records",
    "runs/journal": "the records of edits and events, which from_record and event_of bound",
    "runs/manifests": "bounds of each field",
    "runs/recording": "the header, its series and its times",
    "runs/mailbox": "commands, by from_dict",
    "runs/provenance": "what is kept of earlier starts, and the settings",
    "runs/lock": "a process id below 2^31 and a text",
}
"""Who reads JSON of a run, and what is bounded there."""


def test_fault_56_who_reads_json_of_a_run_is_known() -> None:
    root = Path(tui_trainer.__file__).parent
    readers = {
        path.relative_to(root).with_suffix("").as_posix()
        for path in root.rglob("*.py")
        if "json.load" in path.read_text(encoding="utf-8")
    }
    # They read data of the user's: the beginning of a file, and a cell of a row.
    readers -= {"sessions/data_files", "text/strict_json"}
    assert {name for name in readers if name.split("/")[0] not in ("data", "config")} == set(
        READERS
    )
