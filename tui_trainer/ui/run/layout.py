"""`RunParts`: the parts of the run screen that show a run, and which of them is in front.

Layer: ui. They are looked up on the screen when they are needed, so it may be made before them.
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
    """Draws what a session says; in the middle are the plots, the results, or the whole log."""

    def __init__(
        self, screen: Screen[Any], session: Session, standing: StateLabel, safety: SavedProgress
    ) -> None:
        self._screen = screen
        self._session = session
        self._standing = standing
        self._safety = safety

    def show(self) -> None:
        """Bring every part up to date; each paints only when it differs from what it shows."""
        session = self._session
        view, usage, experiment = session.view, session.usage, session.experiment
        self.show_heading()
        self._screen.query_one(ProgressLine).look(view)
        for numbers in self._screen.query(MetricsPanel):
            numbers.look(view, usage, experiment, self._safety)
        self._screen.query_one(Plots).look(session.history, whole=view.ended)

    def show_heading(self) -> None:
        """Bring the first line up to date, by the width that it has now."""
        view, key = self._session.view, "p"
        if view.state == "paused":
            # A user's keymap may have moved it.
            bound = self._screen.active_bindings.items()
            key = next((it for it, active in bound if active.binding.id == "run.pause"), key)
        heading = self._screen.query_one(Heading)
        width = heading.content_size.width
        texts = self._standing.texts(view, self._session.experiment, width, pause_key=key)
        heading.show(*texts)

    def catch_up(self) -> None:
        """Draw a plot that is behind: of the small ones one is drawn at each look."""
        self._screen.query_one(Plots).look(self._session.history)

    # What is in front.

    @property
    def has_result(self) -> bool:
        """Whether the results are in the middle, or beneath the whole log."""
        return self._screen.has_class("-result")

    @property
    def has_whole_log(self) -> bool:
        """Whether the log is alone on the screen."""
        return self._screen.has_class("-full-log")

    @property
    def has_plots(self) -> bool:
        """Whether the plots are in the middle, neither results nor the log before them."""
        return not (self.has_result or self.has_whole_log)

    def show_result(self, result: bool) -> None:
        """Put the results in front, or the plots; none of them is on the whole screen then."""
        self._screen.minimize()
        self._screen.set_class(result, "-result")
        self._screen.remove_class("-full-log")
        self._screen.refresh_bindings()
        self._screen.query_one(Ending if result else Plots).focus()

    def turn_log(self) -> None:
        """The whole log, or what was in front before."""
        self._screen.minimize()
        self._screen.toggle_class("-full-log")
        self._screen.refresh_bindings()
        beneath = Ending if self.has_result else Plots
        self._screen.query_one(Log if self.has_whole_log else beneath).focus()
