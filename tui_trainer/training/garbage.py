"""`frozen_garbage` and `Uncollected`: Python's garbage collection, kept out of the steps on a GPU.

Layer: training. A full collection takes a tenth of a second with torch and a terminal's widgets in
memory, and a GPU that gets no work meanwhile stands idle. On a CPU it makes no difference that can
be measured: a step leaves hardly anything to collect.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def frozen_garbage(device: torch.device) -> Iterator[None]:
    """Leave what is in memory at the start of a training on a GPU out of later collections."""
    # What others have frozen is not ours to release again.
    if device.type != "cuda" or gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Uncollected:
    """Inside this context nothing is collected, by no thread; what is due comes right after it.

    Can be entered again and again, but not while it is entered. It leaves a collection alone that
    is switched off already.
    """

    def __init__(self, device: torch.device) -> None:
        self._applies = device.type == "cuda"
        self._was_on = False

    def __enter__(self) -> None:
        if self._applies:
            self._was_on = gc.isenabled()
            gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._was_on:
            self._was_on = False
            gc.enable()
