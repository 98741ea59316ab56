"""`copy_bytes`: copies much memory in several threads at once.

Layer: training. One thread uses half of what the memory of a small machine can do, and less of that
of a large one.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable
from threading import Thread

import numpy as np
from numpy.typing import NDArray

from tui_trainer.machine.devices import cpu_count

Bytes = NDArray[np.uint8]

_LEAST_BYTES = 1 << 24
"""What is less is copied before another thread has begun."""
_PIECE_BYTES = 1 << 26
_MOST_THREADS = 4


def copy_bytes(pairs: Iterable[tuple[Bytes, Bytes]]) -> None:
    """Copy into the first of each pair what is in the second; all is there at the return."""
    pieces = [piece for target, source in pairs for piece in _pieces(target, source)]
    if sum(target.nbytes for target, _ in pieces) < _LEAST_BYTES:
        _copy(pieces)
        return
    # Each thread takes the next piece, so that one which the system lets wait holds up little.
    waiting, copied = deque(pieces), deque[None]()
    helpers = [
        Thread(target=_copy_waiting, args=(waiting, copied), name="copies")
        for _ in range(min(cpu_count(), _MOST_THREADS, len(pieces)) - 1)
    ]
    begun = []
    # No thread begins while the process ends, nor where too many run.
    with contextlib.suppress(RuntimeError):
        for helper in helpers:
            helper.start()
            begun.append(helper)
    _copy_waiting(waiting, copied)
    for helper in begun:
        helper.join()
    if len(copied) < len(pieces):
        # A thread has failed, and nobody knows at which piece.
        _copy(pieces)


def _copy(pieces: Iterable[tuple[Bytes, Bytes]]) -> None:
    # A plain copy of the bytes, during which other threads run.
    for target, source in pieces:
        np.copyto(target, source)


def _copy_waiting(waiting: deque[tuple[Bytes, Bytes]], copied: deque[None]) -> None:
    """Copy pieces until none waits any more, and count them."""
    # Another thread may take the last one at any time.
    with contextlib.suppress(IndexError):
        while True:
            _copy([waiting.popleft()])
            copied.append(None)


def _pieces(target: Bytes, source: Bytes) -> Iterable[tuple[Bytes, Bytes]]:
    for start in range(0, len(target), _PIECE_BYTES):
        yield target[start : start + _PIECE_BYTES], source[start : start + _PIECE_BYTES]
