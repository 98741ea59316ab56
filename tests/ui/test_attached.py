"""The run screen on a run that another process holds: steered by the mailbox, and left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.sessions.test_run_reader import NAME, Watched
from tests.ui.fakes import FakeServices
from tests.ui.runs import an_ending
from tui_trainer.config.preferences import Preferences
from tui_trainer.runs.commands import Command, name_of
from tui_trainer.runs.events import CommandApplied, RunEnded, RunStarted, StateChanged
from tui_trainer.runs.mailbox import Mailbox
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.run.stop_dialog import StopDialog


class AttachedApp(App[None]):
    """Shows one run, and remembers whether it was left."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self.watched = watched
        self.animation_level = "none"
        services = FakeServices(Path("presets"))
        services.preferences = Preferences(fps=0.1)
        self.running = RunScreen(watched.session, services)
        self.left = False

    def on_mount(self) -> None:
        self.push_screen(self.running)

    def on_run_screen_leave(self) -> None:
        self.left = True

    @property
    def text(self) -> str:
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    @property
    def log_lines(self) -> list[str]:
        return [entry.text for entry in self.running.query_one(Log).entries]

    async def look(self, pilot: Pilot[None], after_s: float = 0.25) -> None:
        """Let the reader look, and the screen after it."""
        self.watched.clock.now_s += after_s
        self.watched.session._post()
        self.watched.session._poll()
        self.running._looking.look()
        await pilot.pause()

    def mail(self) -> list[Command]:
        """Return the commands that the run would take out of its mailbox."""
        self.watched.session._post()
        return Mailbox(self.watched.run.control).take().commands


def drive(folder: Path, play: Callable[[AttachedApp, Pilot[None]], Awaitable[None]]) -> None:
    """Run a test in an app that is attached to a run of 300 steps."""
    watched = Watched(folder)
    watched.beat()
    app = AttachedApp(watched)

    async def run() -> None:
        async with app.run_test(size=(110, 30)) as pilot:
            await pilot.pause()
            await app.look(pilot)
            await play(app, pilot)

    asyncio.run(run())
    watched.lock.release()


def test_the_whole_run_is_there_and_can_be_steered(tmp_path: Path) -> None:
    async def play(app: AttachedApp, pilot: Pilot[None]) -> None:
        assert NAME in app.text
        assert "running" in app.text
        assert any("checkpoint" in line for line in app.log_lines)
        await pilot.press("p")
        (pause,) = app.mail()
        assert name_of(pause) == "pause"
        assert "pausing" in app.text
        answer = CommandApplied(300, pause.id, "pause", pause.origin)
        app.watched.tell(answer, StateChanged(300, "paused", "saved at step 300"))
        await app.look(pilot)
        assert "paused, saved at step 300" in app.text
        await pilot.press("ctrl+s", "v")
        assert [name_of(command) for command in app.mail()] == ["save", "validate"]
        await pilot.press("s")
        assert isinstance(app.screen, StopDialog)

    drive(tmp_path, play)


def test_a_refusal_is_ours_to_read(tmp_path: Path) -> None:
    async def play(app: AttachedApp, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+s")
        (save,) = app.mail()
        app.watched.tell(CommandApplied(300, save.id, "save", save.origin, "the disk is full"))
        await app.look(pilot)
        assert [notice.message for notice in app._notifications] == [
            "save refused: the disk is full"
        ]

    drive(tmp_path, play)


def test_leaving_asks_nothing_and_sends_nothing(tmp_path: Path) -> None:
    async def play(app: AttachedApp, pilot: Pilot[None]) -> None:
        await pilot.press("d")
        await pilot.pause()
        assert app.left
        assert app.screen is app.running
        assert app.mail() == []

    drive(tmp_path, play)


@pytest.mark.parametrize("state", ["crashed", "finished"])
def test_an_end_shows_results_and_another_life_the_plots_again(tmp_path: Path, state: str) -> None:
    async def play(app: AttachedApp, pilot: Pilot[None]) -> None:
        watched = app.watched
        if state == "finished":
            watched.tell(an_ending())
            watched.beat(state="finished")
        else:
            watched.lock.release()
        await app.look(pilot, 3.0)
        assert app.running.has_class("-result")
        assert f"{state} after" in app.text
        watched.beat(state="starting", generation=2)
        start = RunStarted(299, 13, NAME, "cpu", 48906, 1221, 23, 460, 2)
        watched.tell(start, StateChanged(299, "running"))
        await app.look(pilot)
        assert not app.running.has_class("-result")
        assert "running" in app.text
        await pilot.press("p")
        assert [name_of(command) for command in app.mail()] == ["pause"]

    drive(tmp_path, play)


def test_what_nobody_hears_is_shown(tmp_path: Path) -> None:
    async def play(app: AttachedApp, pilot: Pilot[None]) -> None:
        app.watched.run.path.rename(tmp_path / "aside")
        await app.look(pilot)
        assert "deleted" in app.text
        assert any("the directory of the run was deleted" in line for line in app.log_lines)
        (tmp_path / "aside").rename(app.watched.run.path)
        app.watched.tell(RunEnded(300, "stopped", "asked", 14, "", 3.0, 0))
        app.watched.beat(state="stopped")
        await app.look(pilot)
        assert "stopped after" in app.text

    drive(tmp_path, play)
