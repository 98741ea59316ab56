"""Describes what is drawn on a canvas: lines in their own units, and the characters to use.

Layer: ui. An ink is one letter that names how a cell is painted. The widget maps inks to colours,
so nothing here depends on a theme.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from tui_trainer.ui.plots.axes import Axis
from tui_trainer.ui.plots.markers import Markers

PLAIN, AXIS, SIGN, TITLE, NOTE, CURSOR = " ", "a", "s", "h", "n", "c"
TRAIN, VAL, OTHER = "t", "v", "o"
"""A faint line has the capital letter of its ink."""
ASCII_MARKS = {TRAIN: "*", VAL: "o", OTHER: "#"}
"""The ASCII character of each line's ink, so that lines differ even without colour."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series, interrupted at the x values in `gaps`. Values that are not finite are left out.

    `bead` is a character put on points, which distinguishes the line without colour.
    """

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    ink: str = OTHER
    faint: bool = False
    label: str = ""
    bead: str = ""
    gaps: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    """Its value at the crosshair, as texts of which the longest comes first."""


@dataclass(frozen=True, slots=True)
class LineDrawing:
    """Lines on a canvas `width` by `height` cells large, back to front."""

    width: int
    height: int
    lines: tuple[Line, ...]
    x: Axis
    y: Axis
    markers: Markers = "braille"


@dataclass(frozen=True, slots=True)
class LineText:
    """One line as text: a row of characters for each row of the canvas, blank elsewhere.

    `line` is its index in the drawing: a line may have several of these.
    """

    ink: str
    rows: tuple[str, ...]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """`inks` names, cell by cell, how the text is painted."""

    text: str
    inks: str


DOT = "•"
"""The bead of a validation line."""


def bead_character(bead: str, markers: Markers) -> str:
    """Return a bead, or a letter in its place if the font may lack it."""
    return "o" if bead == DOT and markers != "braille" else bead


DOTS: dict[Markers, tuple[int, int]] = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 1)}
"""Dots per cell, across and down."""


def place(drawing: LineDrawing, x: float, y: float) -> tuple[float, float]:
    """Return where a point is on the canvas, in cells from its lower left corner."""
    return places(drawing, (x,), (y,))[0]


def places(
    drawing: LineDrawing, xs: Iterable[float], ys: Iterable[float]
) -> list[tuple[float, float]]:
    """Return where points are on the canvas, in cells from its lower left corner."""
    across, down = DOTS[drawing.markers]
    at_x, per_x = 0.5 / across, drawing.width - 1 / across
    at_y, per_y = 0.5 / down, drawing.height - 1 / down
    return [
        (at_x + x * per_x, at_y + y * per_y)
        for x, y in zip(drawing.x.shares(xs), drawing.y.shares(ys), strict=True)
    ]


def column(drawing: LineDrawing, x: float) -> int:
    """Return the column of an x from the left; outside 0..width-1 if x is off the axis."""
    return math.floor(place(drawing, x, drawing.y.low)[0])


def x_at(drawing: LineDrawing, at_column: int) -> float:
    """Return the x at the middle of a column."""
    dots = DOTS[drawing.markers][0]
    span = drawing.width - 1 / dots
    share = (at_column + 0.5 - 0.5 / dots) / span if span > 0 else 0.5
    return drawing.x.value(min(max(share, 0.0), 1.0))
