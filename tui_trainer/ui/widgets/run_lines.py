"""The list of runs as lines of text, as many columns as there is room for.

Layer: ui. The columns are those of `tui-trainer runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.cells import cell_len

from tui_trainer.runs.index import COLUMNS, GAP, LEFT, RunSummary, cells_of
from tui_trainer.text.cells import cut_middle, padded

DISPENSABLE = ("pid", "step", "epoch", "device", "progress", "accuracy")
"""Columns that are left out where there is no room, the first ones first."""
SHORTEST_NAME = 18


def run_lines(runs: Sequence[RunSummary], width: int, now: datetime) -> tuple[str, list[str]]:
    """The line of titles, and a line for each run, all with room for a mark before them."""
    rows = [list(COLUMNS), *(cells_of(run, now) for run in runs)]
    widths = dict(zip(COLUMNS, (max(map(cell_len, it)) for it in zip(*rows)), strict=True))  # noqa: B905
    shown = list(COLUMNS)
    for title in DISPENSABLE:
        if _length(shown, widths) <= width:
            break
        shown.remove(title)
    over = _length(shown, widths) - width
    if over > 0:
        widths["name"] = max(widths["name"] - over, SHORTEST_NAME)
    lines = []
    for row in rows:
        cells = [
            _cell(title, text, widths[title])
            for title, text in zip(COLUMNS, row, strict=True)
            if title in shown
        ]
        lines.append(f"  {GAP.join(cells)}".rstrip())
    return lines[0], lines[1:]


def mark_line(line: str, is_marked: bool, *, plain: bool) -> str:
    """A line with the sign of a selected run before it, or without."""
    sign = "*" if plain else "●"
    return f"{sign if is_marked else ' '}{line[1:]}"


def _length(shown: Sequence[str], widths: dict[str, int]) -> int:
    return 2 + sum(widths[title] + len(GAP) for title in shown) - len(GAP)


def _cell(title: str, text: str, width: int) -> str:
    return padded(cut_middle(text, width), width, right=title not in LEFT)
