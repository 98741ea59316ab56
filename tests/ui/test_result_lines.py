"""What the end of a run shows beside the metrics: labels, and predicted against true numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.ui.runs import an_ending
from tui_trainer.runs.events import RunEnded
from tui_trainer.ui.run.result_lines import result_lines

NOTHING = replace(an_ending(), confusion=None, classes=())


def shown(ending: RunEnded) -> list[str]:
    return [line.plain.rstrip() for line in result_lines(ending)]


def test_labels_have_their_counts_and_scores() -> None:
    ending = replace(NOTHING, labels=((40, 30, 20), (0, 0, 0)), classes=("out\x1b[2Jdoor", "rare"))
    head, columns, first, second = shown(ending)
    assert head.startswith("Labels: ")
    assert columns.split() == ["label", "samples", "predicted", "precision", "recall", "F1"]
    assert first.split()[-5:] == ["40", "30", "66.7%", "50.0%", "57.1%"]
    assert "\x1b" not in first
    assert second.split() == ["rare", "0", "0", "-", "-", "-"]


def test_numbers_are_drawn_with_the_line_on_which_they_are_right() -> None:
    points = (*((float(n), float(n)) for n in range(10)), (0.0, 9.0), (0.0, 9.0))
    title, *grid, axis, ends = shown(replace(NOTHING, scatter=points))
    assert title == "Predicted (up) against true numbers of 12 test samples"
    assert len(grid) == 14
    assert grid[0].startswith("9.000 │:")
    assert grid[-1].startswith("0.000 │·")
    assert sum(line.count("·") for line in grid) == 10
    assert any("/" in line for line in grid)
    assert axis.strip() == "└" + "─" * 48
    assert ends.split() == ["0.000", "9.000"]


def test_several_numbers_are_told_one_by_one() -> None:
    title, columns, first, second = shown(
        replace(NOTHING, scatter=((0.0, 5.0, 1.0, 5.0), (2.0, 7.0, 2.0, 4.0)))
    )
    assert title == "Numbers predicted for 2 test samples, and their absolute errors"
    assert columns.split() == ["number", "true", "from", "to", "mean", "error", "largest"]
    assert first.split() == ["0", "0.000", "2.000", "0.5000", "1.000"]
    assert second.split() == ["1", "5.000", "7.000", "1.500", "3.000"]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scatter": ()},
        {"scatter": ((), (1.0,), (math.nan, 1.0))},
        {"labels": ()},
    ],
)
def test_what_is_not_there_or_cannot_be_is_not_drawn(changes: dict[str, object]) -> None:
    assert shown(replace(NOTHING, **changes)) == []  # type: ignore[arg-type]


def test_any_number_can_be_drawn() -> None:
    assert len(shown(replace(NOTHING, scatter=((3.0, 3.0),)))) == 17
    assert len(shown(replace(NOTHING, scatter=((-1e300, 1e300), (1e308, -1e308))))) == 17
    assert len(shown(replace(NOTHING, labels=((1, 2),), classes=("a",)))) == 2


def test_areas_have_their_overlap_above_the_confusion() -> None:
    rows = ((100, 90, 80), (20, 30, 10), (0, 0, 0))
    title, head, *body = shown(replace(NOTHING, areas=rows, classes=("ground", "disc\x1b", "none")))
    assert title.startswith("Classes: how many test pixels")
    assert head.split() == ["class", "pixels", "predicted", "precision", "recall", "IoU"]
    assert body[0].split() == ["ground", "100", "90", "88.9%", "80.0%", "72.7%"]
    assert body[1].split()[1:] == ["20", "30", "33.3%", "50.0%", "25.0%"]
    assert "\x1b" not in body[1]
    assert body[2].split() == ["none", "0", "0", "-", "-", "-"]
    table = ((80, 20), (10, 10))
    both = shown(replace(NOTHING, areas=rows[:2], confusion=table, classes=("ground", "disc")))
    assert both[4] == ""
    assert both[5].startswith("Confusion: rows are true classes")


def test_areas_that_somebody_else_wrote_are_drawn() -> None:
    rows = ((1, 2), (2**62 - 1, 0, 2**62 - 1), (0, 1, 2))
    assert len(shown(replace(NOTHING, areas=rows, classes=("a",)))) == 4
