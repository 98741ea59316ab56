"""`Leaving`: an interrupt ends what only watches, at the next look.

Layer: headless. Nothing is raised out of a handler: an exception that meets a lock being taken
leaves it taken, and one inside of what Python calls by itself is printed and forgotten.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Leaving:
    """A context manager; the second interrupt ends the process, which has nothing to save."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.is_asked = False
        self._before: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Leaving:
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
