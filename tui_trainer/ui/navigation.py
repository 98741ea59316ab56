"""`Navigator`: the screens of the app, and which stands before which.

Layer: ui. From the back: the first screen, composing, the run of this process and the list of runs
in either order, a run that is watched. Screens are imported when they are first needed.
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

    @property
    def composing(self) -> ComposeScreen | None:
        """Where experiments are composed, whatever stands before it."""
        from tui_trainer.ui.compose.screen import ComposeScreen

        return next((s for s in self._app.screen_stack if isinstance(s, ComposeScreen)), None)

    @property
    def listing(self) -> RunsScreen | None:
        """The list of runs, when nothing is before it."""
        from tui_trainer.ui.runs.screen import RunsScreen

        front = self._app.screen
        return front if isinstance(front, RunsScreen) else None

    @property
    def run(self) -> RunScreen | None:
        """The screen of the run that is looked at, or was looked at last."""
        return next(iter(self._runs()), None)

    @property
    def own_run(self) -> RunScreen | None:
        """That of the newest run of this process, whatever stands before it."""
        return next((s for s in self._runs() if s.session is self._live.session), None)

    def _runs(self) -> list[RunScreen]:
        """The screens of runs, the one in front first."""
        from tui_trainer.ui.run.screen import RunScreen

        return [s for s in reversed(self._app.screen_stack) if isinstance(s, RunScreen)]

    def is_opened_from_list(self, running: RunScreen) -> bool:
        """Whether the list of runs comes to the front when this one is closed."""
        from tui_trainer.ui.runs.screen import RunsScreen

        stack = self._app.screen_stack
        return isinstance(stack[stack.index(running) - 1], RunsScreen)

    async def compose(self, services: Services, draft: Draft) -> ComposeScreen:
        """Compose a draft, in the place of the one before."""
        from tui_trainer.ui.compose.screen import ComposeScreen

        composing = self.composing
        if composing is not None:
            composing.take(draft)
        else:
            composing = ComposeScreen(services, draft)
            await self._app.push_screen(composing)
        return composing

    def list_runs(self, services: Services) -> None:
        """Show the list of runs, the one that is there already if there is one."""
        from tui_trainer.ui.runs.screen import RunsScreen

        if self.listing is None:
            self._app.push_screen(RunsScreen(services), self._left_list)

    def begin(self, session: Session, services: Services) -> None:
        """Show the run that begins in this process, over the list or in the place of the last."""
        if self.listing is not None and self.run is not None:
            # The list was opened over a run that has ended since: both make way.
            self.to_base()
            self.list_runs(services)
        self.watch(session, services)

    def watch(self, session: Session, services: Services) -> None:
        """Show a run over the list, or in the place of the one that was looked at last."""
        from tui_trainer.ui.run.screen import RunScreen

        if self.listing is None and (before := self.run) is not None:
            self.drop(before)
        self._app.push_screen(RunScreen(session, services))

    def to_base(self) -> None:
        """Close everything but composing, or but the first screen where nothing was composed."""
        self.uncover(self.composing or self._app.screen_stack[0])

    def uncover(self, screen: Screen[Any]) -> None:
        """Close what stands before a screen."""
        while self._app.screen is not screen:
            self._app.pop_screen()

    def drop(self, screen: Screen[Any]) -> None:
        """Close a screen, and what stands before it."""
        self.uncover(screen)
        self._app.pop_screen()
