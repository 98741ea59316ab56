"""Pictures in a terminal: each cell shows two pixels, as a half block in two colours.

Layer: ui.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from textual.content import Content

from tui_trainer.sessions.thumbnails import Thumbnail
from tui_trainer.text.cells import cut_middle, padded

_UPPER = "▀"


def picture_lines(picture: Thumbnail) -> list[Content]:
    """Return a picture as lines of its width."""
    rows = [
        picture.pixels[3 * picture.width * row : 3 * picture.width * (row + 1)]
        for row in range(picture.height)
    ]
    pairs = zip(rows[::2], [*rows[1::2], b""], strict=False)
    return [_line(upper, lower, picture.width) for upper, lower in pairs]


def _line(upper: bytes, lower: bytes, width: int) -> Content:
    styles = []
    for place in range(0, 3 * width, 3):
        below = f" on #{lower[place : place + 3].hex()}" if lower else ""
        styles.append(f"#{upper[place : place + 3].hex()}{below}")
    # Neighbours of the same colours are one piece.
    runs = ((style, len(list(cells))) for style, cells in groupby(styles))
    return Content.assemble(*((_UPPER * count, style) for style, count in runs))


def picture_grid(pictures: Sequence[Thumbnail], width: int, gap: int = 2) -> Content:
    """Return pictures beside and below each other with their names, at most so wide."""
    if not pictures:
        return Content("")
    column = max(picture.width for picture in pictures)
    per_row = max((width + gap) // (column + gap), 1)
    blocks: list[Content] = []
    for start in range(0, len(pictures), per_row):
        row = pictures[start : start + per_row]
        lines = [picture_lines(picture) for picture in row]
        for number in range(max(map(len, lines))):
            cells = []
            for picture, own in zip(row, lines, strict=True):
                cell = own[number] if number < len(own) else Content(" " * picture.width)
                cells.append(Content.assemble(cell, " " * (column - picture.width)))
            blocks.append(Content(" " * gap).join(cells))
        names = [padded(cut_middle(picture.name, column), column + gap) for picture in row]
        blocks.append(Content.styled("".join(names).rstrip(), "$foreground-muted"))
    return Content("\n").join(blocks)
