"""Keeps Python's garbage collector from searching where it finds nothing.

Layer: config. An import makes objects by the hundred thousand and no garbage, but the collector
looks through all of them again and again, and once more at the end of the process. With torch that
is a quarter of a short command.
"""

from __future__ import annotations

import atexit
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pauses:
    """The pauses that are under way, in all threads: the last to end turns the collector on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._was_enabled = False
        """Whether the collector was on before the first of them."""

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._was_enabled = gc.isenabled()
            self._count += 1
            gc.disable()

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count and self._was_enabled:
                gc.enable()


_PAUSES = _Pauses()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect no garbage meanwhile, in any thread."""
    _PAUSES.begin()
    try:
        yield
    finally:
        _PAUSES.end()


@contextmanager
def permanent_objects() -> Iterator[None]:
    """Pause the collector while objects are made that stay for the life of the process.

    Imported modules do, and the first screens of the app. The collector never looks at anything
    again that is there afterwards.
    """
    with collector_paused():
        try:
            yield
        finally:
            gc.freeze()


def spare_last_collection() -> None:
    """Have the interpreter collect nothing as it ends; called last of all.

    The program closes its own files, and the system takes the memory back.
    """
    gc.freeze()


def insist_on_last_collection() -> None:
    """Have it collect all the same, as code was loaded whose open files may be in cycles."""
    # Runs after `spare_last_collection`; takes back what `permanent_objects` has left out as well.
    atexit.register(gc.unfreeze)
