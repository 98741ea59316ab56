"""Rows of characters and inks as Textual's strips, and where two rows differ.

Layer: ui. Runs of one ink are one segment and blanks belong to the run before them, because each
change of style costs some twenty bytes on the way to the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui_trainer.ui.plotting.drawing import PLAIN
from tui_trainer.ui.plotting.frame import Row


def strip_of(row: Row, styles: Mapping[str, Style]) -> Strip:
    """A row in these styles; an ink that is not among them is painted plainly."""
    # Textual's filters take no segment without a style.
    segments = [Segment(text, styles.get(ink, Style.null())) for ink, text in _runs(row)]
    return Strip(segments, len(row.text))


def _runs(row: Row) -> Iterator[tuple[str, str]]:
    """Ink and text of each run; a blank cell is of the ink of the cell before it."""
    inks = list(row.inks)
    ink = PLAIN
    for index, character in enumerate(row.text):
        if character == " ":
            inks[index] = ink
        else:
            ink = inks[index]
    at = 0
    for found, group in groupby(inks):
        length = sum(1 for _ in group)
        yield found, row.text[at : at + length]
        at += length


def changed_span(old: Row, new: Row) -> tuple[int, int] | None:
    """First and last + 1 of the cells in which two rows of the same length differ."""
    if old == new:
        return None
    differs = [
        a != b or i != j for a, b, i, j in zip(old.text, new.text, old.inks, new.inks, strict=True)
    ]
    return differs.index(True), len(differs) - differs[::-1].index(True)
