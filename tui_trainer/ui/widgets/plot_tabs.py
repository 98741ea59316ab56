"""`PlotTabs`: the line above the plots, with their names and how they are looked at.

Layer: ui. Where the names do not fit, all but the chosen one are cut to their digits, which are
also the keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

GAP = "  "


class PlotTabs(Static):
    """Says something new only when something is new."""

    DEFAULT_CSS = """
    PlotTabs { height: 1; width: 1fr; color: $text-muted; }
    """

    class Picked(Message):
        """The mouse picked a plot, counted from 0."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._said: tuple[object, ...] = ()
        self._ends: list[int] = []

    def show(self, titles: Sequence[str], chosen: int, state: str) -> bool:
        """Say which plots there are and how they are looked at; whether that is new."""
        saying = (tuple(titles), chosen, state, self.size.width)
        if saying == self._said:
            return False
        self._said = saying
        names = [f"{i} {t}" if i < 10 else t for i, t in enumerate(titles, 1)]
        if self._length(names) + len(state) > self.size.width:
            names = [n if i == chosen else n[:1] for i, n in enumerate(names)]
        if self._length(names) + len(state) > self.size.width:
            state = ""
        parts: list[str | tuple[str, str]] = [" "]
        at, self._ends = 1, []
        for index, name in enumerate(names):
            parts += [(name, "bold underline $foreground" if index == chosen else ""), GAP]
            at += cell_len(name) + len(GAP)
            self._ends.append(at)
        parts.append(f"{state:>{max(self.size.width - at - 1, 0)}}")
        self.update(Content.assemble(*parts), layout=False)
        return True

    def on_click(self, event: events.Click) -> None:
        for index, end in enumerate(self._ends):
            if event.x < end:
                self.post_message(self.Picked(index))
                return

    @staticmethod
    def _length(names: Sequence[str]) -> int:
        return 2 + sum(cell_len(name) + len(GAP) for name in names)
