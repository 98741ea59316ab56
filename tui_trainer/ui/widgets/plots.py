"""`Plots`: the panels of a run, all at once where there is room, one with tabs where there is not.

Layer: ui. Nothing is drawn but in `look`, by a key, or on a resize.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widget import Widget

from tui_trainer.config.preferences import Preferences
from tui_trainer.runs.history import History
from tui_trainer.ui.bindings import bindings_of
from tui_trainer.ui.plotting.drawing import markers_for
from tui_trainer.ui.plotting.grid import grid_for
from tui_trainer.ui.plotting.panels import PanelSpec, panels_of
from tui_trainer.ui.plotting.viewing import Viewing
from tui_trainer.ui.widgets.plot import Plot
from tui_trainer.ui.widgets.plot_tabs import PlotTabs

DIGITS: list[BindingType] = [
    Binding(str(digit), f"panel({digit})", f"Plot {digit}", show=False) for digit in range(1, 10)
]


class Plots(Widget, can_focus=True):
    """The screen calls `look` at each refresh, and may forward keys to the actions."""

    DEFAULT_CSS = """
    Plots {
        layout: vertical;
        height: 1fr;
        Container { layout: grid; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings_of("plot"),
        *bindings_of("panel"),
        *DIGITS,
    ]

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        self._markers = markers_for(preferences.markers, os.environ, encoding)
        self._viewing = Viewing(preferences.smoothing)
        self._history: History | None = None
        self._specs: list[PanelSpec] = []
        self._turn = 0
        """Counts the looks, of which each draws another of the small panels."""
        self._chosen = 0
        self._arranged: tuple[object, ...] = ()
        self._tabs = PlotTabs()
        # It stands for the panels to come, and says that there are none yet.
        self._plots = [Plot(PanelSpec("", ()), self._markers)]

    def compose(self) -> ComposeResult:
        yield self._tabs
        with Container():
            yield self._plots[0]

    def look(self, history: History, *, whole: bool = False) -> bool:
        """Draw what is new in the curves of the panels that are shown; whether anything was.

        Of small panels one in turn, unless the `whole` is wanted: five at once are dear.
        """
        if not self._plots[0].is_attached:
            return False  # the screen is not made yet
        self._history = history
        specs = panels_of(history.names)
        if specs != self._specs:
            self._take(specs)
            whole = True
        return self._draw(self._plots if whole else self._due())

    def _due(self) -> list[Plot]:
        shown = [plot for plot in self._plots if plot.display]
        self._turn += 1
        return [*shown[:1], *(shown[1 + self._turn % (len(shown) - 1) :][:1] if shown[1:] else ())]

    def _take(self, specs: list[PanelSpec]) -> None:
        """A panel for each of these; the chosen one stays chosen wherever it now is."""
        titles = [spec.title for spec in specs]
        if self._specs and self._specs[self._chosen].title in titles:
            self._chosen = titles.index(self._specs[self._chosen].title)
        else:
            self._chosen = 0
        self._specs = specs
        more = [Plot(spec, self._markers) for spec in specs[len(self._plots) :]]
        self._plots += more
        for plot, spec in zip(self._plots, specs, strict=False):
            plot.choose(spec)
        self.query_one(Container).mount(*more)
        self._arrange()

    def _draw(self, due: Sequence[Plot] | None = None) -> bool:
        """Draw what is new of all panels, or of these."""
        if self._history is None:
            return False
        titles = [spec.title for spec in self._specs]
        drawn = self._tabs.show(titles, self._chosen, self._viewing.state(self._title))
        for plot in self._plots if due is None else due:
            drawn = plot.look(self._history, self._viewing.of(plot.spec.title)) or drawn
        return drawn

    @property
    def state(self) -> str:
        """How the chosen panel is looked at, by the keys that change it."""
        return "  ".join(self._viewing.state(self._title))

    @property
    def _title(self) -> str:
        return self._specs[self._chosen].title if self._specs else ""

    def _arrange(self) -> None:
        """Show the panels there is room for, as large as there is room."""
        width, height = (0, 0) if self.is_maximized else self.size
        grid = grid_for(width, height - 1, len(self._specs), self._chosen)
        if (arranged := (grid, self._chosen, len(self._plots))) == self._arranged:
            return
        self._arranged = arranged
        container = self.query_one(Container)
        container.styles.grid_size_columns = grid.columns
        container.styles.grid_size_rows = 1 + grid.rows
        container.styles.grid_rows = "3fr " + "2fr " * grid.rows
        for index, plot in enumerate(self._plots):
            plot.display = index in grid.shown
            plot.styles.column_span = grid.span(index)
            plot.set_class(index == self._chosen, "-chosen")

    def _choose(self, index: int) -> None:
        if 0 <= index < len(self._specs):
            self._chosen = index
            self._arrange()
            self._draw()

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
            self._choose(self._plots.index(event.plot))
        if event.clicked or self._viewing.has_cursor:
            self._viewing.point(event.share)
            self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The crosshair's keys are others' while there is none."""
        return self._viewing.has_cursor if action in ("earlier", "later") else True

    def action_smoothing(self) -> None:
        """The next stronger smoothing, then none."""
        self._viewing.smooth_more()
        self._draw()

    def action_log_axis(self) -> None:
        """A logarithmic y axis for the chosen panel, or a linear one again."""
        self._viewing.turn_log(self._title)
        self._draw()

    def action_x_axis(self) -> None:
        """Step, epoch or time."""
        self._viewing.turn_x()
        self._draw()

    def action_window(self) -> None:
        """The newest steps, or all of the run."""
        self._viewing.turn_window()
        self._draw()

    def action_outliers(self) -> None:
        """Leave outliers out of the y axis, or take them in again."""
        self._viewing.turn_outliers()
        self._draw()

    def action_full_screen(self) -> None:
        """The chosen panel on the whole screen, and back."""
        if self.is_maximized:
            self.screen.minimize()
        else:
            self.screen.maximize(self, container=False)
        self._arrange()
        self._draw()

    def action_crosshair(self) -> None:
        """A crosshair at the newest values, or none."""
        self._viewing.turn_cursor()
        self._draw()

    def action_earlier(self) -> None:
        """The crosshair a column to the left."""
        self._move_cursor(-1)

    def action_later(self) -> None:
        """The crosshair a column to the right."""
        self._move_cursor(1)

    def _move_cursor(self, columns: int) -> None:
        self._viewing.move_cursor(columns, self._plots[self._chosen].columns)
        self._draw()

    def action_panel(self, number: int) -> None:
        """Choose a panel by its number, from 1."""
        self._choose(number - 1)

    def action_next(self) -> None:
        """Choose the next panel; after the last one the focus goes on."""
        if self._chosen + 1 < len(self._specs):
            self._choose(self._chosen + 1)
        else:
            self.screen.focus_next()

    def action_previous(self) -> None:
        """Choose the panel before; from the first one the focus goes back."""
        if self._chosen > 0:
            self._choose(self._chosen - 1)
        else:
            self.screen.focus_previous()
