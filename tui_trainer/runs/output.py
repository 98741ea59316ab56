"""Limits the size of a run's output.log.

Layer: runs. A program that prints without end must not fill the disk.
"""

from __future__ import annotations

import contextlib
import os

FILE_LIMIT = 16 * 2**20
"""The most bytes that one process may print into output.log files."""
CUT = b"\n(more was printed, not kept)\n"
"""The end of a file that has reached the limit."""


class OutputLimit:
    """Keeps a file below a size, while this process and its children append to it.

    The limit counts from the present end of the file. Output goes straight into the file, so that
    the last words of a process that dies are there; `look` cuts off what exceeds the limit.
    """

    def __init__(self, descriptor: int, limit: int = FILE_LIMIT) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size + limit
        self._allowed = self._end

    def look(self) -> None:
        """Cut off what exceeds the limit, and note it in the file."""
        with contextlib.suppress(OSError):
            if os.fstat(self._descriptor).st_size > self._allowed:
                os.ftruncate(self._descriptor, self._end)
                os.write(self._descriptor, CUT)
                self._allowed = self._end + len(CUT)
