"""`PanelGrid`: the panels of a run in a grid; the chosen one is always visible.

Layer: ui. Panels are added as metrics appear and never removed: they are given other series.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container

from tui_trainer.runs.history import History
from tui_trainer.ui.plots.markers import Markers
from tui_trainer.ui.plots.panels import PanelSpec
from tui_trainer.ui.plots.plot import Plot

STALE_S = 8.0
"""The age from which a picture is drawn beside another one, and waits for its turn no longer."""


class PanelGrid(Container):
    """Draws nothing itself: its owner calls `look` on all plots, or on those that are due."""

    DEFAULT_CSS = """
    PanelGrid { layout: grid; height: 1fr; }
    """

    def __init__(self, markers: Markers, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._markers = markers
        self._clock = clock
        self._specs: list[PanelSpec] = []
        self._chosen = 0
        self._arranged: tuple[object, ...] = ()
        # A placeholder for the panels to come; until then it says that there are none.
        self._plots = [Plot(PanelSpec("", ()), self._markers, self._clock)]

    def compose(self) -> ComposeResult:
        yield self._plots[0]

    @property
    def is_made(self) -> bool:
        """Whether panels can be added, which needs the first plot to be mounted."""
        return self._plots[0].is_attached

    @property
    def plots(self) -> Sequence[Plot]:
        """All plots, shown or not; one before there are any panels."""
        return self._plots

    @property
    def titles(self) -> list[str]:
        """The titles of the panels."""
        return [spec.title for spec in self._specs]

    @property
    def chosen(self) -> int:
        """The index of the chosen panel."""
        return self._chosen

    @property
    def title(self) -> str:
        """The title of the chosen panel; empty while there is none."""
        return self._specs[self._chosen].title if self._specs else ""

    def due(self, history: History) -> list[Plot]:
        """Return the large panel and a small one, because drawing all at once is expensive.

        It is the one that was drawn longest ago of those with new points. Others are due as well
        once they are `STALE_S` old.
        """
        large, *small = [plot for plot in self._plots if plot.display] or self._plots[:1]
        now_s = self._clock()
        oldest_first = sorted(small, key=lambda plot: (not plot.has_news(history), plot.looked_s))
        stale = [plot for plot in oldest_first[1:] if now_s - plot.looked_s >= STALE_S]
        return [large, *oldest_first[:1], *stale]

    def take(self, specs: list[PanelSpec]) -> bool:
        """Show a panel for each of these specs; return whether they have changed.

        The chosen panel stays chosen, whatever its index is now.
        """
        if specs == self._specs:
            return False
        titles = [spec.title for spec in specs]
        self._chosen = titles.index(self.title) if self.title in titles else 0
        self._specs = specs
        more = [Plot(spec, self._markers, self._clock) for spec in specs[len(self._plots) :]]
        self._plots += more
        for plot, spec in zip(self._plots, specs, strict=False):
            plot.choose(spec)
        self.mount(*more)
        return True

    def choose(self, index: int) -> bool:
        """Choose a panel, shown after the next `fit`; return whether the index exists."""
        if not 0 <= index < len(self._specs):
            return False
        self._chosen = index
        return True

    def fit(self, width: int, height: int) -> None:
        """Show the panels for which there is room, as large as possible."""
        grid = grid_for(width, height, len(self._specs), self._chosen)
        if (arranged := (grid, self._chosen, len(self._plots))) == self._arranged:
            return
        self._arranged = arranged
        self.styles.grid_size_columns = grid.columns
        self.styles.grid_size_rows = 1 + grid.rows
        self.styles.grid_rows = "3fr " + "2fr " * grid.rows
        for index, plot in enumerate(self._plots):
            plot.display = index in grid.shown
            plot.styles.column_span = grid.span(index)
            plot.names_signs = index == grid.shown[0]
            plot.set_class(index == self._chosen, "-chosen")


# Which panels are shown and where, as pure functions of the room and of the panels: all of them if
# there is room, otherwise the chosen one.


MOST_SMALL = 8
"""With more, each would be drawn too seldom, as one is drawn at a time."""
LEAST_WIDTH = 60
"""Narrower grids show one panel at a time."""
NARROWEST_SMALL, LOWEST_SMALL, LOWEST_LARGE = 30, 8, 10


@dataclass(frozen=True, slots=True)
class Grid:
    """The panels shown: the first over the whole width, the others in rows below it."""

    shown: tuple[int, ...]
    columns: int = 1
    rows: int = 0

    def span(self, index: int) -> int:
        """Return how many columns a panel spans; the last panel fills an incomplete last row."""
        if index == self.shown[0]:
            return self.columns
        spare = self.columns * self.rows - len(self.shown) + 1
        return 1 + spare if index == self.shown[-1] else 1


def grid_for(width: int, height: int, panels: int, chosen: int) -> Grid:
    """Return a grid of the first panel and as many small ones as there is room for.

    The chosen panel is always part of it, or the only one. Small panels are in as few rows as
    possible, with equally many in each.
    """
    columns = width // NARROWEST_SMALL
    rows = (height - LOWEST_LARGE) // LOWEST_SMALL
    most = min(MOST_SMALL, columns * rows) if width >= LEAST_WIDTH and rows > 0 else 0
    small = list(range(1, panels))[:most]
    if not small:
        return Grid((chosen,))
    small[-1] = max(small[-1], chosen)
    rows = -(-len(small) // columns)
    return Grid((0, *small), -(-len(small) // rows), rows)
