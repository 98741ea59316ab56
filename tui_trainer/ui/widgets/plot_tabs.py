"""`PlotTabs`: the line above the plots, with their names and how they are looked at.

Layer: ui. Where the names do not fit, the longest ones are said shorter, all but the chosen one;
their digits are also the keys.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui_trainer.text.cells import cut_end

GAP = "  "
LEAST_CELLS = 4
SHORT = {"accuracy": "acc", "grad norm": "grad", "samples/s": "speed"}


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

    def show(self, titles: Sequence[str], chosen: int, state: Sequence[str]) -> bool:
        """Say which plots there are and how they are looked at; whether that is new."""
        saying = (tuple(titles), chosen, tuple(state), self.size.width)
        if saying == self._said:
            return False
        self._said = saying
        names, shown = fitted(titles, chosen, state, self.size.width)
        parts: list[str | tuple[str, str]] = [" "]
        at, self._ends = 1, []
        for index, name in enumerate(names):
            parts += [(name, "bold underline $foreground" if index == chosen else ""), GAP]
            at += cell_len(name) + len(GAP)
            self._ends.append(at)
        parts.append(f"{shown:>{max(self.size.width - at - 1, 0)}}")
        self.update(Content.assemble(*parts), layout=False)
        return True

    def on_click(self, event: events.Click) -> None:
        for index, end in enumerate(self._ends):
            if event.x < end:
                self.post_message(self.Picked(index))
                return


def fitted(
    titles: Sequence[str], chosen: int, state: Sequence[str], width: int
) -> tuple[list[str], str]:
    """The tabs and the state as they fit in a width: first of the state goes what is last in it."""
    for count in range(len(state), -1, -1):
        shown = "  ".join(state[:count])
        names = list(titles)
        while _length(names) + len(shown) > width and _shorten(names, chosen):
            pass
        if _length(names) + len(shown) <= width:
            return _numbered(names), shown
    return _numbered([name if at == chosen else "" for at, name in enumerate(titles)]), ""


def _shorten(names: list[str], chosen: int) -> bool:
    """Say the longest of the other names shorter; whether there was one."""
    others = [at for at, name in enumerate(names) if at != chosen and cell_len(name) > LEAST_CELLS]
    if not others:
        return False
    at = max(others, key=lambda at: cell_len(names[at]))
    name = names[at]
    names[at] = SHORT[name] if name in SHORT else cut_end(name.rstrip("…"), cell_len(name) - 1)
    return True


def _numbered(names: Sequence[str]) -> list[str]:
    return [f"{at} {name}".rstrip() if at < 10 else name for at, name in enumerate(names, 1)]


def _length(names: Sequence[str]) -> int:
    return 2 + sum(cell_len(name) + len(GAP) for name in _numbered(names))
