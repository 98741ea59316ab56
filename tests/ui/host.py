"""A small app around the run screen, which remembers what the screen asks of its app."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App
from textual.message import Message
from textual.pilot import Pilot

from tests.ui.fakes import FakeServices, FakeSession
from tests.ui.runs import USAGE, an_experiment
from tui_trainer.config.preferences import Preferences
from tui_trainer.runs.events import Event
from tui_trainer.ui.run.ended import Ending
from tui_trainer.ui.run.log_panel import Log
from tui_trainer.ui.run.screen import RunScreen
from tui_trainer.ui.shared.bindings import take_late_letter


class Host(App[None]):
    """Shows one run."""

    def __init__(self, session: FakeSession, *, fps: float = 0.1, can_detach: bool = False) -> None:
        super().__init__()
        self.session = session
        self.animation_level = "none"
        services = FakeServices(Path("presets"), session)
        services.preferences = Preferences(fps=fps)
        services.can_detach = can_detach
        self.running = RunScreen(session, services)
        self.got: list[Message] = []

    def on_mount(self) -> None:
        self.push_screen(self.running)

    def on_key(self, event: events.Key) -> None:
        take_late_letter(self.focused, event)

    def on_run_screen_leave(self, message: RunScreen.Leave) -> None:
        self.got.append(message)

    def on_run_screen_detach(self, message: RunScreen.Detach) -> None:
        self.got.append(message)

    def on_run_screen_never_started(self, message: RunScreen.NeverStarted) -> None:
        self.got.append(message)

    def on_ending_resume(self, message: Ending.Resume) -> None:
        self.got.append(message)

    def on_ending_again(self, message: Ending.Again) -> None:
        self.got.append(message)

    def on_ending_compose(self, message: Ending.Compose) -> None:
        self.got.append(message)

    @property
    def text(self) -> str:
        """The screen as it is seen."""
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    @property
    def told(self) -> list[str]:
        """The texts of the notifications."""
        return [notification.message for notification in self._notifications]

    @property
    def log_lines(self) -> list[str]:
        return [entry.text for entry in self.running.query_one(Log).entries]

    async def happen(self, pilot: Pilot[None], *events: Event) -> None:
        """Let something happen in the run, and the screen look at it."""
        self.session.push(*events)
        self.running._looking.look()
        await pilot.pause()


def drive(
    play: Callable[[Host, Pilot[None]], Awaitable[Any]],
    *events: Event,
    size: tuple[int, int] = (80, 24),
    fps: float = 0.1,
    can_detach: bool = False,
) -> Host:
    """Run a test in an app whose run has got as far as some events say.

    With the rate of 0.1 the screen looks by itself once at the start; then the test says when.
    """
    session = FakeSession(an_experiment())
    session.usage = USAGE
    session.push(*events)
    host = Host(session, fps=fps, can_detach=can_detach)

    async def run() -> None:
        async with host.run_test(size=size) as pilot:
            await pilot.pause()
            await play(host, pilot)

    asyncio.run(run())
    return host
