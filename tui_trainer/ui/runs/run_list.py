"""The list of runs as lines of text, with as many columns as there is room for.

Layer: ui. The columns are those of `tui-trainer runs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui_trainer.config.keys import actions_of
from tui_trainer.runs.index import COLUMNS, GAP, LEFT, RunSummary, cells_of
from tui_trainer.runs.states import sign_in, sign_of
from tui_trainer.text.cells import cut_middle, padded
from tui_trainer.ui.shared.lines import colour_of

DISPENSABLE = ("pid", "step", "epoch", "device", "progress", "accuracy")
"""Columns that are left out if there is no room, in this order."""
SHORTEST_NAME = 18


def run_lines(
    runs: Sequence[RunSummary], width: int, now: datetime, *, plain: bool
) -> tuple[str, list[str]]:
    """Return the line of titles and a line for each run, all with room for a mark in front."""
    rows = [list(COLUMNS), *(cells_of(run, now, signs="ascii" if plain else "all") for run in runs)]
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
    """Return a line with or without the sign of a selected run in front."""
    sign = "*" if plain else "▌"
    return f"{sign if is_marked else ' '}{line[1:]}"


def _length(shown: Sequence[str], widths: dict[str, int]) -> int:
    return 2 + sum(widths[title] + len(GAP) for title in shown) - len(GAP)


def _cell(title: str, text: str, width: int) -> str:
    return padded(cut_middle(text, width), width, right=title not in LEFT)


# The list widget. It holds a thousand lines at once, so only those that differ are touched.


@dataclass(frozen=True, slots=True)
class Page:
    """All runs, the ones that are shown, and their lines."""

    runs: list[RunSummary]
    kept: list[RunSummary]
    titles: str
    lines: list[str]
    """The lines of the runs that are shown, without marks."""
    wrong: str = ""
    """The filter's error, or an empty string."""


def page_of(
    runs: list[RunSummary], kept: list[RunSummary], width: int, wrong: str = "", *, plain: bool
) -> Page:
    """Return the runs as lines of that width; reads no file."""
    titles, lines = run_lines(kept, width, datetime.now(timezone.utc), plain=plain)
    return Page(runs, kept, titles, lines, wrong)


class RunList(OptionList):
    """The lines of runs, the cursor and the marks; enter opens the run under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(it.keys, "select", it.label, tooltip=it.text, id=it.id)
        for it in actions_of("runs")
        if it.id == "runs.open"
    ]

    def __init__(self, *, plain: bool) -> None:
        super().__init__(markup=False)
        self._plain = plain
        self._texts: list[str] = []
        self.shown: list[RunSummary] = []
        self.marked: list[str] = []
        """Names of the selected runs, in the order of selection."""

    @property
    def pointed(self) -> RunSummary | None:
        """The run under the cursor."""
        at = self.highlighted
        return self.shown[at] if at is not None and at < len(self.shown) else None

    def show(self, page: Page) -> None:
        """Update the list; the cursor and the marks stay on their runs."""
        there = {run.name for run in page.runs}
        self.marked = [name for name in self.marked if name in there]
        if [run.name for run in page.kept] == [run.name for run in self.shown]:
            self._show_lines(page.kept, page.lines)
        else:
            self._fill(page.kept, page.lines)
        self.shown = list(page.kept)

    def mark(self, run: RunSummary, most: int) -> bool:
        """Select or deselect a run; return False if `most` runs are selected already."""
        if run.name in self.marked:
            self.marked.remove(run.name)
        elif len(self.marked) < most:
            self.marked.append(run.name)
        else:
            return False
        self._show_lines(self.shown, self._texts)
        return True

    def unmark(self) -> None:
        """Deselect all runs."""
        self.marked.clear()
        self._show_lines(self.shown, self._texts)

    def _marked_lines(self, runs: Sequence[RunSummary], lines: Sequence[str]) -> list[str]:
        return [
            mark_line(line, run.name in self.marked, plain=self._plain)
            for run, line in zip(runs, lines, strict=True)
        ]

    def _content(self, run: RunSummary, line: str) -> Content:
        """Return a line with its state in colour."""
        # A name has no blanks, so the first match is the state.
        at = line.find(f"{sign_in(run.state, plain=self._plain)} {run.state}")
        style = colour_of(sign_of(run.state).role)
        return (
            Content(line).stylize(style, at, at + 2 + len(run.state)) if at >= 0 else Content(line)
        )

    def _show_lines(self, runs: Sequence[RunSummary], lines: Sequence[str]) -> None:
        """Update lines and marks while the runs stay the same."""
        new = self._marked_lines(runs, lines)
        for run, line, before in zip(runs, new, self._texts, strict=True):
            if line != before:
                self.replace_option_prompt(run.name, self._content(run, line))
        self._texts = new

    def _fill(self, runs: Sequence[RunSummary], lines: Sequence[str]) -> None:
        """Show other runs; the cursor stays on its run if that is still there."""
        before = self.pointed
        self._texts = self._marked_lines(runs, lines)
        self.clear_options()
        self.add_options(
            Option(self._content(run, line), id=run.name)
            for run, line in zip(runs, self._texts, strict=True)
        )
        names = [run.name for run in runs]
        if names:
            name = before.name if before is not None else ""
            self.highlighted = names.index(name) if name in names else 0
