"""Cuts and pads text by the terminal cells it takes, and never inside a grapheme.

Layer: text, because lists on stdout and the app both have columns. A character is not a cell: a
wide character takes two, a combining accent none, and an emoji joined from several characters takes
two in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from rich.cells import cell_len, split_graphemes

_FLAG_LETTERS = range(0x1F1E6, 0x1F200)
"""Two of them make one flag."""


def cut_end(text: str, width: int) -> str:
    """Return the text in at most `width` cells, with an ellipsis at its end if it was cut."""
    if cell_len(text) <= width:
        return text
    return _fit_start(_signs(text), width - 1) + "…" if width > 0 else ""


def cut_middle(text: str, width: int) -> str:
    """Return the text in at most `width` cells, with an ellipsis in its middle if it was cut."""
    if cell_len(text) <= width:
        return text
    if width < 5:
        return cut_end(text, width)
    signs = _signs(text)
    tail_signs = _count_fitting(signs[::-1], (width - 1) // 2)
    tail = "".join(signs[len(signs) - tail_signs :])
    return _fit_start(signs, width - 1 - cell_len(tail)) + "…" + tail


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Pad the text with blanks up to `width` cells: after the text, or with `right` before it."""
    blanks = " " * max(width - cell_len(text), 0)
    return blanks + text if right else text + blanks


def _fit_start(signs: Sequence[str], width: int) -> str:
    return "".join(signs[: _count_fitting(signs, width)])


def _count_fitting(signs: Sequence[str], width: int) -> int:
    """Return how many of the first graphemes fit in `width` cells."""
    return sum(used <= width for used in accumulate(map(cell_len, signs)))


def _signs(text: str) -> list[str]:
    """Split the text into graphemes, such as a letter with its accents or a flag."""
    signs: list[str] = []
    for start, end, _ in split_graphemes(text)[0]:
        piece = text[start:end]
        if signs and len(signs[-1]) == 1 and _is_half_a_flag(signs[-1]) and _is_half_a_flag(piece):
            signs[-1] += piece
        else:
            signs.append(piece)
    return signs


def _is_half_a_flag(sign: str) -> bool:
    return ord(sign[0]) in _FLAG_LETTERS
