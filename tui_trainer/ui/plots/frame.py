"""Composes a panel as rows of characters: title, axes with ticks, the canvas, and signs on it.

Layer: ui. A row consists of two strings of equal length, the characters and the ink of each cell;
a row that is equal to the one on the screen need not be painted again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from tui_trainer.ui.plots.axes import Axis
from tui_trainer.ui.plots.canvas import (
    ASCII_MARKS,
    AXIS,
    CURSOR,
    NOTE,
    PLAIN,
    SIGN,
    TITLE,
    LineDrawing,
    LineText,
    Markers,
    Row,
    bead_character,
    column,
    place,
)
from tui_trainer.ui.plots.layers import Layers
from tui_trainer.ui.plots.signs import SIGNS, Sign, merged, sign_character
from tui_trainer.ui.plots.ticks import Scale, Tick

MARGIN = 7
"""Cells for the y labels, the same in every panel, so that panels below each other align."""
NARROWEST_WITH_LABELS = 26
NARROWEST_WITH_SIGN_NAMES = 50
LOWEST_WITH_X_AXIS = 6
LOWEST_WITH_TITLE = 3


@dataclass(frozen=True, slots=True)
class Room:
    """The layout of a panel in cells: where its canvas is and how large."""

    left: int
    top: int
    width: int
    height: int
    has_x_axis: bool


@dataclass(frozen=True, slots=True)
class Surround:
    """Everything around the canvas. A `reading` replaces the title row."""

    title: str
    signs: tuple[Sign, ...] = ()
    notes: tuple[str, ...] = ()
    reading: str = ""
    cursor: int | None = None
    """The column of the crosshair."""
    y_ticks: tuple[Tick, ...] = ()
    remark: str = ""
    """What stands after the names of the lines, if there is room."""


def room(width: int, height: int) -> Room:
    """Lay out a panel of this size; when it is small, what surrounds the canvas is left out."""
    left = MARGIN + 1 if width >= NARROWEST_WITH_LABELS else 0
    top = 1 if height >= LOWEST_WITH_TITLE else 0
    below = 2 if height >= LOWEST_WITH_X_AXIS else 0
    return Room(left, top, max(width - left, 0), max(height - top - below, 0), bool(below))


def rows(
    drawing: LineDrawing, layers: Sequence[LineText], around: Surround, width: int, height: int
) -> list[Row]:
    """Return all rows of a panel, each `width` cells wide."""
    where = room(width, height)
    canvas = Layers(drawing, layers)
    canvas.beads()
    canvas.signs(around.signs)
    canvas.cursor(around.cursor)
    found = [title_row(drawing, around, width)] * where.top
    labels = _y_labels(drawing, around.y_ticks) if where.left else {}
    bar, tick = ("|", "+") if drawing.markers == "ascii" else ("│", "┤")
    for index, row in enumerate(canvas.rows()):
        if where.left:
            label = labels.get(index, "")
            edge = f"{label:>{MARGIN}}" + (tick if label else bar)
            found.append(Row(edge + row.text, AXIS * where.left + row.inks))
        else:
            found.append(row)
    if where.has_x_axis:
        found += _x_axis(drawing, around.signs, where)
    return found[:height]


def y_scale(y: Axis, height: int) -> Scale:
    """Return the ticks of the y axis for a canvas of that height."""
    return y.scale(max(height // 3, 2), MARGIN)


def _y_labels(drawing: LineDrawing, ticks: Iterable[Tick]) -> dict[int, str]:
    """Return the labels by row of the canvas."""
    found: dict[int, str] = {}
    for tick in ticks:
        _, up = place(drawing, drawing.x.low, tick.value)
        found[drawing.height - 1 - int(up)] = tick.label
    return found


def _x_axis(drawing: LineDrawing, signs: Iterable[Sign], where: Room) -> list[Row]:
    """Return the axis with its ticks and signs, and the row of labels."""
    plain = drawing.markers == "ascii"
    line, tick_sign, corner = ("-", "+", "+") if plain else ("─", "┬", "└")
    axis, inks = [line] * drawing.width, [AXIS] * drawing.width
    text = [" "] * drawing.width
    free = 0
    for tick in drawing.x.scale(max(drawing.width // 10, 2)).ticks:
        at = column(drawing, tick.value)
        start = min(max(at - len(tick.label) // 2, 0), drawing.width - len(tick.label))
        if start < free or not 0 <= at < drawing.width:
            continue
        axis[at] = tick_sign
        text[start : start + len(tick.label)] = tick.label
        free = start + len(tick.label) + 2
    marks = ((column(drawing, sign.x), sign.kind) for sign in signs if sign.y is None)
    for at, kind in merged(marks).items():
        if 0 <= at < drawing.width:
            axis[at], inks[at] = sign_character(kind, drawing.markers), SIGN
    edge = " " * (where.left - 1) + corner if where.left else ""
    blank = " " * where.left
    return [
        Row(edge + "".join(axis), AXIS * len(edge) + "".join(inks)),
        Row(blank + "".join(text), AXIS * (len(blank) + drawing.width)),
    ]


def title_row(drawing: LineDrawing, around: Surround, width: int) -> Row:
    """Return the title with names of lines and signs, and notes on the right; or a reading."""
    if around.reading:
        return fitted([(around.reading, CURSOR)], width)
    parts = [(f" {around.title}", TITLE)]
    notes = ", ".join(around.notes)
    named = around.signs if width >= NARROWEST_WITH_SIGN_NAMES else ()
    remark = [("  ", PLAIN), (around.remark, NOTE)] if around.remark else []
    for more in (_line_names(drawing), remark, _sign_names(drawing, named)):
        # Notes have priority: they say what cannot be seen.
        if _length(parts + more) + (len(notes) + 3 if notes else 0) <= width:
            parts += more
    if notes:
        parts.append((" " * max(width - _length(parts) - len(notes) - 1, 1), PLAIN))
        parts.append((notes, NOTE))
    return fitted(parts, width)


def _line_names(drawing: LineDrawing) -> list[tuple[str, str]]:
    parts = []
    for line in drawing.lines:
        if line.label:
            ink = line.ink.upper() if line.faint else line.ink
            sample = line_sample(drawing.markers, line.ink, line.bead, faint=line.faint)
            parts += [("  ", PLAIN), (f"{sample} {line.label}", ink)]
    return parts


def _sign_names(drawing: LineDrawing, signs: Iterable[Sign]) -> list[tuple[str, str]]:
    kinds = {sign.kind for sign in signs}
    parts = []
    for kind in reversed(SIGNS):
        if kind in kinds:
            sign = sign_character(kind, drawing.markers)
            parts += [("  ", PLAIN), (sign, SIGN), (f" {SIGNS[kind][2]}", NOTE)]
    return parts


def _length(parts: Iterable[tuple[str, str]]) -> int:
    return sum(cell_len(text) for text, _ in parts)


def line_sample(markers: Markers, ink: str, bead: str, *, faint: bool = False) -> str:
    """Return a short piece of a line, to show next to its name."""
    dash, dots = (ASCII_MARKS[ink], "..") if markers == "ascii" else ("─", "┄┄")
    if faint:
        return dots
    return f"{dash}{bead_character(bead, markers)}{dash}" if bead else dash * 2


def fitted(parts: Iterable[tuple[str, str]], width: int) -> Row:
    """Join texts into a row of exactly `width` cells; wide characters become question marks."""
    text, inks = "", ""
    for part, ink in parts:
        text, inks = text + part, inks + ink * len(part)
    if cell_len(text) != len(text):
        narrow = "".join(c if cell_len(c) == 1 else "?" * cell_len(c) for c in text)
        text, inks = narrow, (inks + inks[-1:] * len(narrow))[: len(narrow)]
    return Row(set_cell_size(text, width), (inks + PLAIN * width)[:width])


def message(text: str, width: int, height: int) -> list[Row]:
    """Return rows that are blank except for a line of text in the middle."""
    blank = Row(" " * width, PLAIN * width)
    found = [blank] * height
    if height:
        shown = text if len(text) <= width else text[:width]
        found[height // 2] = fitted([(shown.center(width), NOTE)], width)
    return found
