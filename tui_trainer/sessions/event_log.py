"""`EventLog`: the newest events of a run, for readers that each keep their own place in it.

Layer: sessions. One thread appends, any thread reads. Old events are dropped, so that a long run
does not fill the memory; a reader that has fallen behind continues with the oldest one left.
"""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice

from tui_trainer.runs.events import Event, StepsTaken

KEPT_EVENTS = 20_000
KEPT_STEPS = 200_000
"""The most steps whose numbers are kept with the events: about 50 MB, however long the run."""


class EventLog:
    """A bounded list of events, read with a cursor."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._appended = 0
        self._kept_steps = 0
        self._lock = threading.Lock()
        self._news = threading.Event()

    def append(self, *events: Event) -> None:
        """Add events in their order and wake waiting readers, even when there are none to add."""
        with self._lock:
            for event in events:
                if len(self._events) == KEPT_EVENTS:
                    self._drop_oldest()
                self._events.append(event)
                self._appended += 1
                self._kept_steps += _steps_in(event)
                while self._kept_steps > KEPT_STEPS and len(self._events) > 1:
                    self._drop_oldest()
        self._news.set()

    def since(self, cursor: int) -> tuple[list[Event], int]:
        """Return the events after a cursor (0: all that are kept), and the next cursor."""
        with self._lock:
            # Cleared under the lock: an append that comes later sets it again.
            self._news.clear()
            oldest = self._appended - len(self._events)
            count = self._appended - max(cursor, oldest)
            # Copied from the newest end, so that the cost does not grow with the length of the log.
            newest = list(islice(reversed(self._events), count)) if count > 0 else []
            return newest[::-1], self._appended

    def newest_steps(self) -> StepsTaken | None:
        """Return the newest report of steps, or None before the first."""
        with self._lock:
            reports = (event for event in reversed(self._events) if isinstance(event, StepsTaken))
            return next(reports, None)

    def wait(self, timeout_s: float) -> bool:
        """Wait for events that `since` has not returned; False when the time is over."""
        return self._news.wait(timeout_s)

    def _drop_oldest(self) -> None:
        self._kept_steps -= _steps_in(self._events.popleft())


def _steps_in(event: Event) -> int:
    return len(event.losses) if isinstance(event, StepsTaken) else 0
