"""Signals as commands: stop and save, save now, go on without a terminal.

Layer: sessions. A handler runs in the main thread between any two bytecodes, perhaps inside a lock
of ours, so it only notes the command; `deliver`, called by the main loop, hands it over. Signals
within a second of each other are one request: a shell, a scheduler and a launcher may each send
one.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Protocol

from tui_trainer.runs.commands import Command, Save, Stop

ONE_REQUEST_S = 1.0

_Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None


class Receiver(Protocol):
    """Who obeys: a session, or who knows the one that lives."""

    def send(self, command: Command) -> None: ...


def leave_at_once(code: int) -> None:
    """End the process without cleaning up; what was published stays."""
    os._exit(code)


class SignalDesk:
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
        self._noted: deque[Command] = deque()

    def __enter__(self) -> SignalDesk:
        handlers = {
            signal.SIGINT: self.on_stop,
            signal.SIGTERM: self.on_stop,
            signal.SIGHUP: lambda *_: self._hung_up(),
            signal.SIGUSR1: lambda *_: self._noted.append(Save(origin="SIGUSR1")),
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
        while self._noted:
            self._session.send(self._noted.popleft())

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
            self._noted.append(Stop(origin=signal.Signals(number).name, signal=number))
        elif interrupted and number == signal.SIGINT:
            self._leave(128 + number)
