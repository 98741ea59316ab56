"""`Navigator`: opens and closes the screens of the app, and keeps their order.

Layer: ui. From back to front: the first screen, composing, the run of this process and the list of
runs in either order, a run that is watched. Screens are imported when they are first needed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

if TYPE_CHECKING:
    from textual.app import App

    from tui_trainer.config.drafts.draft import Draft
    from tui_trainer.sessions.session import Session
    from tui_trainer.ui.compose.screen import ComposeScreen
    from tui_trainer.ui.process import CurrentRun
    from tui_trainer.ui.run.screen import RunScreen
    from tui_trainer.ui.runs.screen import RunsScreen
    from tui_trainer.ui.shared.services import Services


class Navigator:
    """Finds, opens and closes the screens of an app."""

    def __init__(
        self, app: App[Any], live: CurrentRun, left_list: Callable[[None], Awaitable[None]]
    ) -> None:
        self._app = app
        self._live = live
        self._left_list = left_list
        self._results: RunScreen | None = None
        """The screen of a run that ended, while the run that resumes it has not started yet."""

    @property
    def composing(self) -> ComposeScreen | None:
        """The screen that composes experiments, even when others cover it."""
        from tui_trainer.ui.compose.screen import ComposeScreen

        return next((s for s in self._app.screen_stack if isinstance(s, ComposeScreen)), None)

    @property
    def listing(self) -> RunsScreen | None:
        """The list of runs, if it is in front."""
        from tui_trainer.ui.runs.screen import RunsScreen

        front = self._app.screen
        return front if isinstance(front, RunsScreen) else None

    @property
    def run(self) -> RunScreen | None:
        """The frontmost run screen, even when other screens cover it."""
        return next(iter(self._runs()), None)

    @property
    def own_run(self) -> RunScreen | None:
        """The screen of this process's newest run, even when others cover it."""
        return next((s for s in self._runs() if s.session is self._live.session), None)

    def _runs(self) -> list[RunScreen]:
        """Return the run screens, frontmost first."""
        from tui_trainer.ui.run.screen import RunScreen

        return [s for s in reversed(self._app.screen_stack) if isinstance(s, RunScreen)]

    def is_opened_from_list(self, running: RunScreen) -> bool:
        """Return whether closing this screen brings the list of runs to the front."""
        from tui_trainer.ui.runs.screen import RunsScreen

        stack = self._app.screen_stack
        return isinstance(stack[stack.index(running) - 1], RunsScreen)

    def stays_below_list(self, running: RunScreen) -> bool:
        """Return whether closing a list of runs over this screen leads back to it."""
        if running.session.is_elsewhere:
            return not self.is_opened_from_list(running)
        return running is self.own_run and self._live.alive

    async def compose(self, services: Services, draft: Draft, name: str = "") -> ComposeScreen:
        """Show a draft on the compose screen, replacing the draft that was there.

        `name` is the name of the run to start, empty for that of the experiment.
        """
        from tui_trainer.ui.compose.screen import ComposeScreen

        composing = self.composing
        if composing is not None:
            composing.take(draft, name)
        else:
            composing = ComposeScreen(services, draft, name)
            await self._app.push_screen(composing)
        return composing

    def list_runs(self, services: Services) -> None:
        """Show the list of runs, unless it is in front already."""
        from tui_trainer.ui.runs.screen import RunsScreen

        if self.listing is None:
            self._app.push_screen(RunsScreen(services), self._left_list)

    def begin(self, session: Session, services: Services) -> None:
        """Show the run that begins here, over the list of runs or replacing the last run screen."""
        if self.listing is not None and self.run is not None:
            # The list was opened over a run that has ended since: close both.
            self.to_base()
            self.list_runs(services)
        self.watch(session, services)

    def train_on(self, session: Session, services: Services) -> None:
        """Show a run that resumes the one in front, whose results stay until it has started."""
        from tui_trainer.ui.run.screen import RunScreen

        self._results = self.run
        self._app.push_screen(RunScreen(session, services))

    def forget_results(self) -> None:
        """Close the results that are kept below the run that resumes them."""
        results, self._results = self._results, None
        if results is not None and results in self._app.screen_stack:
            self._remove(results)

    def watch_instead(self, session: Session, services: Services) -> None:
        """Show a watched run over the list, and close the one that was watched before it."""
        for running in self._runs():
            if running.session.is_elsewhere:
                self._remove(running)
        self.watch(session, services)

    def _remove(self, screen: Screen[Any]) -> None:
        """Close a screen, and leave those that cover it open."""
        # Textual closes only the frontmost screen.
        self._app._screen_stack.remove(screen)
        screen.remove()

    def back_to_results(self) -> RunScreen | None:
        """Show the results again that are kept below a run which could not start, if any are."""
        results, self._results = self._results, None
        if results is None or results not in self._app.screen_stack:
            return None
        self.uncover(results)
        return results

    def watch(self, session: Session, services: Services) -> None:
        """Show a run over the list of runs, or replacing the last run screen."""
        from tui_trainer.ui.run.screen import RunScreen

        if self.listing is None and (before := self.run) is not None:
            self.drop(before)
        self._app.push_screen(RunScreen(session, services))

    def to_base(self) -> None:
        """Close everything above composing, or above the first screen if nothing was composed."""
        self.uncover(self.composing or self._app.screen_stack[0])

    def uncover(self, screen: Screen[Any]) -> None:
        """Close the screens that cover `screen`."""
        while self._app.screen is not screen:
            self._app.pop_screen()

    def drop(self, screen: Screen[Any]) -> None:
        """Close a screen and those that cover it."""
        self.uncover(screen)
        self._app.pop_screen()
