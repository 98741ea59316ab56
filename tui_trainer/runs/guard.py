"""`GuardedFiles`: what a run writes, for as long as it is this process that may write it.

Layer: runs. Where file systems have no flock, or forget it, a process that was believed dead can
come back when another has taken its run over: it finds that out before its next write.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.files import Files
from tui_trainer.runs.lock import RunLock

FRESH_S = 0.05
"""For so long a look at the lock counts, where many pieces are written one after the other."""


class GuardedFiles(Files):
    """Raises OSError (ESTALE) instead of writing, once the lock is another's."""

    def __init__(self, lock: RunLock) -> None:
        self._lock = lock
        self._looked_at_s = -FRESH_S

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_at_s < FRESH_S:
            return
        if by := self._lock.taken_by():
            raise OSError(errno.ESTALE, f"{by} has taken the run over")
        self._looked_at_s = now_s

    def open_new(self, path: Path) -> BinaryIO:
        self._look()
        return super().open_new(path)

    def open_append(self, path: Path) -> int:
        self._look()
        return super().open_append(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._look()
        return super().write(descriptor, data)

    def truncate(self, descriptor: int, length: int) -> None:
        self._look()
        super().truncate(descriptor, length)

    def replace(self, source: Path, target: Path) -> None:
        self._look()
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._look()
        super().unlink(path)

    def mkdir(self, path: Path) -> None:
        self._look()
        super().mkdir(path)
