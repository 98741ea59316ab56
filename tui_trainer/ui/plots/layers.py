"""`Layers`: the lines of a plot merged into cells, with beads, signs and the crosshair on them.

Layer: ui.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui_trainer.ui.plots.canvas import CURSOR, PLAIN, SIGN, LineDrawing, LineText, Row, place
from tui_trainer.ui.plots.signs import Sign, sign_character

BRAILLE = "\u2800"
"""The first braille character; its eight lowest bits are the dots."""


class Layers:
    """Merges the layers, cell by cell."""

    def __init__(self, drawing: LineDrawing, layers: Sequence[LineText]) -> None:
        self._drawing = drawing
        self._text = [[" "] * drawing.width for _ in range(drawing.height)]
        self._inks = [[PLAIN] * drawing.width for _ in range(drawing.height)]
        for layer in layers:
            for text, inks, row in zip(self._text, self._inks, layer.rows, strict=False):
                first = len(row) - len(row.lstrip(" "))
                for index, character in enumerate(row.rstrip(" ")[first:], first):
                    if character != " ":
                        text[index] = _over(text[index], inks[index], character, layer.ink)
                        inks[index] = layer.ink

    def put(self, x: float, y: float, character: str, ink: str) -> None:
        """Put a character on the cell of a point, if it is on the canvas."""
        across, up = place(self._drawing, x, y)
        at, row = int(across // 1), self._drawing.height - 1 - int(up // 1)
        if 0 <= at < self._drawing.width and 0 <= row < self._drawing.height:
            self._text[row][at], self._inks[row][at] = character, ink

    def beads(self) -> None:
        character = "•" if self._drawing.markers == "braille" else "o"
        for line in self._drawing.lines:
            few = len(line.xs) <= self._drawing.width // 3
            if line.beads and (few or len(line.xs) == 1):
                for x, y in zip(line.xs, line.ys, strict=False):
                    if self._drawing.y.shows(y):
                        self.put(x, y, character, line.ink)

    def signs(self, signs: Iterable[Sign]) -> None:
        for sign in signs:
            if sign.y is not None and self._drawing.y.shows(sign.y):
                self.put(sign.x, sign.y, sign_character(sign.kind, self._drawing.markers), SIGN)

    def cursor(self, at: int | None) -> None:
        if at is None or not 0 <= at < self._drawing.width:
            return
        bar = "|" if self._drawing.markers == "ascii" else "│"
        for text, inks in zip(self._text, self._inks, strict=True):
            if text[at] == " ":
                text[at] = bar
            inks[at] = CURSOR

    def rows(self) -> list[Row]:
        return [
            Row("".join(text), "".join(inks))
            for text, inks in zip(self._text, self._inks, strict=True)
        ]


def _over(below: str, below_ink: str, character: str, ink: str) -> str:
    """Return what a cell shows with `character` drawn over `below`.

    Braille dots are merged with those below, unless these are another line's faint dots.
    """
    if below >= BRAILLE and character >= BRAILLE and (below_ink == ink or below_ink.islower()):
        return chr(ord(below) | ord(character))
    return character
