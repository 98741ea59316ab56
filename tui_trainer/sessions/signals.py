"""Turns signals into commands: stop and save, save now, continue without a terminal.

Layer: sessions. A handler runs in the main thread between any two bytecodes, perhaps while a lock
of ours is held, so it only notes the signal; `deliver`, called by the main loop, sends the command.
Signals within a second of each other are one request: a shell, a scheduler and a launcher may each
send one. The meaning of SIGHUP, SIGUSR1 and SIGUSR2 is a setting of the run, so they wait until it
is known.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Protocol

from tui_trainer.runs.commands import Command, Save, Stop

if TYPE_CHECKING:
    from tui_trainer.config.sections.training import TrainingSection


ONE_REQUEST_S = 1.0

_STOPS = (signal.SIGINT, signal.SIGTERM)

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class Receiver(Protocol):
    """The receiver of commands: a session, or an object that knows the session that is alive."""

    @property
    def settings(self) -> TrainingSection | None:
        """The settings the run was started with; None until they are known."""
        ...

    def send(self, command: Command) -> None: ...


def leave_at_once(code: int) -> None:
    """End the process without cleaning up; what has been published stays."""
    os._exit(code)


class _ReplacedHandlers:
    """Puts back, at its end, the signal handlers that `_replace` has replaced."""

    def __init__(self) -> None:
        self._before: dict[int, _Handler] = {}

    def _replace(self, number: int, handler: _Handler) -> None:
        self._before[number] = signal.signal(number, handler)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


class SignalHandler(_ReplacedHandlers):
    """A context manager that turns the process's signals into commands for a session."""

    def __init__(
        self,
        session: Receiver,
        *,
        leave: Callable[[int], None] = leave_at_once,
        hung_up: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._session = session
        self._leave = leave
        self._hung_up = hung_up
        self._clock = clock
        self._asked_at_s: float | None = None
        self._interrupted = False
        self._noted: deque[int] = deque()
        self._noted_at_s: dict[int, float] = {}
        self._has_hung_up = False

    def __enter__(self) -> SignalHandler:
        handlers = {
            signal.SIGINT: self.on_stop,
            signal.SIGTERM: self.on_stop,
            signal.SIGHUP: lambda *_: self.hang_up(),
            signal.SIGUSR1: self.on_other,
            signal.SIGUSR2: self.on_other,
        }
        for number, handler in handlers.items():
            self._replace(number, handler)
        return self

    def deliver(self) -> None:
        """Send the session the commands for the noted signals; the main loop calls this often."""
        waiting: list[int] = []
        while self._noted:
            number = self._noted.popleft()
            settings = self._session.settings
            if number in _STOPS:
                self._session.send(_stop(number))
            elif settings is None:
                waiting.append(number)
            elif (command := _meaning(number, settings)) is not None:
                self._session.send(command)
        self._noted.extendleft(reversed(waiting))

    def hang_up(self) -> None:
        """Note that the terminal is gone, by a signal or because it is unreadable; once only."""
        self._hung_up()
        if not self._has_hung_up:
            self._has_hung_up = True
            self._noted.append(signal.SIGHUP)

    def on_other(self, number: int, frame: FrameType | None = None) -> None:
        """Note a signal whose meaning is a setting."""
        now_s = self._clock()
        if now_s - self._noted_at_s.get(number, -ONE_REQUEST_S) >= ONE_REQUEST_S:
            self._noted_at_s[number] = now_s
            self._noted.append(number)

    def on_stop(self, number: int, frame: FrameType | None = None) -> None:
        """Ask for stop and save at the first signal; later, SIGINT exits, SIGTERM does not."""
        now_s = self._clock()
        before_s = self._asked_at_s
        interrupted = self._interrupted
        self._interrupted = interrupted or number == signal.SIGINT
        if before_s is not None and now_s - before_s <= ONE_REQUEST_S:
            return
        self._asked_at_s = now_s
        if before_s is None:
            self._noted.append(number)
        elif interrupted and number == signal.SIGINT:
            self._leave(128 + number)


def _stop(number: int) -> Stop:
    return Stop(origin=signal.Signals(number).name, signal=number)


def _meaning(number: int, settings: TrainingSection) -> Command | None:
    """Return the command that a signal means under these settings, or None."""
    name = signal.Signals(number).name
    if name in settings.preempt_signals:
        return _stop(number)
    if number == signal.SIGHUP and settings.on_hangup == "save-and-stop":
        return _stop(number)
    return Save(origin=name) if number == signal.SIGUSR1 else None


class InterruptFlag(_ReplacedHandlers):
    """Notes an interrupt, for programs that only watch; a context manager.

    The caller looks at `is_asked` and ends. Nothing is raised from the handler: an exception while
    a lock is being acquired leaves it locked, and one inside a callback of the interpreter, such as
    a finalizer, is printed and forgotten. A second interrupt ends the process, which has nothing to
    save.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = False

    def __enter__(self) -> InterruptFlag:
        for number in self._SIGNALS:
            self._replace(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        for handled in self._SIGNALS:
            signal.signal(handled, signal.SIG_DFL)
