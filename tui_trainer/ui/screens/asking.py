"""`Asking`: what the run screen asks before it sends a command: how to stop, what to change.

Layer: ui. What the dialogs say is kept true while they are open; it decides nothing by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.screen import Screen

from tui_trainer.runs.events import CommandApplied
from tui_trainer.sessions.session import Session
from tui_trainer.ui.screens.edit import EditDialog
from tui_trainer.ui.screens.stop import Answer, StopDialog
from tui_trainer.ui.steering import RunCommands
from tui_trainer.ui.widgets.numbers import Safety


class Asking:
    """Opens the dialogs of a run over its screen; `tell` says why one does not open.

    `detach` leaves the run training without the app; None where that cannot be.
    """

    def __init__(
        self,
        screen: Screen[Any],
        session: Session,
        commands: RunCommands,
        safety: Safety,
        tell: Callable[[str], None],
        detach: Callable[[], None] | None = None,
    ) -> None:
        self._screen = screen
        self._session = session
        self._commands = commands
        self._safety = safety
        self._tell = tell
        self._detach = detach
        self._opened: list[StopDialog | EditDialog] = []
        self.leaving = False
        """Whether to leave as soon as the run has ended."""

    @property
    def dialogs(self) -> list[StopDialog | EditDialog]:
        """Those that are open; those of another run, whose screen is below, are not of them."""
        stack = self._screen.app.screen_stack
        self._opened = [it for it in self._opened if it in stack]
        return self._opened

    def look(self) -> None:
        """Bring what is open up to date."""
        for dialog in self.dialogs:
            dialog.look(self._session.view, self._session.experiment)

    def refuse(self, event: CommandApplied) -> None:
        """Show beside its field why the run did not take a value."""
        for dialog in self.dialogs:
            if isinstance(dialog, EditDialog):
                dialog.refuse(event.id, event.refused)

    def edit(self) -> None:
        """Ask for other values of live settings."""
        if (experiment := self._session.experiment) is None:
            self._tell("the run has not started yet")
        else:
            dialog = EditDialog(experiment, self._commands.send)
            self._screen.app.push_screen(dialog)
            self._opened.append(dialog)

    def stop(self, *, then_leave: bool) -> None:
        """Ask how a run that lives is to be stopped."""
        if self._commands.is_stopping:
            self.leaving |= then_leave
            self._tell("it is stopping already" + (", and leaves then" if then_leave else ""))
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
