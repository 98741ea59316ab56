"""`RunParts`: the parts of the run screen: creates and updates them, and chooses the one in front.

Layer: ui. A new part is created in `compose` and updated in `show`, which gives it the view of the
run; or in `add`, if it needs the events. Where it stands is in run.tcss.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.screen import Screen

from tui_trainer.runs.events import Event, StepsTaken
from tui_trainer.runs.states import sign_of
from tui_trainer.sessions.session import Session
from tui_trainer.ui.appearance import plain_terminal
from tui_trainer.ui.plots.plots import Plots
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.final_test_line import FinalTestLine
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.metrics_panel import MetricsPanel, SavedProgress
from tui_trainer.ui.run.stages import StartingPanel
from tui_trainer.ui.run.state_label import ProgressLine, StateLabel
from tui_trainer.ui.shared.key_line import KeyLine
from tui_trainer.ui.shared.lines import Heading
from tui_trainer.ui.shared.search_bar import SearchBar
from tui_trainer.ui.shared.services import Services


class RunParts:
    """Draws a session; the middle of the screen holds the plots, the results, or the full log."""

    def __init__(self, screen: Screen[Any], session: Session, services: Services) -> None:
        self._screen = screen
        self._session = session
        self._services = services
        self.state_label = StateLabel(plain=plain_terminal(services.preferences))
        self.saved_progress = SavedProgress()

    def compose(self) -> ComposeResult:
        """Create the widgets, from top to bottom."""
        plain = self.state_label.plain
        yield Heading()
        yield ProgressLine(plain=plain)
        yield FinalTestLine(plain=plain)
        with Horizontal(id="middle"):
            with Vertical(id="front"):
                yield Ending(self._services.trains_here)
                yield StartingPanel(self._count_up, plain=plain)
                yield Plots(self._services.preferences, self._services.choices)
            yield MetricsPanel(in_column=True, plain=plain, id="column")
        yield MetricsPanel(in_column=False, id="lines")
        yield Log(earlier=lambda: self._session.earlier, plain=plain)
        yield SearchBar("a word; enter goes there, then n and N; esc ends it")
        yield KeyLine()

    def add(self, events: Sequence[Event]) -> None:
        """Bring new events to the parts that show events."""
        starting = self._screen.query_one(StartingPanel)
        for event in events:
            if isinstance(event, StepsTaken):
                continue  # There may be thousands; their numbers are in view and curves.
            self.saved_progress.add(event)
            self.state_label.add(event)
            starting.add(event)
        self._screen.query_one(Log).add(events, self._session.view.steps_per_epoch or 0)

    def show(self) -> None:
        """Update every part; each repaints only if its content has changed."""
        session = self._session
        view, usage, experiment = session.view, session.usage, session.experiment
        self.saved_progress.measure(view, session.history)
        self._show_start(view.is_starting)
        self.show_heading()
        self._screen.query_one(ProgressLine).look(view)
        self._screen.query_one(FinalTestLine).look(view)
        for numbers in self._screen.query(MetricsPanel):
            numbers.look(view, usage, experiment, self.saved_progress)
        self._screen.query_one(Plots).look(session.history, whole=view.ended)

    def _show_start(self, is_starting: bool) -> None:
        """Show the stages of a start until the first numbers take their place."""
        if is_starting != self.is_starting:
            self._screen.set_class(is_starting, "-starting")
            self._screen.refresh_bindings()
            if not is_starting and self._screen.focused is None:
                self._focus_front()
        self._screen.query_one(StartingPanel).look(
            self._session.experiment, is_starting=is_starting
        )

    def _count_up(self) -> None:
        """Show the seconds of a start; the screen may be closing, with its parts gone already."""
        with suppress(NoMatches):
            self.show_heading()

    def show_heading(self) -> None:
        """Update the heading for its current width."""
        view, key = self._session.view, "p"
        if view.state == "paused":
            # The user's keymap may have moved it.
            bound = self._screen.active_bindings.items()
            key = next((it for it, active in bound if active.binding.id == "run.pause"), key)
        heading = self._screen.query_one(Heading)
        width = heading.content_size.width
        texts = self.state_label.texts(view, self._session.experiment, width, pause_key=key)
        if view.is_starting and not texts[1]:
            texts = texts[0], self._screen.query_one(StartingPanel).elapsed
        heading.show(*texts, sign_of(view.state).role)

    def catch_up(self) -> None:
        """Draw a plot that is out of date: not all small plots are drawn at every poll."""
        self._screen.query_one(Plots).look(self._session.history)

    # Which part is in front.

    @property
    def is_starting(self) -> bool:
        """Whether the stages of the start are in the middle."""
        return self._screen.has_class("-starting")

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
        return not (self.has_result or self.has_whole_log or self.is_starting)

    def show_result(self, result: bool) -> None:
        """Put the results or the plots in front, and end the full-screen view of any part.

        A search of the log stays in front of them until it ends.
        """
        self._screen.set_class(result, "-result")
        if self.is_searching:
            # What is being typed would be taken for keys of the results, such as `a`, run again.
            return
        self._screen.minimize()
        self._screen.remove_class("-full-log")
        self._screen.refresh_bindings()
        self._focus_front()

    def _focus_front(self) -> None:
        """Give the focus to the part in front, as soon as it is displayed and can take it."""
        # Nothing has it meanwhile. The plots behind the results would come to the front with it.
        self._screen.set_focus(None)
        self._set_focus()
        self._screen.call_after_refresh(self._set_focus)

    def _set_focus(self) -> None:
        front = Log if self.has_whole_log else Ending if self.has_result else Plots
        # A screen that another one replaces has lost its parts when it is called back.
        for part in self._screen.query(front):
            self._screen.set_focus(part)

    def turn_log(self) -> None:
        """Show the full log, or what was in front before it."""
        self._turn_log()
        self._focus_front()

    def _turn_log(self) -> None:
        self._screen.minimize()
        self._screen.toggle_class("-full-log")
        self._screen.refresh_bindings()
        log = self._screen.query_one(Log)
        if self.has_whole_log:
            log.want_earlier()
        else:
            log.follow()

    # The search in the log.

    @property
    def is_searching(self) -> bool:
        """Whether the line of the search is open."""
        return any(bar.display for bar in self._screen.query(SearchBar))

    def open_search(self) -> None:
        """Show the full log, and open the line in which a search of it is typed."""
        if not self.has_whole_log:
            self._turn_log()
        self._screen.query_one(SearchBar).open("search in the log")
        self._screen.refresh_bindings()

    def end_search(self) -> None:
        """Close the line of the search, and unmark what it has found."""
        self._screen.query_one(SearchBar).close()
        log = self._screen.query_one(Log)
        log.search("")
        log.focus()
