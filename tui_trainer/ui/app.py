"""`TrainerApp`: which screen comes after which; everything else is in the screens.

Layer: ui. At most one run is alive in this process, and composing rests while it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App, SystemCommand
from textual.screen import ModalScreen, Screen

from tui_trainer.config.draft import Draft
from tui_trainer.config.keymap import keys_in_force
from tui_trainer.config.keys import ACTIONS
from tui_trainer.sessions.session import Session
from tui_trainer.ui.bindings import bindings_of
from tui_trainer.ui.late_keys import take_late_letter
from tui_trainer.ui.running import Live
from tui_trainer.ui.screens.compose import ComposeScreen
from tui_trainer.ui.screens.help import HelpScreen, shown_key
from tui_trainer.ui.screens.run import RunScreen
from tui_trainer.ui.services import Services
from tui_trainer.ui.terminal import Terminal
from tui_trainer.ui.widgets.standing import plain_terminal


@dataclass(frozen=True, slots=True)
class Opening:
    """What the app opens with: a draft to compose, or a run that starts at once."""

    draft: Draft
    begin: Callable[[], Session] | None = None
    """Starts the run, once the screen is there."""


class TrainerApp(App[int]):
    """The app; its result is the exit status."""

    TITLE = "tui-trainer"
    BINDINGS = bindings_of("app")
    CSS = """
    .-ascii ModalScreen > VerticalScroll, .-ascii PresetPane, .-ascii Details {
        border: ascii $primary;
    }
    .-ascii Group { border-top: ascii $primary; }
    """

    def __init__(
        self,
        services: Services,
        opening: Opening,
        live: Live,
        terminal: Terminal | None = None,
    ) -> None:
        super().__init__(driver_class=terminal.driver_class if terminal else None)
        self.services = services
        self.live = live
        self._terminal = terminal
        self._opening = opening
        self.theme = services.preferences.theme
        self.set_keymap(services.preferences.keymap)
        self.set_class(plain_terminal(services.preferences), "-ascii")

    def get_default_screen(self) -> Screen[Any]:
        return ComposeScreen(self.services, self._opening.draft)

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """After the first paint: import what is slow, show what is printed, start the run."""
        loop = asyncio.get_running_loop()
        self.services.loader.start(loop.call_soon_threadsafe)
        if self._terminal is not None:
            self._terminal.output.subscribe(partial(self._hear, loop))
        if self._opening.begin is not None:
            self._show(self._opening.begin())

    def _hear(self, loop: asyncio.AbstractEventLoop, lines: Sequence[str]) -> None:
        """Called in the thread of the output, also when the loop has ended."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._say, lines)

    def _say(self, lines: Sequence[str]) -> None:
        """Show what the program printed, where there is a log to show it in."""
        if (running := self._run_screen()) is not None:
            for line in lines:
                running.say(line)

    def on_key(self, event: events.Key) -> None:
        take_late_letter(self.focused, event)

    def on_compose_screen_launch(self, message: ComposeScreen.Launch) -> None:
        self._show(self.services.launch(message.experiment, message.name))

    def on_run_screen_again(self, message: RunScreen.Again) -> None:
        self._show(self.services.launch(message.experiment, ""))

    def on_run_screen_resume(self, message: RunScreen.Resume) -> None:
        self._show(self.services.resume(Path(message.run_dir), message.overrides))

    def on_run_screen_compose(self, message: RunScreen.Compose) -> None:
        self.pop_screen()
        if isinstance(self.screen, ComposeScreen):
            self.screen.take(Draft.of(self.services.library, message.experiment))

    def on_run_screen_never_started(self, message: RunScreen.NeverStarted) -> None:
        """Back to composing, where what was wrong can be mended."""
        self.pop_screen()
        if isinstance(self.screen, ComposeScreen):
            self.screen.complain(message.reason)

    def on_run_screen_leave(self) -> None:
        self._leave()

    def _show(self, session: Session) -> None:
        """Watch a run, in the place of the one before."""
        screen = RunScreen(session, self.services)
        if isinstance(self.screen, RunScreen):
            self.switch_screen(screen)
        else:
            self.push_screen(screen)

    def _leave(self) -> None:
        # Without a result, the exit status is that of the last run.
        self.exit()

    def _run_screen(self) -> RunScreen | None:
        return next((s for s in self.screen_stack if isinstance(s, RunScreen)), None)

    def action_interrupt(self) -> None:
        """What ctrl+c does: never ends a run by itself."""
        if isinstance(self.screen, ModalScreen):
            self.simulate_key("escape")
        elif self.live.alive and (running := self._run_screen()) is not None:
            running.ask_to_stop(then_leave=False)
        else:
            self.notify(f"{self._keys_of('app.quit')} leaves", timeout=3)

    async def action_quit(self) -> None:
        """Leave; with a live run after it has been stopped, if that is what is wanted."""
        running = self._run_screen()
        if self.live.alive and running is not None:
            running.ask_to_stop(then_leave=True)
        else:
            self._leave()

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            about = getattr(self.screen, "ABOUT", "")
            self.push_screen(HelpScreen(self.screen.active_bindings, about))

    def action_palette(self) -> None:
        self.action_command_palette()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Every action that can be taken now, and the themes."""
        texts = {action.id: action.text for action in ACTIONS}
        offered: set[str] = set()
        for active in screen.active_bindings.values():
            name = active.binding.id
            if name in texts and name not in offered and name != "app.palette" and active.enabled:
                offered.add(name)
                act = partial(self.run_action, active.binding.action, active.node)
                yield SystemCommand(texts[name], self._keys_of(name), act)
        yield SystemCommand("Change the theme", "Colours, light or dark", self.action_change_theme)

    def _keys_of(self, name: str) -> str:
        keys = keys_in_force(self.services.preferences.keymap)[name]
        return ", ".join(shown_key(key) for key in keys)
