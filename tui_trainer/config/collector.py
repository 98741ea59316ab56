"""Spares Python's collector of garbage in cycles the work that finds nothing.

Layer: config. An import makes objects by the hundred thousand and no garbage, but the collector
looks through all of them again and again, and once more at the end of the process. With torch that
is a quarter of a short command.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect no garbage meanwhile, in any thread."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Pause the collector for imports; it never looks at anything again that is there afterwards.

    What is imported stays for the life of the process.
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
    # Runs after `spare_last_collection`, and takes back what `importing` has left out as well.
    atexit.register(gc.unfreeze)
