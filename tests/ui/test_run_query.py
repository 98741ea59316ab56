"""Queries of the list of runs: a typed filter, an order, and the text that describes both."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runs.test_index import make_run
from tui_trainer.runs.index import ORDERS, RunSummary, list_runs
from tui_trainer.ui.runs.pages import RunQuery


@pytest.fixture
def runs(tmp_path: Path) -> list[RunSummary]:
    for number, state in enumerate(("finished", "stopped", "finished")):
        make_run(tmp_path, f"run-{number}", number, state=state)
    return list_runs(tmp_path)


def test_at_first_all_runs_are_wanted_in_their_own_order(runs: list[RunSummary]) -> None:
    query = RunQuery()
    assert (query.terms, query.order, query.typo) == ([], "", "")
    assert query.told(runs, runs, "") == "3 runs, 0 live"


def test_a_filter_says_how_many_fit(runs: list[RunSummary]) -> None:
    query = RunQuery()
    query.type("state=stopped")
    assert query.told(runs, runs[:1], "") == "1 of 3 runs, 0 live"
    assert query.told(runs, runs, "no such key") == "3 runs, 0 live"
    query.type("")
    assert query.terms == []


def test_half_a_filter_is_none_and_says_what_is_missing(runs: list[RunSummary]) -> None:
    query = RunQuery()
    query.type("state=stopped")
    query.type("lr<")
    assert query.terms == []
    assert "lr<" in query.typo
    query.type("lr<0.1")
    assert query.typo == ""
    assert len(query.terms) == 1


def test_orders_follow_each_other_and_come_back_to_the_first(runs: list[RunSummary]) -> None:
    query = RunQuery()
    seen = []
    for _ in range(len(ORDERS) + 1):
        query.turn_order()
        seen.append(query.order)
    assert seen == [*ORDERS, ""]
    query.turn_order()
    assert query.told(runs, runs, "").endswith(f"  by {query.order}")
