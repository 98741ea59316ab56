"""What programs print into a run's output.log, which is no place for a flood.

Layer: runs.
"""

from __future__ import annotations

import contextlib
import os

FILE_LIMIT = 16 * 2**20
"""Bytes that one process puts into output.log files."""
CUT = b"\n(more was printed, not kept)\n"
"""How a file ends that has got that much."""


class OutputLimit:
    """Keeps a file that descriptors of this process and its children append to below a size.

    The size is counted from where the file ends now. What is printed goes straight into the file,
    so that the last words of a process that dies are there; what is too much is cut off again, at
    each `look`.
    """

    def __init__(self, descriptor: int, limit: int = FILE_LIMIT) -> None:
        self._descriptor = descriptor
        self._end = os.fstat(descriptor).st_size + limit
        self._allowed = self._end

    def look(self) -> None:
        """Cut off what is too much, and say so there."""
        with contextlib.suppress(OSError):
            if os.fstat(self._descriptor).st_size > self._allowed:
                os.ftruncate(self._descriptor, self._end)
                os.write(self._descriptor, CUT)
                self._allowed = self._end + len(CUT)
