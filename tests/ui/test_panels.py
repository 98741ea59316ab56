"""Runs over each other: what the curves and the columns are called."""

from __future__ import annotations

from pathlib import Path

from tui_trainer.runs.history import History
from tui_trainer.runs.index import RunSummary
from tui_trainer.ui.plots.frame import rows
from tui_trainer.ui.plots.panels import View, overlay
from tui_trainer.ui.plots.picture import picture
from tui_trainer.ui.runs.compared import Portrait, comparison_lines

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
    samples, heads, *_ = comparison_lines(NAMES, portraits, "braille")
    assert samples.plain.split() == ["─1─", "─2─"]
    assert heads.plain.split() == list(SHOWN)
    styles = [{str(span.style) for span in line.spans} - {""} for line in (samples, heads)]
    assert styles == [{"$text-primary", "$text-warning"}] * 2


def test_curves_that_are_equal_are_said_to_be() -> None:
    history, spec = overlay({name: a_history() for name in ("one", "two", "three")})
    shot = picture(history, spec, View(smoothing=0.0), 80, 20, "braille")
    assert shot is not None
    assert shot.around.remark == "1, 2 and 3 are equal"


def test_values_of_many_runs_stand_beside_their_numbers() -> None:
    history, spec = overlay({f"digits-cnn-112{n}": a_history() for n in range(4)})
    shot = picture(history, spec, View(smoothing=0.0, cursor=2), 64, 20, "braille")
    assert shot is not None
    title = rows(shot.drawing, [], shot.around, 64, 20)[0].text.strip()
    assert title == "val loss  1 0.2500  2 0.2500  3 0.2500  4 0.2500"


def test_six_curves_are_told_apart_by_ink_and_beads() -> None:
    names = [f"run-{n}" for n in range(6)]
    portraits = [
        Portrait(RunSummary(name, Path(name), "finished", None), {}, a_history()) for name in names
    ]
    samples = comparison_lines(names, portraits, "ascii")[0]
    assert samples.plain.split() == ["*1*", "o2o", "#3#", "*4*", "o5o", "#6#"]
