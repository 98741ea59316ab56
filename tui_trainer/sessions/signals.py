"""Signals as commands: stop and save, save now, go on without a terminal.

Layer: sessions. A handler runs in the main thread between any two bytecodes, perhaps inside a lock
of ours, so it only notes the signal; `deliver`, called by the main loop, hands the command over.
Signals within a second of each other are one request: a shell, a scheduler and a launcher may each
send one. What SIGHUP, SIGUSR1 and SIGUSR2 mean is a setting of the run, so they wait for it.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from tui_trainer.runs.commands import Command, Save, Stop

if TYPE_CHECKING:
    from tui_trainer.config.sections.training import TrainingSection


ONE_REQUEST_S = 1.0

_STOPS = (signal.SIGINT, signal.SIGTERM)

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class Receiver(Protocol):
    """Who obeys: a session, or who knows the one that lives."""

    @property
    def settings(self) -> TrainingSection | None:
        """What the run was started with; None until that is known."""
        ...

    def send(self, command: Command) -> None: ...


def leave_at_once(code: int) -> None:
    """End the process without cleaning up; what was published stays."""
    os._exit(code)


class SignalHandler:
    """A context manager that turns the process's signals into commands for a session."""

    def __init__(
        self,
        session: Receiver,
        *,
        leave: Callable[[int], None] = leave_at_once,
        hung_up: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._leave = leave
        self._hung_up = hung_up
        self._clock = clock
        self._asked_at_s: float | None = None
        self._interrupted = False
        self._before: dict[int, _Handler] = {}
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
            self._before[number] = signal.signal(number, handler)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def deliver(self) -> None:
        """Send the session what the handlers noted; the main loop calls this often."""
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
        """The terminal is gone, by a signal or because it cannot be read; told once."""
        self._hung_up()
        if not self._has_hung_up:
            self._has_hung_up = True
            self._noted.append(signal.SIGHUP)

    def on_other(self, number: int, frame: FrameType | None = None) -> None:
        """Note what a setting gives its meaning."""
        now_s = self._clock()
        if now_s - self._noted_at_s.get(number, -ONE_REQUEST_S) >= ONE_REQUEST_S:
            self._noted_at_s[number] = now_s
            self._noted.append(number)

    def on_stop(self, number: int, frame: FrameType | None = None) -> None:
        """The first asks for stop and save; a later SIGINT leaves at once; SIGTERM never does."""
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
    """What a signal asks a run for that was started with these settings."""
    name = signal.Signals(number).name
    if name in settings.preempt_signals:
        return _stop(number)
    if number == signal.SIGHUP and settings.on_hangup == "save-and-stop":
        return _stop(number)
    return Save(origin=name) if number == signal.SIGUSR1 else None


# `InterruptFlag`: an interrupt ends what only watches, at the next look.
#
# Nothing is raised out of a handler: an exception that meets a lock being taken leaves it taken,
# and one inside of what Python calls by itself is printed and forgotten.


class InterruptFlag:
    """A context manager; the second interrupt ends the process, which has nothing to save."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> InterruptFlag:
        for number in self._SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.is_asked = True
        for one in self._SIGNALS:
            signal.signal(one, signal.SIG_DFL)
