"""`RunParts`: updates the parts of the run screen, and decides which of them is in front.

Layer: ui. The parts are looked up on the screen when they are needed, so `RunParts` may be created
before them.
"""

from __future__ import annotations

from typing import Any

from textual.screen import Screen

from tui_trainer.sessions.session import Session
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.log import Log
from tui_trainer.ui.run.metrics_panel import MetricsPanel, SavedProgress
from tui_trainer.ui.run.status import ProgressLine, StateLabel
from tui_trainer.ui.shared.lines import Heading


class RunParts:
    """Draws a session; the middle of the screen holds the plots, the results, or the full log."""

    def __init__(
        self, screen: Screen[Any], session: Session, standing: StateLabel, safety: SavedProgress
    ) -> None:
        self._screen = screen
        self._session = session
        self._standing = standing
        self._safety = safety

    def show(self) -> None:
        """Update every part; each repaints only if its content has changed."""
        session = self._session
        view, usage, experiment = session.view, session.usage, session.experiment
        self.show_heading()
        self._screen.query_one(ProgressLine).look(view)
        for numbers in self._screen.query(MetricsPanel):
            numbers.look(view, usage, experiment, self._safety)
        self._screen.query_one(Plots).look(session.history, whole=view.ended)

    def show_heading(self) -> None:
        """Update the heading for its current width."""
        view, key = self._session.view, "p"
        if view.state == "paused":
            # The user's keymap may have moved it.
            bound = self._screen.active_bindings.items()
            key = next((it for it, active in bound if active.binding.id == "run.pause"), key)
        heading = self._screen.query_one(Heading)
        width = heading.content_size.width
        texts = self._standing.texts(view, self._session.experiment, width, pause_key=key)
        heading.show(*texts)

    def catch_up(self) -> None:
        """Draw one plot that is out of date: only one of the small plots is drawn per poll."""
        self._screen.query_one(Plots).look(self._session.history)

    # Which part is in front.

    @property
    def has_result(self) -> bool:
        """Whether the results are in the middle, or below the full log."""
        return self._screen.has_class("-result")

    @property
    def has_whole_log(self) -> bool:
        """Whether the log fills the screen."""
        return self._screen.has_class("-full-log")

    @property
    def has_plots(self) -> bool:
        """Whether the plots are in the middle, covered by neither the results nor the log."""
        return not (self.has_result or self.has_whole_log)

    def show_result(self, result: bool) -> None:
        """Put the results or the plots in front, and end the full-screen view of any part."""
        self._screen.minimize()
        self._screen.set_class(result, "-result")
        self._screen.remove_class("-full-log")
        self._screen.refresh_bindings()
        self._screen.query_one(Ending if result else Plots).focus()

    def turn_log(self) -> None:
        """Show the full log, or what was in front before it."""
        self._screen.minimize()
        self._screen.toggle_class("-full-log")
        self._screen.refresh_bindings()
        beneath = Ending if self.has_result else Plots
        self._screen.query_one(Log if self.has_whole_log else beneath).focus()
