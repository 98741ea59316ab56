"""`RunCommands`: sends the run screen's commands. Also its dialogs and its toasts.

Layer: ui. Sending a command says only that it was asked for; events say what the run made of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.notifications import SeverityLevel
from textual.screen import Screen

from tui_trainer.config.keys import actions_of
from tui_trainer.runs.commands import COMMANDS, Command, Pause, Resume, Stop
from tui_trainer.runs.events import CommandApplied, Event
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.session import Session
from tui_trainer.sessions.startup import CANCELLABLE
from tui_trainer.ui.run.edit_dialog import EditDialog
from tui_trainer.ui.run.metrics_panel import SavedProgress
from tui_trainer.ui.run.state_label import StateLabel
from tui_trainer.ui.run.stop_dialog import Answer, StopDialog


class RunCommands:
    """Sends the commands of a screen, and calls `asked` with a short text for each."""

    def __init__(
        self, session: Session, standing: StateLabel, asked: Callable[[str], None]
    ) -> None:
        self._session = session
        self._standing = standing
        self._asked = asked
        self._unanswered: set[str] = set()

    def add(self, event: Event) -> None:
        """Note the run's answer to a command."""
        if isinstance(event, CommandApplied):
            self._unanswered.discard(event.id)

    @property
    def awaits_answer(self) -> bool:
        """Whether the run has yet to answer a command that was sent from here."""
        return bool(self._unanswered or self._standing.wish)

    @property
    def is_resuming(self) -> bool:
        """Whether the run was asked to resume and has not reported that it did."""
        return self._standing.wish == "resuming"

    @property
    def is_pausing(self) -> bool:
        """Whether the run is paused or about to be."""
        return self._standing.is_pausing(self._session.view)

    @property
    def is_stopping(self) -> bool:
        """Whether the run was asked to stop."""
        return self._standing.wish == "stopping" or self._session.view.state == "stopping"

    def pause_or_resume(self) -> None:
        """Pause, or resume if the run is paused or about to be."""
        if self.is_pausing:
            self._standing.wish = "resuming"
            self.send(Resume())
        else:
            self._standing.wish = "pausing"
            self.send(Pause())

    def offload(self) -> None:
        """Pause and free the device's memory meanwhile; the run refuses it during a pause."""
        if not self.is_pausing:
            self._standing.wish = "pausing"
        self.send(Pause(offload=True))

    def skip_test(self) -> None:
        """Ask the run to skip the rest of its test."""
        if not self.is_stopping:
            self._standing.wish = "stopping"
            self.send(Stop(), "skip the rest of the test")

    def stop(self, answer: Answer) -> None:
        """Stop the run as the dialog was answered; do nothing for `keep`."""
        if answer == "keep":
            return
        self._standing.wish = "stopping"
        self.send(Stop(save=answer == "save"))

    def send_word(self, word: str) -> None:
        """Send a command that has no arguments."""
        self.send(COMMANDS[word]())

    def send(self, command: Command, request: str = "") -> None:
        """Send a command, and report at once that it was asked for, in these words or its own."""
        self._unanswered.add(command.id)
        self._session.send(command)
        self._asked(request or command.request)


# Why an action of the run screen is unavailable, in words. The same answer hides its key from the
# footer and is shown when the key is pressed anyway.


_FLAGS = {flag.name for kind in COMMANDS.values() for flag in kind.flags}
_SENDING = {it.name for it in actions_of("run") if it.name in {*COMMANDS, *_FLAGS}}
LIVE_ONLY = frozenset({*_SENDING, "edit", "detach"})
"""Actions that need a live run: those that send a command, editing, and detaching."""
_BEFORE_STEPS = frozenset({"stop", "detach"})
"""Those of them that work while the run is being prepared."""
_TRAINING_ONLY = LIVE_ONLY - {"stop", "detach"}
"""Actions that need a run with steps to come."""


def unavailable_reason(action: str, view: RunView, *, is_over: bool) -> str:
    """Return why `action` is unavailable, or an empty string."""
    if is_over and action in LIVE_ONLY:
        return f"the run has ended: {view.state}"
    if view.stage in CANCELLABLE and action in LIVE_ONLY - _BEFORE_STEPS:
        return "the run is only starting; this key works from its first step on"
    if view.state == "testing" and action in _TRAINING_ONLY:
        return "all steps are done and saved, and the test is under way; s skips the rest of it"
    if action == "offload" and view.model.device.startswith("cpu"):
        return "this run is on the CPU, so there is no GPU memory to free; p pauses it"
    return ""


# The dialogs in which the run screen asks how to stop and what to change. Their texts are kept up
# to date while they are open; they decide nothing themselves.


class RunDialogs:
    """Opens the dialogs of a run over its screen; `toasts` say why one does not open.

    `detach` leaves the run training without the app; None if that is impossible.
    """

    def __init__(
        self,
        screen: Screen[Any],
        session: Session,
        commands: RunCommands,
        safety: SavedProgress,
        toasts: Toasts,
        detach: Callable[[], None] | None = None,
    ) -> None:
        self._screen = screen
        self._session = session
        self._commands = commands
        self._safety = safety
        self._toasts = toasts
        self._detach = detach
        self._opened: list[StopDialog | EditDialog] = []
        self.leaving = False
        """Whether to leave the app as soon as the run has ended."""

    @property
    def dialogs(self) -> list[StopDialog | EditDialog]:
        """The open dialogs of this screen; those of a run whose screen is below do not count."""
        stack = self._screen.app.screen_stack
        self._opened = [it for it in self._opened if it in stack]
        return self._opened

    def look(self) -> None:
        """Bring the open dialogs up to date."""
        for dialog in self.dialogs:
            dialog.look(self._session.view, self._session.experiment)

    def refuse(self, event: CommandApplied) -> bool:
        """Show next to its field why the run refused a value; False if no field is open for it."""
        editing = [it for it in self.dialogs if isinstance(it, EditDialog)]
        return any(dialog.refuse(event) for dialog in editing)

    def edit(self) -> None:
        """Open the dialog for changing live settings."""
        if (experiment := self._session.experiment) is None:
            text = "the run has not started yet"
            self._toasts.tell(text, holds=lambda: self._session.experiment is None)
        else:
            dialog = EditDialog(experiment, self._commands.send)
            self._screen.app.push_screen(dialog)
            self._opened.append(dialog)

    def stop(self, *, then_leave: bool) -> None:
        """Ask how to stop a live run."""
        if self._commands.is_stopping:
            self.leaving |= then_leave
            text = "it is already stopping" + (", then the app closes" if then_leave else "")
            self._toasts.tell(text, holds=lambda: not self._session.view.ended)
        elif not any(isinstance(dialog, StopDialog) for dialog in self.dialogs):
            goes_on = self._commands.is_resuming
            view = self._session.view
            dialog = StopDialog(
                view,
                self._safety,
                goes_on=goes_on,
                then_leave=then_leave,
                can_detach=self._detach is not None,
            )
            self._screen.app.push_screen(dialog, partial(self._stop, then_leave=then_leave))
            self._opened.append(dialog)

    def _stop(self, answer: Answer | None, *, then_leave: bool) -> None:
        if answer == "detach" and self._detach is not None:
            self._detach()
        elif answer in ("save", "discard") and not self._session.view.ended:
            self.leaving = then_leave
            self._commands.stop(answer)


# Short messages over the screen. A text is not repeated while it is still shown: a key that is held
# down would otherwise cover the screen with copies of it.


TOAST_S = 5.0


class Toasts:
    """The notifications of one screen."""

    def __init__(self, screen: Screen[Any]) -> None:
        self._screen = screen
        self._coming: set[str] = set()
        """The texts that are about to be shown."""
        self._conditions: dict[str, Callable[[], bool]] = {}
        """Whether a text still holds, by the text."""

    def tell(
        self, text: str, *, warn: bool = False, holds: Callable[[], bool] | None = None
    ) -> None:
        """Notify, unless the same text is still shown.

        The message of a state has `holds`, and goes when that is no longer true: see `refresh`.
        """
        shown = {notification.message for notification in self._screen.app._notifications}
        if text in shown | self._coming:
            return
        self._coming.add(text)
        self._conditions.pop(text, None)
        if holds is not None:
            self._conditions[text] = holds
        severity: SeverityLevel = "warning" if warn else "information"
        self._screen.notify(text, severity=severity, markup=False, timeout=TOAST_S)
        # After the app has taken the message in.
        self._screen.app.call_later(self._forget, text)

    def refresh(self) -> None:
        """Remove the messages that no longer hold."""
        outdated = {text for text, holds in self._conditions.items() if not holds()}
        for text in outdated:
            del self._conditions[text]
        app = self._screen.app
        for notification in list(app._notifications):
            if notification.message in outdated:
                app._unnotify(notification)

    def _forget(self, text: str) -> None:
        self._coming.discard(text)
