"""`ReadProgress`: the progress of reading a large file, in words.

Layer: text. A reader tells it from any thread. The app looks at `progress_words`; a command without
the app has lines printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

from tui_trainer.text.format import size_text

FIRST_S = 0.8
"""A file that is read in less is not mentioned; after a second at the latest there is a line."""
EVERY_S = 5.0

_shown = {"words": ""}
_printers: list[Callable[[str], object]] = []


def progress_words() -> str:
    """Return what is being read, as `reading a.csv: 12 MB of 2.1 GB`; empty if nothing is."""
    return _shown["words"]


def print_progress(line: Callable[[str], object] | None) -> None:
    """Print a line every few seconds from now on by `line`; with None no more."""
    _printers[:] = [] if line is None else [line]


class ReadProgress:
    """The reading of one file, as a context manager; `name` is cleaned for messages."""

    def __init__(
        self, name: str, total_bytes: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._total_bytes = total_bytes
        self._clock = clock
        self._next_s = clock() + FIRST_S
        self._is_long = False

    def __enter__(self) -> ReadProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _shown["words"] = ""

    def reach(self, done_bytes: float) -> None:
        """Say that so many bytes have been read."""
        is_due = self._clock() >= self._next_s
        self._is_long = self._is_long or is_due
        if not self._is_long:
            return
        done, total = size_text(done_bytes), size_text(self._total_bytes)
        words = _shown["words"] = f"reading {self._name}: {done} of {total}"
        if is_due:
            self._next_s = self._clock() + EVERY_S
            for line in _printers:
                line(words)
