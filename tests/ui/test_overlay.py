"""Runs over each other: what the curves and the columns are called."""

from __future__ import annotations

from pathlib import Path

from tui_trainer.runs.history import History
from tui_trainer.runs.index import RunSummary
from tui_trainer.ui.plotting.overlay import overlay
from tui_trainer.ui.widgets.compared import Portrait, comparison_lines

NAMES = ("arger-bold-x-1125-1724", "digits-cnn-1125-1714")
SHOWN = ("arger-bo…25-1724", "digits-c…25-1714")


def a_history() -> History:
    history = History()
    history.put("val/loss", [1, 2], [0.5, 0.25])
    return history


def test_a_long_name_keeps_what_was_run_and_when() -> None:
    _, spec = overlay(dict.fromkeys(NAMES, a_history()))
    assert [series.label for series in spec.series] == list(SHOWN)


def test_a_column_has_the_name_of_its_curve() -> None:
    portraits = [
        Portrait(RunSummary(name, Path(name), "finished", None), {}, a_history()) for name in NAMES
    ]
    assert comparison_lines(NAMES, portraits)[0].split() == list(SHOWN)
