"""`Layers`: the lines of a plot merged into cells, with beads, signs and the crosshair on them.

Layer: ui. Where lines lie on each other their cells take turns, so that none is hidden: two equal
curves are one line of dashes in both colours, or in both letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui_trainer.ui.plots.canvas import (
    CURSOR,
    PLAIN,
    SIGN,
    Line,
    LineDrawing,
    LineText,
    Row,
    bead_character,
    places,
)
from tui_trainer.ui.plots.signs import Sign, sign_character

BRAILLE = "\u2800"
"""The first braille character; its eight lowest bits are the dots."""
DASH = 3
"""The length in cells of a line's turn, where several lines share cells."""
BEADS_EVERY = 12
"""The cells between two beads of a line that has too many points to mark all of them."""

Cell = tuple[int, int]
"""The row from the top and the column from the left."""
Owner = tuple[int, str]
"""A line's index in the drawing, and its ink."""


class Layers:
    """The cells of a canvas; each method draws over what the methods before it have drawn."""

    def __init__(self, drawing: LineDrawing, layers: Sequence[LineText]) -> None:
        self._drawing = drawing
        self._text = [[" "] * drawing.width for _ in range(drawing.height)]
        self._inks = [[PLAIN] * drawing.width for _ in range(drawing.height)]
        self._owners: dict[Cell, Owner] = {}
        self._shared: dict[Cell, dict[Owner, str]] = {}
        for layer in layers:
            self._add(layer)
        for cell, lines in self._shared.items():
            self._take_turns(cell, lines)

    def _add(self, layer: LineText) -> None:
        """Draw a layer over those before it, and note the cells in which it meets another line."""
        owner = (layer.line, layer.ink)
        rows = zip(self._text, self._inks, layer.rows, strict=False)
        for at_row, (text, inks, row) in enumerate(rows):
            first = len(row) - len(row.lstrip(" "))
            for at, character in enumerate(row.rstrip(" ")[first:], first):
                if character == " ":
                    continue
                before = self._owners.get((at_row, at))
                if before == owner:
                    text[at] = _merged(text[at], character)
                elif before is None or before[1].isupper():
                    # Faint lines are behind all others, which hide them.
                    text[at] = character
                else:
                    lines = self._shared.setdefault((at_row, at), {before: text[at]})
                    lines[owner] = _merged(lines.get(owner, character), character)
                inks[at] = layer.ink
                self._owners[at_row, at] = owner

    def _take_turns(self, cell: Cell, lines: dict[Owner, str]) -> None:
        """Give a shared cell to one of its lines; braille shows the dots of all of them."""
        row, at = cell
        turn = (at + DASH * row) // DASH % len(lines)
        (_, ink), character = list(lines.items())[::-1][turn]
        if character >= BRAILLE:
            for other in lines.values():
                character = _merged(character, other)
        self._text[row][at], self._inks[row][at] = character, ink

    def _cells(self, line: Line) -> list[Cell]:
        """Return the cells of a line's points that are on the canvas."""
        drawing = self._drawing
        shown = [(x, y) for x, y in zip(line.xs, line.ys, strict=False) if drawing.y.shows(y)]
        points = places(drawing, [x for x, _ in shown], [y for _, y in shown])
        cells = [(drawing.height - 1 - int(up // 1), int(across // 1)) for across, up in points]
        return [
            (row, at) for row, at in cells if 0 <= row < drawing.height and 0 <= at < drawing.width
        ]

    def beads(self) -> None:
        """Put a bead on every point of a line with few points, or else at regular intervals.

        Where beads of several lines meet, they take turns as well.
        """
        beaded = [line for line in self._drawing.lines if line.bead]
        spots: dict[Cell, list[Line]] = {}
        for turn, line in enumerate(beaded):
            cells = self._cells(line)
            columns = [at for _, at in cells]
            if len(cells) > max((max(columns, default=0) - min(columns, default=0)) // 3, 2):
                cells = _spaced(cells, turn, len(beaded))
            for cell in dict.fromkeys(cells):
                spots.setdefault(cell, []).append(line)
        ordered = sorted(spots.items(), key=lambda spot: spot[0][1])
        for turn, ((row, at), lines) in enumerate(ordered):
            line = lines[::-1][turn % len(lines)]
            self._text[row][at] = bead_character(line.bead, self._drawing.markers)
            self._inks[row][at] = line.ink

    def signs(self, signs: Iterable[Sign]) -> None:
        """Put signs that have a y on the canvas."""
        for sign in signs:
            if sign.y is not None:
                character = sign_character(sign.kind, self._drawing.markers)
                for row, at in self._cells(Line((sign.x,), (sign.y,))):
                    self._text[row][at], self._inks[row][at] = character, SIGN

    def cursor(self, at: int | None) -> None:
        """Draw the crosshair in a column; lines are drawn in front of it, in its ink."""
        if at is None or not 0 <= at < self._drawing.width:
            return
        bar = "|" if self._drawing.markers == "ascii" else "│"
        for text, inks in zip(self._text, self._inks, strict=True):
            if text[at] == " ":
                text[at] = bar
            inks[at] = CURSOR

    def rows(self) -> list[Row]:
        """Return the rows of the canvas, from the top."""
        return [
            Row("".join(text), "".join(inks))
            for text, inks in zip(self._text, self._inks, strict=True)
        ]


def _merged(below: str, character: str) -> str:
    """Return the dots of both characters; the second one if they have no dots."""
    if below >= BRAILLE and character >= BRAILLE:
        return chr(ord(below) | ord(character))
    return character


def _spaced(cells: Iterable[Cell], turn: int, turns: int) -> list[Cell]:
    """Return one cell of every so many columns, different ones for each turn."""
    every = max(BEADS_EVERY // turns, 2)
    found: dict[int, Cell] = {}
    for row, at in cells:
        if at // every % turns == turn:
            found.setdefault(at // every, (row, at))
    return list(found.values())
