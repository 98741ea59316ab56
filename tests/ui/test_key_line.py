"""The keys in the last line: what is said where there is little room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.pilot import Pilot

from tests.ui.composing import until
from tests.ui.fakes import FakeServices, FakeSession
from tests.ui.runs import an_ending, an_experiment, some_events
from tui_trainer.config.preferences import Preferences
from tui_trainer.runs.events import StateChanged
from tui_trainer.ui.app import TrainerApp
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stop_dialog import StopDialog
from tui_trainer.ui.shared.key_line import KeyLine


class Keys(App[None]):
    """The run screen beneath the keys of the whole app."""

    BINDINGS = TrainerApp.BINDINGS

    def __init__(self) -> None:
        super().__init__()
        self.session = FakeSession(an_experiment())
        self.session.push(*some_events())
        services = FakeServices(Path("presets"), self.session)
        services.preferences = Preferences(fps=0.1)
        self.running = RunScreen(self.session, services)

    def on_mount(self) -> None:
        self.push_screen(self.running)

    @property
    def line(self) -> str:
        return self.screen._compositor.render_strips()[-1].text


def drive(play: Callable[[Keys, Pilot[None]], Awaitable[None]], size: tuple[int, int]) -> None:
    keys = Keys()

    async def run() -> None:
        async with keys.run_test(size=size) as pilot:
            await pilot.pause()
            await pilot.pause()
            await play(keys, pilot)

    asyncio.run(run())


def test_the_keys_that_matter_are_there_at_any_usual_width() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        for width in (60, 72, 80, 120):
            await pilot.resize_terminal(width, 20)
            await pilot.pause()
            for key in ("p Pause", "s Stop...", "e Edit", "f Full", "? Help"):
                assert key in keys.line, width
            assert len(keys.line.rstrip()) <= width
            assert keys.line.rstrip() == keys.line.rstrip().removesuffix("…"), width

    drive(play, (60, 20))


def test_where_there_is_room_all_keys_are_there_in_their_order() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        words = ["Pause", "Stop...", "Save", "Validate", "Edit", "Full", "Help", "Palette", "Quit"]
        for _ in range(3):
            assert [keys.line.index(word) for word in words] == sorted(map(keys.line.index, words))
            keys.running.refresh_bindings()
            await pilot.pause()
            await pilot.pause()

    drive(play, (80, 24))


def test_the_line_follows_the_width_of_the_terminal() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert "? Help" in keys.line
        assert "Palette" not in keys.line
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        assert "Palette" in keys.line
        assert "q Quit" in keys.line

    drive(play, (80, 24))


def test_the_keys_of_the_end_fit_too() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        keys.session.push(an_ending())
        keys.running._looking.look()
        await pilot.pause()
        await pilot.pause()
        for key in ("r Train on", "a Again", "c Compose", "esc Plots", "? Help"):
            assert key in keys.line

    drive(play, (60, 20))


def test_the_way_back_from_the_plots_of_the_end_and_from_the_log_is_told() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        assert "esc" not in keys.line
        await pilot.press("l")
        await pilot.pause()
        assert "esc Back" in keys.line
        await pilot.press("escape")
        await pilot.pause()
        assert "esc" not in keys.line
        keys.session.push(an_ending())
        keys.running._looking.look()
        for told in ("esc Plots", "esc Back", "esc Plots"):
            await pilot.pause()
            await pilot.pause()
            assert told in keys.line
            await pilot.press("escape")

    drive(play, (60, 20))


def test_the_line_follows_the_run_in_a_terminal_without_the_focus() -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        keys.post_message(events.AppBlur())
        await pilot.pause()
        assert not keys.app_focus
        keys.session.push(an_ending())
        keys.running._looking.look()
        await pilot.pause()
        await pilot.pause()
        assert "esc Plots" in keys.line
        assert "p Pause" not in keys.line

    drive(play, (80, 24))


WIDTHS = [60, pytest.param(120, marks=pytest.mark.further)]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_key_of_a_pause_says_that_it_goes_on(width: int) -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        await until(pilot, lambda: "p Resume" in keys.line)
        keys.session.push(StateChanged(41, "paused", "saved at step 41"))
        await pilot.press("p")
        await until(pilot, lambda: "p Pause" in keys.line)

    drive(play, (width, 24))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_click_on_a_key_presses_it(width: int) -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        await pilot.click(KeyLine, offset=(keys.line.index("s Stop...") + 5, 0))
        await pilot.pause()
        assert isinstance(keys.screen, StopDialog)

    drive(play, (width, 24))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_pointer_on_a_key_tells_what_it_does(width: int) -> None:
    async def play(keys: Keys, pilot: Pilot[None]) -> None:
        line = keys.running.query_one(KeyLine)
        await pilot.hover(KeyLine, offset=(keys.line.index("p Pause"), 0))
        assert line.tooltip == "Pause (saves first), or continue"
        await pilot.hover(KeyLine, offset=(keys.line.index("? Help"), 0))
        assert line.tooltip == "Show what the keys do here"

    drive(play, (width, 24))


class Enter(App[None]):
    """A line with a key that Textual writes otherwise."""

    BINDINGS: ClassVar = [
        Binding("enter", "open", "Open"),
        Binding("ctrl+r", "put_back", "Put back"),
    ]

    def compose(self) -> ComposeResult:
        yield KeyLine()


def test_keys_are_written_as_below_the_dialogs() -> None:
    async def run() -> None:
        app = Enter()
        async with app.run_test(size=(80, 5)) as pilot:
            await pilot.pause()
            await pilot.pause()
            line = app.screen._compositor.render_strips()[-1].text
        assert "↵ Open" in line
        assert "^r Put back" in line

    asyncio.run(run())
