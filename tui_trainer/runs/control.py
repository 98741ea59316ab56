"""`Control`: the queue of commands that the loop reads, and the only way to send it one.

Layer: runs. `send` may be called from any thread and from a signal handler in the main thread; it
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
        # Never cleared: whatever takes long, such as a wait for workers, ends early because of it.
        self.stop_asked = False

    def send(self, command: Command) -> None:
        """Hand a command to the loop, which executes it at the next step border."""
        # Queued before `pending` is set: the loop, in another thread, must find it when it looks.
        self._commands.append(command)
        if isinstance(command, Stop):
            self.stop_asked = True
        self.pending = True
        self._bell.set()

    def take(self) -> Command | None:
        """Return the oldest command, or None. Only the loop calls this."""
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
        """Wait for a command; False when the time is over."""
        return self._bell.wait(timeout_s)


def applied(
    command: Command, step: int, refused: str = "", *, can_force: bool = False
) -> CommandApplied:
    """Return the event that answers a command: applied at a step, or refused with a reason."""
    name = name_of(command)
    return CommandApplied(step, command.id, name, command.origin, refused, can_force)
