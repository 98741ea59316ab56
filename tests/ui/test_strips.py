"""Rows of characters and inks, and the strips made of them."""

from __future__ import annotations

import pytest
from rich.style import Style

from tui_trainer.ui.plots.axes import Axis
from tui_trainer.ui.plots.canvas import Line, LineDrawing, LineText, Row
from tui_trainer.ui.plots.frame import Cursor, Surround, fitted, message, room, rows
from tui_trainer.ui.plots.plot import changed_span, strip_of
from tui_trainer.ui.plots.signs import Sign
from tui_trainer.ui.plots.ticks import Tick

CROSS = "\u00d7"
STYLES = {"t": Style(color="red"), "v": Style(color="blue"), " ": Style()}


def panel(
    lines: tuple[Line, ...] = (),
    layers: tuple[LineText, ...] = (),
    around: Surround | None = None,
    width: int = 40,
    height: int = 10,
) -> list[Row]:
    where = room(width, height)
    drawing = LineDrawing(where.width, where.height, lines, Axis(0, 10, "integer"), Axis(0, 1))
    return rows(drawing, layers, around or Surround("loss"), width, height)


def test_a_strip_has_a_segment_for_each_run_of_an_ink() -> None:
    strip = strip_of(Row("aabb", "ttvv"), STYLES)
    assert [(s.text, s.style) for s in strip] == [("aa", STYLES["t"]), ("bb", STYLES["v"])]
    assert strip.cell_length == 4


def test_blanks_do_not_change_the_style() -> None:
    strip = strip_of(Row("a  a b", "t  t v"), STYLES)
    assert [s.text for s in strip] == ["a  a ", "b"]


def test_only_the_cells_that_differ_are_named() -> None:
    old = Row("abcdef", "tttttt")
    assert changed_span(old, Row("abcdef", "tttttt")) is None
    assert changed_span(old, Row("abXdYf", "tttttt")) == (2, 5)
    assert changed_span(old, Row("abcdef", "tttttv")) == (5, 6)


def test_every_row_of_a_panel_fills_its_width_whatever_the_size() -> None:
    for width in range(1, 70):
        for height in range(1, 14):
            found = panel(width=width, height=height)
            assert [len(row.text) for row in found] == [width] * height
            assert [len(row.inks) for row in found] == [width] * height


def test_the_frame_has_labels_left_and_below() -> None:
    found = panel(around=Surround("loss", y_ticks=(Tick(0.0, "0.0"), Tick(1.0, "1.0"))))
    assert found[1].text.startswith("    1.0┤")
    assert found[-2].text.startswith("       └┬")
    assert found[-1].text.split() == ["0", "5", "10"]


def test_a_front_line_covers_a_faint_one_and_keeps_the_dots_of_another() -> None:
    blank = " " * 32
    rest = (blank,) * 6
    faint = LineText("T", ("⠁" + blank[1:], *rest), 0)
    train = LineText("t", ("⠂" + blank[1:], *rest), 1)
    val = LineText("v", ("⠄" + blank[1:], *rest), 2)
    assert panel(layers=(faint, train))[1].text[8] == "⠂"
    both = panel(layers=(faint, train, val))[1]
    assert (both.text[8], both.inks[8]) == ("⠆", "v")


@pytest.mark.parametrize(("first", "second"), [("⠒", "⠒"), ("*", "o")])
def test_lines_that_lie_on_each_other_take_turns(first: str, second: str) -> None:
    blank = (" " * 32,) * 6
    layers = [
        LineText(ink, (mark * 32, *blank), n)
        for n, ink, mark in ((0, "t", first), (1, "v", second))
    ]
    row = panel(layers=tuple(layers))[1]
    assert row.inks[8:20] == "vvvtttvvvttt"
    assert row.text[8:20] == (second * 3 + first * 3) * 2


def test_signs_stand_on_the_axis_and_are_named_in_the_title() -> None:
    around = Surround("loss", (Sign("save", 5.0), Sign("nonfinite", 5.0), Sign("edit", 10.0)))
    found = panel(around=around, width=60)
    axis = found[-2]
    assert axis.text.count(CROSS) == 1  # of two at one place, the one that matters more
    assert axis.inks[axis.text.index(CROSS)] == "s"
    assert axis.text.endswith("▲")
    assert f"{CROSS} not finite" in found[0].text
    assert "pause" not in found[0].text


def test_the_best_one_stands_on_its_line() -> None:
    found = panel(around=Surround("loss", (Sign("best", 10.0, 1.0),)))
    assert found[1].text.endswith("★")


def test_a_note_is_kept_when_the_names_do_not_fit() -> None:
    lines = (Line((), (), "t", label="train"), Line((), (), "v", label="val"))
    title = panel(lines, around=Surround("loss", notes=("0 and below left out",)), width=30)[0]
    assert title.text.endswith("0 and below left out ")
    assert "train" not in title.text
    assert "train" in panel(lines, width=40)[0].text


def test_the_crosshair_is_named_among_the_labels_and_moves_nothing() -> None:
    without = panel()
    with_it = panel(around=Surround("loss", cursor=Cursor(3, "step 5")))
    assert with_it[1].text[8 + 3] == "│"
    assert with_it[1].inks[8 + 3] == "c"
    assert with_it[-1].text.split() == ["step", "5", "5", "10"]
    assert with_it[-1].inks[8:14] == "c" * 6
    assert with_it[-2] == without[-2]
    assert len(with_it) == len(without)


def test_few_points_have_a_bead_each_and_many_one_in_twelve_cells() -> None:
    few = Line((0.0, 5.0, 10.0), (0.0, 0.5, 1.0), "v", bead="•")
    many = Line(tuple(i / 4 for i in range(40)), (0.5,) * 40, "v", bead="•")
    assert "".join(row.text for row in panel((few,))[1:]).count("•") == 3
    assert "".join(row.text for row in panel((many,))[1:]).count("•") == 3


@pytest.mark.parametrize(("points", "beads"), [(4, "2121"), (40, "1212")])
def test_beads_of_equal_lines_take_turns(points: int, beads: str) -> None:
    xs = tuple(10 * i / (points - 1) for i in range(points))
    lines = tuple(Line(xs, (0.5,) * points, "t", bead=bead) for bead in "12")
    row = next(row.text for row in panel(lines)[1:] if "1" in row.text)
    assert row.replace(" ", "")[1:].startswith(beads)


def test_wide_characters_do_not_shift_a_row() -> None:
    row = fitted([("損失 loss", "h")], 12)
    assert len(row.text) == len(row.inks) == 12
    assert "loss" in row.text


def test_a_message_stands_in_the_middle() -> None:
    found = message("Waiting", 20, 5)
    assert found[2].text.strip() == "Waiting"
    assert all(row.text.isspace() for row in found[:2] + found[3:])
    assert message("Waiting", 3, 1)[0].text == "Wai"
