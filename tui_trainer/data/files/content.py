"""`Content`: the bytes of a data file, in memory, or on the disk if they are many.

Layer: data. A large file is read piece by piece and never mapped: pages of a map count as memory of
the process, and a map of a file that shrinks kills it.
"""

from __future__ import annotations

import io
import os
import weakref
from collections.abc import Iterator
from typing import Protocol

from tui_trainer.text.errors import BadInput

PIECE_BYTES = 4 << 20


class Content(Protocol):
    """Bytes that are read by slices."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class StoredContent:
    """The bytes of an open file, as long as it does not change; `name` is for messages."""

    def __init__(self, path: str, name: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        weakref.finalize(self, os.close, descriptor)
        status = os.fstat(descriptor)
        self._descriptor = descriptor
        self._name = name
        self._size = status.st_size
        self._state = (status.st_size, status.st_mtime_ns)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice, /) -> bytes:
        """Return some bytes; BadInput if the file has become shorter, OSError if it is damaged."""
        start, stop, _ = part.indices(self._size)
        pieces = []
        while start < stop:
            piece = os.pread(self._descriptor, stop - start, start)
            if not piece:
                raise self._changed()
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def check_unchanged(self) -> None:
        """Raise BadInput if the file was written to since it was opened."""
        status = os.fstat(self._descriptor)
        if (status.st_size, status.st_mtime_ns) != self._state:
            raise self._changed()

    def _changed(self) -> BadInput:
        return BadInput(f"{self._name}: changed while it was read; wait until it is complete")


def check_unchanged(content: Content) -> None:
    """Raise BadInput if a file was written to while it was read."""
    if isinstance(content, StoredContent):
        content.check_unchanged()


def pieces(content: Content) -> Iterator[bytes]:
    """Yield all bytes, a few megabytes at a time."""
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]


class _Stream(io.RawIOBase):
    """The bytes of a content as a file."""

    def __init__(self, content: Content, at: int) -> None:
        self._content = content
        self._at = at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        starts = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}
        self._at = max(0, starts[whence] + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece = self._content[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def open_stream(content: Content, at: int = 0) -> io.BufferedReader:
    """Return a content as an open file, from a byte on."""
    return io.BufferedReader(_Stream(content, at), 1 << 16)


def decoded_lines(content: Content, at: int = 0) -> Iterator[str]:
    """Yield the lines of UTF-8 text from a byte on, with their line breaks, as they are asked for.

    A mark of the byte order is no part of the first line.
    """
    encoding = "utf-8" if at else "utf-8-sig"
    return io.TextIOWrapper(open_stream(content, at), encoding=encoding, newline="")
