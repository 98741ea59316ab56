"""`Plots`: the panels of a run, their tabs, and the keys that change how they are viewed.

Layer: ui. Its `PanelGrid` decides which panels are shown and where. Nothing is drawn except in
`look`, after a key, or on a resize.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from tui_trainer.config.preferences import Preferences
from tui_trainer.config.remembered_choices import RememberedChoices
from tui_trainer.runs.history import History
from tui_trainer.text.cells import cut_end
from tui_trainer.ui.plots import crosshair
from tui_trainer.ui.plots.grid import PanelGrid
from tui_trainer.ui.plots.markers import markers_for
from tui_trainer.ui.plots.panel_view import Viewing
from tui_trainer.ui.plots.panels import panels_of
from tui_trainer.ui.plots.plot import Plot
from tui_trainer.ui.shared.bindings import bindings_of

# The line above the plots, with their names and the state of the view. When the names do not fit,
# the longest are shortened, except that of the chosen plot; their digits are also the keys.


GAP = "  "
LEAST_CELLS = 4
SHORT = {
    "accuracy": "acc",
    "bits per byte": "bits",
    "grad norm": "grad",
    "perplexity": "ppl",
    "samples/s": "speed",
}


class PlotTabs(Static):
    """The tabs; updated only when their text has changed."""

    DEFAULT_CSS = """
    PlotTabs { height: 1; width: 1fr; color: $text-muted; }
    """

    class Picked(Message):
        """Posted when the mouse picked a plot, counted from 0."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._said: tuple[object, ...] = ()
        self._ends: list[int] = []

    def show(self, titles: Sequence[str], chosen: int, state: Sequence[str]) -> bool:
        """Show the plots and how they are viewed; return whether anything changed."""
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
    """Fit the tabs and the state into `width` cells; the last parts of the state go first."""
    for count in range(len(state), -1, -1):
        shown = "  ".join(state[:count])
        names = list(titles)
        while _length(names) + len(shown) > width and _shorten(names, chosen):
            pass
        if _length(names) + len(shown) <= width:
            return _numbered(names), shown
    return _numbered([name if at == chosen else "" for at, name in enumerate(titles)]), ""


def _shorten(names: list[str], chosen: int) -> bool:
    """Shorten the longest name except the chosen one; return whether there was one."""
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


FAR = 10
"""The columns that the crosshair moves at once, with shift."""
OF_THE_CROSSHAIR = ("earlier", "later", "much_earlier", "much_later")

DIGITS: list[BindingType] = [
    Binding(str(digit), f"panel({digit})", f"Plot {digit}", show=False) for digit in range(1, 10)
]


class Plots(Widget, can_focus=True):
    """The panels; the screen calls `look` at each refresh, and may forward keys to the actions."""

    DEFAULT_CSS = """
    Plots {
        layout: vertical;
        height: 1fr;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("plot"),
        *bindings_of("panel"),
        *DIGITS,
        # While there is no crosshair, the keys that move it are not the panels': these show it.
        Binding("left,right", "crosshair", "Read", show=False),
    ]

    def __init__(self, preferences: Preferences, choices: RememberedChoices | None = None) -> None:
        super().__init__()
        encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        self._viewing = Viewing(preferences.smoothing, choices or RememberedChoices())
        self._history: History | None = None
        self._tabs = PlotTabs()
        markers = markers_for(preferences.markers, os.environ, encoding)
        self._panels = PanelGrid(markers)

    def compose(self) -> ComposeResult:
        yield self._tabs
        yield self._panels

    def look(self, history: History, *, whole: bool = False) -> bool:
        """Draw what is new in the panels that are shown; return whether there was anything.

        Small panels have their turns, see `PanelGrid.due`, unless `whole` asks for all of them.
        """
        if not self._panels.is_made:
            return False  # the screen is not made yet
        self._history = history
        if self._panels.take(panels_of(history.names)):
            self._arrange()
            whole = True
        return self._draw(self._panels.plots if whole else self._panels.due(history))

    def _draw(self, due: Sequence[Plot] | None = None) -> bool:
        """Draw what is new in these panels, or in all of them."""
        if self._history is None:
            return False
        state = self._viewing.state(self._panels.title)
        drawn = self._tabs.show(self._panels.titles, self._panels.chosen, state)
        for plot in self._panels.plots if due is None else due:
            drawn = plot.look(self._history, self._viewing.of(plot.spec.title)) or drawn
        return drawn

    @property
    def state(self) -> str:
        """The view of the chosen panel, in terms of the keys that change it."""
        return "  ".join(self._viewing.state(self._panels.title))

    def _arrange(self) -> None:
        width, height = (0, 0) if self.is_maximized else self.size
        self._panels.fit(width, height - 1)

    def _choose(self, index: int) -> bool:
        """Choose a panel; return whether there is one with that index."""
        if not self._panels.choose(index):
            return False
        self._arrange()
        self._draw()
        return True

    def on_resize(self) -> None:
        self._arrange()
        self._draw()

    @on(PlotTabs.Picked)
    def _picked(self, event: PlotTabs.Picked) -> None:
        event.stop()
        self._choose(event.index)

    @on(Plot.Pointed)
    def _pointed(self, event: Plot.Pointed) -> None:
        event.stop()
        if event.clicked:
            self._choose(self._panels.plots.index(event.plot))
        if event.clicked or self._viewing.has_cursor:
            self._point(crosshair.snapped, event.column, plot=event.plot)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the crosshair's keys to other widgets while there is no crosshair."""
        if action == "end":
            return self._viewing.has_cursor or self.is_maximized
        return self._viewing.has_cursor if action in OF_THE_CROSSHAIR else True

    def action_smoothing(self) -> None:
        """Switch to the next stronger smoothing, and after the strongest to none."""
        self._viewing.smooth_more()
        self._draw()

    def action_log_axis(self) -> None:
        """Switch the chosen panel's y axis between linear and logarithmic."""
        self._viewing.turn_log(self._panels.title)
        self._draw()

    def action_x_axis(self) -> None:
        """Switch the x axis between step, epoch and time."""
        self._viewing.turn_x()
        self._draw()

    def action_window(self) -> None:
        """Switch between the newest steps and the whole run."""
        self._viewing.turn_window()
        self._draw()

    def action_outliers(self) -> None:
        """Leave outliers off the y axis, or include them again."""
        self._viewing.turn_outliers()
        self._draw()

    def action_marks(self) -> None:
        """Mark all checkpoints, or only those that were asked for."""
        self._viewing.turn_marks()
        self._draw()

    def action_full_screen(self) -> None:
        """Show the chosen panel on the whole screen, or return to the grid."""
        if self.is_maximized:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)
            self.focus()
        self._arrange()
        self._draw()

    def action_crosshair(self) -> None:
        """Show a crosshair at the newest values, or remove it."""
        if self._viewing.has_cursor:
            self.action_end()
        else:
            self._point(crosshair.newest)
            # Its other keys are those of the plots, not of the whole screen.
            self.focus()

    def action_end(self) -> None:
        """Remove the crosshair; without one, return from the whole screen to the grid."""
        if self._viewing.has_cursor:
            self._viewing.point(None)
            self._draw()
        elif self.is_maximized:
            self.action_full_screen()

    def action_earlier(self) -> None:
        """Move the crosshair to the left."""
        self._point(crosshair.moved, -1)

    def action_later(self) -> None:
        """Move the crosshair to the right."""
        self._point(crosshair.moved, 1)

    def action_much_earlier(self) -> None:
        """Move the crosshair far to the left."""
        self._point(crosshair.moved, -FAR)

    def action_much_later(self) -> None:
        """Move the crosshair far to the right."""
        self._point(crosshair.moved, FAR)

    def _point(self, find: Callable[..., int | None], *at: int, plot: Plot | None = None) -> None:
        """Put the crosshair of all panels at the step found in one, by default the chosen one."""
        plot = plot or self._panels.plots[self._panels.chosen]
        if self._history is None or plot.drawing is None:
            return
        view = self._viewing.of(plot.spec.title)
        step = find(self._history, plot.spec, view, plot.drawing, *at)
        if step is not None:
            self._viewing.point(step)
            self._draw()

    def action_panel(self, number: int) -> None:
        """Choose a panel by its number, from 1."""
        self._choose(number - 1)

    def action_next(self) -> None:
        """Choose the next panel; from the last one, the focus moves on."""
        if not self._choose(self._panels.chosen + 1):
            self.screen.focus_next()

    def action_previous(self) -> None:
        """Choose the previous panel; from the first one, the focus moves back."""
        if not self._choose(self._panels.chosen - 1):
            self.screen.focus_previous()
