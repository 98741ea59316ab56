"""A message is shown once, on its own screen, and beside what is in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Button, Input
from textual.widgets._toast import Toast

from tests.ui.composing import until
from tests.ui.fakes import FakeServices
from tests.ui.test_app import LiveSession, play, running
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.compose.screen import ComposeScreen
from tui_trainer.ui.run.actions import Toasts
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.shared.key_line import KeyLine


class Host(App[None]):
    """An app whose messages are counted, and stay until a busy machine has looked at them."""

    NOTIFICATION_TIMEOUT = 600.0

    @property
    def told(self) -> list[str]:
        return [notification.message for notification in self._notifications]


def test_a_message_is_shown_once_while_it_can_be_read() -> None:
    async def play(app: Host, pilot: Pilot[None]) -> None:
        toasts = Toasts(app.screen)
        toasts.tell("pause: the run is paused already")
        toasts.tell("pause: the run is paused already", warn=True)
        toasts.tell("another")
        await pilot.pause()
        toasts.tell("another")
        await pilot.pause()
        assert app.told == ["pause: the run is paused already", "another"]

    drive(play)


def test_a_message_that_went_away_is_shown_again() -> None:
    async def play(app: Host, pilot: Pilot[None]) -> None:
        toasts = Toasts(app.screen)
        toasts.tell("[b]the run[/b] has ended")
        await pilot.pause()
        app.clear_notifications()
        assert app.told == []
        toasts.tell("[b]the run[/b] has ended")
        await pilot.pause()
        assert app.told == ["[b]the run[/b] has ended"]

    drive(play)


def drive(play: Callable[[Host, Pilot[None]], Awaitable[None]]) -> None:
    app = Host()

    async def run() -> None:
        async with app.run_test(notifications=True) as pilot:
            await play(app, pilot)

    asyncio.run(run())


# The place of messages in the real app.


def toasts(app: TrainerApp) -> list[Region]:
    return [toast.region for toast in app.screen.query(Toast)]


async def shown(app: TrainerApp, pilot: Pilot[int], count: int = 1) -> list[Region]:
    """Wait until messages have been laid out; their places."""
    await until(pilot, lambda: len([it for it in toasts(app) if it.area]) == count)
    await pilot.pause()
    return toasts(app)


LONG = "copied: tui-trainer train digits-cnn optimizer.lr=3e-4 training.epochs=40 --name trial"


@pytest.mark.parametrize(
    "size",
    [(80, 24), *(pytest.param(size, marks=pytest.mark.further) for size in ((120, 40), (200, 50)))],
)
def test_a_message_covers_neither_start_nor_the_keys(tmp_path: Path, size: tuple[int, int]) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        app.notify(LONG, markup=False, timeout=600)
        app.notify("and another one", markup=False, timeout=600)
        places = await shown(app, pilot, 2)
        for widget in (app.screen.query_one("#start", Button), app.screen.query_one(KeyLine)):
            assert not [it for it in places if it.overlaps(widget.region)]
        assert all(app.screen.region.contains_region(it) for it in places)

    play(FakeServices(tmp_path), what, size=size, notifications=True)


def test_a_message_makes_way_for_the_field_that_gets_the_focus(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        app.notify(LONG, markup=False, timeout=600)
        await shown(app, pilot)
        fields = [it for it in app.screen.query(Input) if it.region.area and it.can_focus]
        assert fields
        # Those at the bottom and on the right are where messages would be.
        for field in (*fields[:2], *fields[-2:]):
            app.screen.set_focus(field)
            await pilot.pause()
            await pilot.pause()
            (place,) = await shown(app, pilot)
            assert not place.overlaps(field.region), field

    play(FakeServices(tmp_path), what, size=(80, 24), notifications=True)


def test_a_message_does_not_outlive_its_screen(tmp_path: Path) -> None:
    session = LiveSession()

    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        app.notify("of composing", markup=False, timeout=600)
        await shown(app, pilot)
        await running(app, pilot, session)
        await until(pilot, lambda: toasts(app) == [])
        assert not app._notifications
        app.notify("of the run", markup=False, timeout=600)
        await shown(app, pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: not isinstance(app.screen, RunScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert toasts(app) == []

    play(FakeServices(tmp_path, session), what, notifications=True)


def test_a_message_that_comes_after_its_screen_has_gone_is_not_shown(tmp_path: Path) -> None:
    async def what(app: TrainerApp, pilot: Pilot[int]) -> None:
        app.notify("too late", markup=False, timeout=600)
        app.action_help()
        await pilot.pause()
        await pilot.pause()
        assert not app._notifications
        app.pop_screen()
        app.notify("in time", markup=False, timeout=600)
        await shown(app, pilot)
        assert isinstance(app.screen, ComposeScreen)

    play(FakeServices(tmp_path), what, notifications=True)
