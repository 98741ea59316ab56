"""A live run of the small program, which counts steps in a thread of its own."""

from __future__ import annotations

import threading
import time

from tests.ui.fakes import FakeSession
from tui_trainer.runs.commands import Command, Stop
from tui_trainer.runs.events import RunEnded, StateChanged


class CountingSession(FakeSession):
    """Counts steps until it is stopped or its time is over."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.steps = 0
        self._seconds = seconds
        self._stopped = threading.Event()
        self._signal: int | None = None
        self._thread = threading.Thread(target=self._work, name="trainer")

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def send(self, command: Command) -> None:
        super().send(command)
        self.push(StateChanged(self.steps, "stopping", command.origin))
        if isinstance(command, Stop):
            self._signal = command.signal
            self._stopped.set()

    def wait(self, timeout_s: float) -> bool:
        return self._stopped.wait(timeout_s)

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive() and self._thread.ident is not None

    @property
    def exit_code(self) -> int:
        return 0 if self._signal is None else 128 + self._signal

    def _work(self) -> None:
        until_s = time.monotonic() + self._seconds
        while not self._stopped.wait(0.002) and time.monotonic() < until_s:
            self.steps += 1
        self.push(RunEnded(self.steps, "stopped", "", 1, "", 0.0, self.exit_code))
