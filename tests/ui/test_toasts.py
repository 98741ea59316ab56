"""A message stands on the screen once, however often it is said, and can come again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.app import App
from textual.pilot import Pilot

from tui_trainer.ui.run.actions import TOAST_S, Toasts


class Host(App[None]):
    """An app whose messages are counted, with a clock of the test's."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0

    @property
    def told(self) -> list[str]:
        return [notification.message for notification in self._notifications]

    def toasts(self) -> Toasts:
        return Toasts(self.screen, clock=lambda: self.now_s)


def test_a_message_is_shown_once_while_it_can_be_read() -> None:
    async def play(app: Host, pilot: Pilot[None]) -> None:
        toasts = app.toasts()
        toasts.tell("pause: the run is paused already")
        toasts.tell("pause: the run is paused already", warn=True)
        toasts.tell("another")
        await pilot.pause()
        assert app.told == ["pause: the run is paused already", "another"]

    drive(play)


def test_a_message_that_went_away_is_shown_again() -> None:
    async def play(app: Host, pilot: Pilot[None]) -> None:
        toasts = app.toasts()
        toasts.tell("[b]the run[/b] has ended")
        app.now_s += TOAST_S
        toasts.tell("[b]the run[/b] has ended")
        await pilot.pause()
        assert app.told == ["[b]the run[/b] has ended"] * 2

    drive(play)


def drive(play: Callable[[Host, Pilot[None]], Awaitable[None]]) -> None:
    app = Host()

    async def run() -> None:
        async with app.run_test(notifications=True) as pilot:
            await play(app, pilot)

    asyncio.run(run())
