"""Composes a panel as rows of characters: title, axes with ticks, the canvas, and signs on it.

Layer: ui. A row consists of two strings of equal length, the characters and the ink of each cell;
a row that is equal to the one on the screen need not be painted again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
    Line,
    LineDrawing,
    LineText,
    Row,
    bead_character,
    column,
    place,
)
from tui_trainer.ui.plots.curve_layers import Layers
from tui_trainer.ui.plots.markers import Markers
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
class Cursor:
    """The crosshair: its column, which may be off the canvas, and where it is as text."""

    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Surround:
    """Everything around the canvas."""

    title: str
    signs: tuple[Sign, ...] = ()
    notes: tuple[str, ...] = ()
    cursor: Cursor | None = None
    y_ticks: tuple[Tick, ...] = ()
    remark: str = ""
    """What stands after the names of the lines, if there is room."""
    names_signs: bool = True
    """Whether the signs are named, where there is room."""


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
    canvas.cursor(around.cursor.column if around.cursor is not None else None)
    found = [title_row(drawing, around, where, width)] * where.top
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
        found += _x_axis(drawing, around, where)
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


def _x_axis(drawing: LineDrawing, around: Surround, where: Room) -> list[Row]:
    """Return the axis with its ticks and signs, and the row of labels.

    The crosshair's place is among the labels, and covers those of ticks.
    """
    plain = drawing.markers == "ascii"
    line, tick_sign, corner = ("-", "+", "+") if plain else ("─", "┬", "└")
    axis, inks = [line] * drawing.width, [AXIS] * drawing.width
    labels = _Labels(drawing.width)
    if around.cursor is not None:
        labels.put(around.cursor.column, around.cursor.text, CURSOR)
    for tick in drawing.x.scale(max(drawing.width // 10, 2)).ticks:
        at = column(drawing, tick.value)
        if 0 <= at < drawing.width:
            labels.put(at, tick.label, AXIS)
            axis[at] = tick_sign
    marks = ((column(drawing, sign.x), sign.kind) for sign in around.signs if sign.y is None)
    for at, kind in merged(marks).items():
        if 0 <= at < drawing.width:
            axis[at], inks[at] = sign_character(kind, drawing.markers), SIGN
    edge = " " * (where.left - 1) + corner if where.left else ""
    blank = " " * where.left
    return [
        Row(edge + "".join(axis), AXIS * len(edge) + "".join(inks)),
        Row(blank + "".join(labels.text), AXIS * len(blank) + "".join(labels.inks)),
    ]


class _Labels:
    """The row of labels below an axis, those that were put first before all others."""

    def __init__(self, width: int) -> None:
        self.text = [" "] * width
        self.inks = [AXIS] * width

    def put(self, at: int, label: str, ink: str) -> bool:
        """Put a label below a column, if there is room for it; return whether there is."""
        start = min(max(at - len(label) // 2, 0), len(self.text) - len(label))
        end = start + len(label)
        if start < 0 or any(it != " " for it in self.text[max(start - 2, 0) : end + 2]):
            return False
        self.text[start:end] = label
        self.inks[start:end] = ink * len(label)
        return True


def title_row(drawing: LineDrawing, around: Surround, where: Room, width: int) -> Row:
    """Return the title with the names of lines and signs, and notes on the right.

    With a crosshair, the values of the lines are beside their names, and signs are not named.
    """
    parts = [(f" {around.title}", TITLE)]
    notes = ", ".join(around.notes)
    if around.cursor is not None:
        if not where.has_x_axis:
            parts.append((f"  {around.cursor.text}", CURSOR))
        parts += _values(drawing, width - _length(parts) - (len(notes) + 3 if notes else 0))
    else:
        remark = [("  ", PLAIN), (around.remark, NOTE)] if around.remark else []
        has_room = width >= NARROWEST_WITH_SIGN_NAMES
        named = around.signs if around.names_signs and has_room else ()
        for more in (_line_names(drawing), remark, _sign_names(drawing, named)):
            # Notes have priority: they say what cannot be seen.
            if _length(parts + more) + (len(notes) + 3 if notes else 0) <= width:
                parts += more
    if notes:
        parts.append((" " * max(width - _length(parts) - len(notes) - 1, 1), PLAIN))
        parts.append((notes, NOTE))
    return fitted(parts, width)


def _values(drawing: LineDrawing, width: int) -> list[tuple[str, str]]:
    """Return the lines with their values, in the longest form that fits, or else the shortest."""
    most = max((len(line.values) for line in drawing.lines), default=0)
    forms = [_line_names(drawing, level) for level in range(most)]
    forms.append(_line_names(drawing, most - 1, name=lambda line: line.label))
    forms.append(_line_names(drawing, most - 1, name=_brief_name))
    return next((parts for parts in forms if _length(parts) <= width), forms[-1])


def _brief_name(line: Line) -> str:
    """Return the number of a compared run, which is its bead, or else the whole name."""
    return line.bead if line.bead.isdigit() else line.label


def _line_names(
    drawing: LineDrawing, level: int | None = None, name: Callable[[Line], str] | None = None
) -> list[tuple[str, str]]:
    """Return the names of the lines, by default with samples; with values, if a `level` is given.

    A higher level has shorter values.
    """
    parts = []
    for line in drawing.lines:
        sample = line_sample(drawing.markers, line.ink, line.bead, faint=line.faint)
        shown = f"{sample} {line.label}" if name is None else name(line)
        words = [shown if line.label else ""]
        if level is not None and line.values:
            words.append(line.values[min(level, len(line.values) - 1)])
        if text := " ".join(filter(None, words)):
            parts += [("  ", PLAIN), (text, line.ink.upper() if line.faint else line.ink)]
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
