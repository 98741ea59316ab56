"""The compose screen in a small app, with fake services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import Screen

from tests.ui.fakes import FakeServices
from tui_trainer.config.drafts.draft import Draft, draft_with
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.text.errors import TrainerError
from tui_trainer.ui.compose.preset_list import PresetPane
from tui_trainer.ui.compose.screen import ComposeScreen
from tui_trainer.ui.compose.summary import Summary
from tui_trainer.ui.shared.bindings import take_late_letter

Step = Callable[["Host", Pilot[None]], Awaitable[None]]


class Host(App[None]):
    """Shows the compose screen, and remembers what it asks for.

    Messages stay, so that they are still there when a busy machine looks at them.
    """

    NOTIFICATION_TIMEOUT = 600.0

    def __init__(self, services: FakeServices, draft: Draft) -> None:
        super().__init__()
        self.services = services
        self.draft = draft
        self.launched: list[ComposeScreen.Launch] = []

    def get_default_screen(self) -> Screen[Any]:
        return ComposeScreen(self.services, self.draft)

    def on_key(self, event: events.Key) -> None:
        take_late_letter(self.focused, event)

    def on_compose_screen_launch(self, message: ComposeScreen.Launch) -> None:
        self.launched.append(message)

    @property
    def compose_screen(self) -> ComposeScreen:
        screen = self.screen_stack[0]
        assert isinstance(screen, ComposeScreen)
        return screen

    @property
    def is_in_front(self) -> bool:
        """Whether nothing covers the compose screen."""
        return len(self.screen_stack) == 1

    def pane(self, kind: str) -> PresetPane:
        return self.compose_screen.query_one(f"#{kind}", PresetPane)

    def presets(self, kind: str, words: str = "") -> list[str]:
        """The names of presets with these words in name or description."""
        library = self.services.library
        return [
            preset.name
            for preset in library.list(kind)
            if words in f"{preset.name} {library.read(preset.path).data.get('description')}"
        ]

    @property
    def summary(self) -> Summary:
        return self.compose_screen.query_one(Summary)

    def notices(self) -> list[str]:
        return [notice.message for notice in self._notifications]


class WaitingLoader:
    """Keeps the work until a test lets it be done."""

    def __init__(self) -> None:
        self.stage = ""
        self.waiting: dict[str, tuple[Callable[[], Any], Callable[[Any | TrainerError], None]]] = {}

    def start(self, deliver: Callable[[Callable[[], None]], object]) -> None:
        return

    def submit(
        self, kind: str, work: Callable[[], Any], done: Callable[[Any | TrainerError], None]
    ) -> None:
        self.waiting[kind] = (work, done)

    def do(self, kind: str) -> None:
        work, done = self.waiting.pop(kind)
        try:
            result = work()
        except TrainerError as error:
            result = error
        done(result)


def shown(app: App[Any]) -> str:
    """The text on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[Any], holds: Callable[[], bool]) -> None:
    """Wait for what a thread or a timer brings about, for a minute at most."""
    for _ in range(3000):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError("it did not come to hold")


async def press(pilot: Pilot[None], *keys: str) -> None:
    await pilot.press(*keys)
    await pilot.pause()


async def type_text(pilot: Pilot[Any], text: str) -> None:
    """Type letters as fast as they can be read; the screen is painted after the last one."""
    driver = pilot.app._driver
    assert driver is not None
    for letter in text:
        key = letter if letter.isalnum() else _character_to_key(letter)
        driver.send_message(events.Key(key, letter))
    await pilot.pause()


def drive(
    folder: Path,
    step: Step,
    *,
    size: tuple[int, int] = (80, 24),
    overrides: Sequence[str] = (),
    services: FakeServices | None = None,
    host: type[Host] = Host,
) -> Host:
    """Run a step against the screen; presets of one's own are in `folder`."""
    services = services or FakeServices(folder)
    app = host(services, draft_with(services.library, overrides=parse_overrides(overrides)))

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await step(app, pilot)

    asyncio.run(run())
    return app


def drive_in_turn(folder: Path, *steps: Step) -> None:
    """Run several steps against one screen, as it costs more to open it than to use it."""

    async def step(app: Host, pilot: Pilot[None]) -> None:
        for one_step in steps:
            await one_step(app, pilot)

    drive(folder, step)


def write_preset(folder: Path, kind: str, name: str, text: str) -> Path:
    path = folder / f"{kind}s" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
