"""`Control`: the one object that the loop looks at for commands, and that everybody sends to.

Layer: runs. `send` may be called from any thread and from a signal handler of the main thread; it
never blocks. `pending` is a plain attribute, because the loop reads it at every step.
"""

from __future__ import annotations

import threading
from collections import deque

from tui_trainer.runs.commands import Command, Stop, name_of
from tui_trainer.runs.events import CommandApplied


class Control:
    """A queue of commands with a bell."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()
        self._bell = threading.Event()
        self.pending = False
        self.stop_asked = False

    def send(self, command: Command) -> None:
        """Hand a command to the loop, which obeys at the next step border."""
        self._commands.append(command)
        if isinstance(command, Stop):
            self.stop_asked = True
        self.pending = True
        self._bell.set()

    def take(self) -> Command | None:
        """The oldest command, or None. Only the loop calls this."""
        # Cleared before looking: a command that arrives in between sets it again.
        self.pending = False
        self._bell.clear()
        try:
            command = self._commands.popleft()
        except IndexError:
            return None
        if self._commands:
            self.pending = True
            self._bell.set()
        return command

    def wait(self, timeout_s: float) -> bool:
        """Wait until there is a command; False when the time is over."""
        return self._bell.wait(timeout_s)


def applied(command: Command, step: int, refused: str = "") -> CommandApplied:
    """The event that answers a command: it took effect at a step, or why it was refused."""
    return CommandApplied(step, command.id, name_of(command), command.origin, refused)
