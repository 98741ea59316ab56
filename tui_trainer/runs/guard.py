"""`GuardedFiles`: writes a run's files only as long as this process holds its lock.

Layer: runs. Where a file system has no flock, or loses it, a process that was believed dead may
come back after another one has taken its run over. It finds that out before its next write.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.files import Files
from tui_trainer.runs.lock import RunLock

FRESH_S = 0.05
"""How long a check of the lock counts, when many pieces are written one after another."""


class GuardedFiles(Files):
    """Raises OSError (ESTALE) instead of writing once another process has the lock."""

    def __init__(self, lock: RunLock) -> None:
        self._lock = lock
        self._looked_at_s = -FRESH_S

    def _look(self) -> None:
        now_s = time.monotonic()
        # A checkpoint is written in many pieces, and every check reads the lock file.
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
