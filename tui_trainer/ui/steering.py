"""`RunCommands`: sends the run screen's commands, and says at once what was asked for.

Layer: ui. What the run makes of a command is told by its events.
"""

from __future__ import annotations

from collections.abc import Callable

from tui_trainer.runs.commands import COMMANDS, Command, Pause, Resume, Stop
from tui_trainer.runs.events import CommandApplied, Event
from tui_trainer.sessions.session import Session
from tui_trainer.ui.screens.stop import Answer
from tui_trainer.ui.widgets.standing import Standing


class RunCommands:
    """Sends the commands of a screen, and calls `asked` with a few words on each."""

    def __init__(self, session: Session, standing: Standing, asked: Callable[[str], None]) -> None:
        self._session = session
        self._standing = standing
        self._asked = asked
        self._unanswered: set[str] = set()

    def add(self, event: Event) -> None:
        """Take the run's answer to a command."""
        if isinstance(event, CommandApplied):
            self._unanswered.discard(event.id)

    @property
    def awaits_answer(self) -> bool:
        """Whether the run has yet to say what became of a command that was sent from here."""
        return bool(self._unanswered or self._standing.wish)

    @property
    def is_resuming(self) -> bool:
        """Whether the run was asked to go on, and has not said that it does."""
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
        """Pause, or take a pause back."""
        if self.is_pausing:
            self._standing.wish = "resuming"
            self.send(Resume())
        else:
            self._standing.wish = "pausing"
            self.send(Pause())

    def offload(self) -> None:
        """Pause, and give the device's memory back meanwhile; refused in a pause."""
        if not self.is_pausing:
            self._standing.wish = "pausing"
        self.send(Pause(offload=True))

    def stop(self, answer: Answer) -> None:
        """Stop as the dialog was answered; nothing to do for `keep`."""
        if answer == "keep":
            return
        self._standing.wish = "stopping"
        self.send(Stop(save=answer == "save"))

    def send_word(self, word: str) -> None:
        """Send a command that needs nothing but its word."""
        self.send(COMMANDS[word]())

    def send(self, command: Command) -> None:
        """Send a command, and say at once that it was asked for."""
        self._unanswered.add(command.id)
        self._session.send(command)
        self._asked(command.request)
