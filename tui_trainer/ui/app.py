"""`TrainerApp`: decides which screen follows which; everything else is in the screens.

Layer: ui. At most one run is alive in this process, and composing is paused while it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from textual import events
from textual.app import App, SystemCommand
from textual.css.query import NoMatches
from textual.notifications import Notify, SeverityLevel
from textual.screen import ModalScreen, Screen, SystemModalScreen

from tui_trainer.config.garbage_collection import permanent_objects
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.text.clean import clean, harmless_block
from tui_trainer.text.errors import ExitCode, TrainerError
from tui_trainer.ui.navigation import Navigator
from tui_trainer.ui.process import CurrentRun
from tui_trainer.ui.shared.bindings import KeyTable, bindings_of, take_late_letter
from tui_trainer.ui.shared.first import FirstScreen
from tui_trainer.ui.terminal.segments import harmless_update
from tui_trainer.ui.terminal.terminal import Terminal

if TYPE_CHECKING:
    from tui_trainer.sessions.session import Session
    from tui_trainer.ui.appearance import Appearance
    from tui_trainer.ui.compose.screen import ComposeScreen
    from tui_trainer.ui.run.ended import Ending
    from tui_trainer.ui.run.screen import RunScreen
    from tui_trainer.ui.runs.screen import RunsScreen
    from tui_trainer.ui.shared.services import Opening, Services
    from tui_trainer.ui.shared.toasts import ToastPlace

TITLE_S = 1.0
AGAIN_S = 3.0
"""Seconds within which a second ctrl+c leaves the app when no run is alive."""
WARNING_S = 15.0
"""How long a warning about the choices is shown, which names a file."""


class TrainerApp(App[int], inherit_bindings=False):
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
        opening: Callable[[], Opening],
        live: CurrentRun,
        terminal: Terminal | None = None,
        first: FirstScreen | None = None,
    ) -> None:
        """Make the app; `first` is painted before anything is read."""
        super().__init__(driver_class=terminal.driver_class if terminal else None)
        self.live = live
        self.failure: Exception | None = None
        """The error that ended the app before it could begin."""
        self.services: Services
        self._make_opening = opening
        self._first = first or FirstScreen()
        self._terminal = terminal
        self._stack = Navigator(self, live, self._leave_list)
        self._leaves_with_run = False
        self._keymap_of_user: Mapping[str, str] = {}
        self._interrupted_s = -AGAIN_S
        self._appearance: Appearance | None = None
        self._toasts: ToastPlace | None = None

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        # Everything that Textual paints passes through here on its way to the driver.
        super()._display(screen, harmless_update(renderable, self.console))

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text through the terminal, without anything that steers where it is pasted."""
        super().copy_to_clipboard(harmless_block(text))

    def _handle_exception(self, error: Exception) -> None:
        # An app that ends while a screen is put together finds the screen without its parts.
        if not (self._exit and isinstance(error, NoMatches)):
            super()._handle_exception(error)

    def get_default_screen(self) -> Screen[Any]:
        return self._first

    def on_mount(self) -> None:
        self.set_interval(TITLE_S, self._show_title)

    def on_ready(self) -> None:
        """Read on at once when the first screen is painted, not a frame later."""
        # In a worker: awaiting inside a message handler would leave keys unanswered meanwhile.
        self.run_worker(self._begin())

    def _show_title(self) -> None:
        """Bring the title of the terminal's window up to date."""
        driver = self._terminal.driver if self._terminal is not None else None
        if driver is not None:
            from tui_trainer.ui.terminal.title import title_of

            # Only a run screen that was opened has a session, so nothing is imported for this.
            running = self._stack.run if "tui_trainer.ui.run.screen" in sys.modules else None
            driver.show_title(title_of(running.session.view if running is not None else None))

    async def _begin(self) -> None:
        """Read everything the app works with and show it; called after the first paint."""
        # What is read and shown stays. The loader pauses the collector for itself.
        with permanent_objects():
            if not await self._open():
                return
            # The loader itself waits until the first screen is painted.
            self.services.loader.start(asyncio.get_running_loop().call_soon_threadsafe)
            if (begin := self._opening.begin) is not None:
                self._stack.begin(begin(), self.services)
            self.call_after_refresh(self._first.hand_over)
            if problem := self.services.choices.problem:
                # On the screen that stays: a message goes with the screen that it was shown on.
                self.call_after_refresh(self._warn, problem)
            painted = asyncio.Event()
            self.call_after_refresh(painted.set)
            await painted.wait()

    async def _open(self) -> bool:
        """Read everything and compose, unless a run begins; return False if the app was left."""
        try:
            opening = await asyncio.to_thread(self._read)
        except Exception as error:
            self.failure = error
            self.exit(ExitCode.FAILED)
            return False
        if not self.is_running:
            return False
        self.services, self._opening = opening.services, opening
        self._dress(opening.services)
        self._leaves_with_run = opening.is_old
        if opening.begin is None:
            await self._compose_anew()
        return True

    def _read(self) -> Opening:
        """Runs in another thread, so that keys and the screen's clock keep working."""
        opening = self._make_opening()
        import_module(f"tui_trainer.ui.{'compose' if opening.begin is None else 'run'}.screen")
        return opening

    def _dress(self, services: Services) -> None:
        """Apply the user's preferences and choices, and listen to what is printed."""
        from tui_trainer.ui.appearance import Appearance

        loop = asyncio.get_running_loop()
        if self._terminal is not None:
            self._terminal.output.subscribe(partial(self._hear, loop))
        services.choices.complain = lambda text: loop.call_soon_threadsafe(self._warn, text)
        self._keymap_of_user = services.preferences.keymap
        self._appearance = Appearance(self, services.preferences, services.choices)
        self._appearance.apply(self._terminal.driver if self._terminal is not None else None)

    def _warn(self, text: str) -> None:
        self.notify(clean(text, 1000), severity="warning", markup=False, timeout=WARNING_S)

    async def on_unmount(self) -> None:
        if self._appearance is not None:
            await asyncio.to_thread(self.services.choices.close)

    def _hear(self, loop: asyncio.AbstractEventLoop, lines: Sequence[str]) -> None:
        """Called in the output thread, even after the event loop has ended."""
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._say, lines)

    def _say(self, lines: Sequence[str]) -> None:
        """Show what the program printed, if there is a log to show it in."""
        if (running := self._stack.own_run or self._stack.run) is not None:
            running.say("\n".join(lines), "detail")

    # Messages in a corner. Their module is loaded with the first of them.

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a message on the screen in front, for some seconds."""
        from tui_trainer.ui.shared.toasts import ToastPlace

        if self._toasts is None:
            self._toasts = ToastPlace(self)
            self._toasts.begin()
        self._toasts.tell(message)
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    def on_notify(self, event: Notify) -> None:
        if not self._screen_stack:
            # The app is closing.
            event.prevent_default()
            return
        if self._toasts is not None and not self._toasts.belongs_here(event.notification):
            event.prevent_default()
        self.call_later(self._place_toasts)

    def on_descendant_focus(self) -> None:
        # The layout may change with the focus.
        self.call_after_refresh(self._place_toasts)

    def on_resize(self) -> None:
        self.call_after_refresh(self._place_toasts)

    def _place_toasts(self) -> None:
        if self._toasts is not None and self._notifications:
            self._toasts.update()

    def on_key(self, event: events.Key) -> None:
        take_late_letter(self.focused, event)

    def on_compose_screen_launch(self, message: ComposeScreen.Launch) -> None:
        self._begin_run(self.services.launch(message.experiment, message.name))

    def on_ending_again(self, message: Ending.Again) -> None:
        from tui_trainer.ui.repeat import as_started

        again = as_started(message.experiment, message.run_dir, self.services)
        if self._can_begin(again.train):
            self._begin_run(self.services.launch(again.experiment, again.name))

    def on_ending_resume(self, message: Ending.Resume) -> None:
        run = RunDirectory(Path(message.run_dir))
        if self._can_begin(run.command("resume", "--detach")):
            self._stack.train_on(self.services.resume(run.path, message.overrides), self.services)

    def on_run_screen_started(self) -> None:
        self._stack.forget_results()

    def on_compose_screen_runs(self) -> None:
        self._stack.list_runs(self.services)

    def on_run_screen_to_runs(self) -> None:
        running = self._stack.run
        if running is not None and not self._stack.stays_below_list(running):
            self._stack.drop(running)
        self._stack.list_runs(self.services)

    def on_runs_screen_open(self, message: RunsScreen.Open) -> None:
        own, running = self._stack.own_run, self._stack.run
        if own is not None and self.live.alive and own.shows(message.path):
            self._stack.uncover(own)
        elif running is not None and running.session.is_elsewhere and running.shows(message.path):
            self._stack.uncover(running)
        elif self.services.attach is not None:
            try:
                session = self.services.attach(message.path)
            except TrainerError as error:
                self.notify(clean(str(error), 1000), severity="error", markup=False)
                return
            self._stack.watch_instead(session, self.services)

    def on_runs_screen_resume(self, message: RunsScreen.Resume) -> None:
        if self._can_begin(RunDirectory(message.path).command("resume", "--detach")):
            self._begin_run(self.services.resume(message.path, ()))

    def on_runs_screen_fork(self, message: RunsScreen.Fork) -> None:
        how = RunDirectory(message.path).command("fork", "--detach")
        if self.services.fork is not None and self._can_begin(how):
            self._begin_run(self.services.fork(message.path, message.which, message.overrides))

    def _begin_run(self, session: Session) -> None:
        """Show a run that was begun in the app, which stays open if the run cannot start."""
        self._leaves_with_run = False
        self._stack.begin(session, self.services)

    def _can_begin(self, elsewhere: str) -> bool:
        """Return whether a run can begin here; if not, show the command to begin it elsewhere."""
        if not self.live.alive:
            return True
        from tui_trainer.ui.shared.services import beside

        self.notify(beside(self.live.name, elsewhere), severity="warning", markup=False)
        if (running := self._stack.run) is not None:
            running.offer_again()
        return False

    async def _compose_anew(self) -> ComposeScreen:
        """Show what the app was opened to compose or to start."""
        return await self._stack.compose(self.services, self._opening.draft, self._opening.name)

    async def _leave_list(self, _: None) -> None:
        """Called when the list closes: compose, if only the first screen is left below it.

        The first screen has nothing to show; it is there when the app was opened for one run.
        """
        if isinstance(self.screen, FirstScreen):
            await self._compose_anew()

    async def on_ending_compose(self, message: Ending.Compose) -> None:
        from tui_trainer.ui.repeat import repeat

        again = repeat(message.experiment, message.run_dir, self.services)
        if self._can_begin(again.compose):
            self._stack.to_base()
            await self._stack.compose(self.services, again.draft, again.name)

    async def on_run_screen_never_started(self, message: RunScreen.NeverStarted) -> None:
        """Go back to the results, the list or composing, and show why the run did not start."""
        if (results := self._stack.back_to_results()) is not None:
            results.complain(message.reason)
            return
        if self._leaves_with_run:
            self._leave()
            return
        if (running := self._stack.own_run or self._stack.run) is not None:
            self._stack.drop(running)
        if (listing := self._stack.listing) is not None:
            listing.complain(message.reason)
            return
        composing = self._stack.composing
        if composing is None:
            composing = await self._compose_anew()
        composing.complain(message.reason)

    def on_run_screen_detach(self) -> None:
        """End the app and let the process go on with its run."""
        self.live.is_let_go = self.live.alive
        self._leave()

    def on_run_screen_leave(self, message: RunScreen.Leave) -> None:
        running = self._stack.run if message.is_left_alone else None
        if running is not None and self._stack.is_opened_from_list(running):
            self._stack.drop(running)
        else:
            self._leave()

    def _leave(self) -> None:
        # Without a result, the exit status is that of the last run.
        self.exit()

    def action_interrupt(self) -> None:
        """Handle ctrl+c, which never ends a run without asking."""
        if isinstance(self.screen, ModalScreen):
            self.simulate_key("escape")
        elif self.live.alive and (running := self._stack.own_run) is not None:
            running.ask_to_stop(then_leave=False)
        elif time.monotonic() - self._interrupted_s < AGAIN_S:
            self._leave()
        else:
            self._interrupted_s = time.monotonic()
            self.notify("press ctrl+c again to leave", timeout=AGAIN_S)

    async def action_quit(self) -> None:
        """Leave the app; ask first whether to stop the run if one is alive."""
        running = self._stack.own_run
        if self.live.alive and running is not None:
            running.ask_to_stop(then_leave=True)
        else:
            self._leave()

    def action_suspend(self) -> None:
        """Handle ctrl+z: the shell comes back, and training goes on."""
        terminal = self._terminal
        if terminal is not None and terminal.tether is not None and terminal.driver is not None:
            terminal.driver.rest()
        else:
            self.notify("there is no shell to return to")

    def action_help(self) -> None:
        from tui_trainer.ui.shared.help import HelpScreen

        if isinstance(self.screen, HelpScreen):
            self.screen.action_close()
        elif not isinstance(self.screen, SystemModalScreen):
            about = getattr(self.screen, "ABOUT", "")
            keys = KeyTable(self._keymap_of_user).of_places(getattr(self.screen, "PARTS", ()))
            self.push_screen(HelpScreen(self.screen.active_bindings, about, keys))

    def action_palette(self) -> None:
        self.action_command_palette()

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Yield every action that can be taken now, and the themes."""
        yield from KeyTable(self._keymap_of_user).commands(screen)
        yield SystemCommand("Change the theme", "Colours, light or dark", self.action_change_theme)
