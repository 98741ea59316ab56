"""`Journal`: a file of JSON lines that is only appended to, and never has half a line.

Layer: runs. Numbers that are not finite are written as null, so that every line is strict JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from tui_trainer.runs.files import Files
from tui_trainer.runs.paths import open_file
from tui_trainer.text.strict_json import strict_json

MOST_PENDING_BYTES = 64 * 2**20
_MOST_UNSYNCED_BYTES = 4 * 2**20
MOST_LINE_BYTES = 2**20
"""No run writes a longer line, and no reader accepts one."""


def encode(records: Sequence[dict[str, Any]]) -> bytes:
    """Encode the records as lines."""
    return "".join(map(_line, records)).encode()


def encode_line(record: dict[str, Any]) -> bytes:
    """Encode a record as a line; in a third of the time if it holds nothing but numbers."""
    if all(type(value) in (int, float) for value in record.values()):
        return encode_rows(list(record), [list(record.values())])
    return encode([record])


def _line(record: dict[str, Any]) -> str:
    return strict_json(record) + "\n"


def encode_rows(names: Sequence[str], rows: Sequence[Sequence[float]]) -> bytes:
    """Encode rows of numbers under the same names, to the bytes of `encode` in a third of the time.

    The numbers are Python's own, of exactly the types int and float.
    """
    form = _form_of(tuple(names))
    return "".join(
        form % tuple(row) if math.isfinite(sum(row)) else _line(dict(zip(names, row, strict=True)))
        for row in rows
    ).encode()


@lru_cache(maxsize=16)
def _form_of(names: tuple[str, ...]) -> str:
    fields = ", ".join(f"{strict_json(name)}: ".replace("%", "%%") + "%r" for name in names)
    return "{" + fields + "}\n"


class Journal:
    """Appends to one file; a write that fails leaves nothing behind and is tried again later.

    Thread-safe. Opening cuts off a torn end, left by a crash while writing. Offsets stay valid:
    blanks take the place of lines that had to be given up.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._files = files or Files()
        self._path = path
        self._lock = threading.Lock()
        self._pending = bytearray()
        self._unsynced = bytearray()
        self._gap_bytes = 0
        self._torn = False
        """Whether there may be half a line after `length`."""
        self.dropped_bytes = 0
        """The bytes given up because the disk took nothing for too long."""
        self.torn_bytes = 0
        """The bytes cut off when the file was opened."""
        self._named = False
        """Whether the file's name is known to be on the disk."""
        self._descriptor = -1
        self._open()

    @property
    def length(self) -> int:
        """The bytes of whole lines in the file."""
        return self._length

    def append(self, records: Sequence[dict[str, Any]]) -> None:
        """Append records as lines; on OSError the lines are kept for the next call."""
        if records:
            self.append_bytes(encode(records))
        elif self._pending:
            self.append_bytes(b"")

    def append_bytes(self, lines: bytes) -> None:
        """Append encoded lines; on OSError the lines are kept for the next call."""
        with self._lock:
            self._pending += lines
            self._give_up_oldest()
            self._flush()

    def sync(self) -> None:
        """Write what is pending and make the file durable.

        Raises:
            OSError: lines since the last sync may be lost. They are taken back and are pending
                again, because the kernel may forget them and let the next fsync succeed
                (https://lwn.net/Articles/752063).
        """
        with self._lock:
            self._flush()
            try:
                self._files.fsync(self._descriptor)
                if not self._named:
                    # A new file's name must not be lost with the power either.
                    self._files.fsync_directory(self._path.parent)
                    self._named = True
            except OSError:
                self._length -= len(self._unsynced)
                # In front, so that lines stay in their order.
                self._pending[:0] = self._unsynced
                self._torn = True
                with contextlib.suppress(OSError):
                    self._cut()
                raise
            finally:
                self._unsynced.clear()

    def reopen(self) -> None:
        """Open the file by its name again; on OSError the old one stays open."""
        with self._lock:
            old = self._descriptor
            self._open()
            os.close(old)

    def _open(self) -> None:
        descriptor = self._files.open_append(self._path)
        try:
            size = os.fstat(descriptor).st_size
            # A duplicate, because the file object closes its descriptor.
            with os.fdopen(os.dup(descriptor), "rb") as file:
                length = whole_length(file)
            if size > length:
                self._files.truncate(descriptor, length)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._length = descriptor, length
        self.torn_bytes = size - length
        self._torn = False
        self._named = size > 0
        self._unsynced.clear()

    def close(self) -> None:
        """Close the file; pending lines are lost."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _cut(self) -> None:
        if self._torn:
            self._files.truncate(self._descriptor, self._length)
            self._torn = False

    def _flush(self) -> None:
        # The rest of an earlier failure must go first, or the next line is glued to it.
        self._cut()
        blanks = b" " * (self._gap_bytes - 1) + b"\n" if self._gap_bytes else b""
        data = blanks + bytes(self._pending)
        if not data:
            return
        self._torn = True
        try:
            # A write may take only a part of it.
            rest = memoryview(data)
            while rest:
                rest = rest[self._files.write(self._descriptor, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._torn = False
        self._length += len(data)
        self._pending.clear()
        self._gap_bytes = 0
        self._unsynced += data
        # Only the newest lines are kept to be written again after a failed sync.
        excess = len(self._unsynced) - _MOST_UNSYNCED_BYTES
        if excess > 0:
            del self._unsynced[: self._unsynced.find(b"\n", excess - 1) + 1]

    def _give_up_oldest(self) -> None:
        excess = len(self._pending) - MOST_PENDING_BYTES
        if excess > 0:
            # Whole lines, so that the blanks in their place end where a line ends.
            end = self._pending.find(b"\n", excess - 1) + 1
            self.dropped_bytes += end
            self._gap_bytes += end
            del self._pending[:end]


def whole_length(file: BinaryIO, chunk: int = 1 << 16) -> int:
    """Return the length of an open file up to the end of its last whole line.

    NULs, which a power cut leaves in place of data, do not make a line, with or without a line end.
    """
    end = file.seek(0, os.SEEK_END)
    border = 0
    nul = False
    while end > 0:
        begin = max(end - chunk, 0)
        file.seek(begin)
        block = file.read(end - begin)
        # Backwards, because only the end of a file can be torn.
        while (line_end := block.rfind(b"\n")) >= 0:
            nul = nul or b"\0" in block[line_end + 1 :]
            if border and not nul:
                return border
            border, nul = begin + line_end + 1, False
            block = block[:line_end]
        nul = nul or b"\0" in block
        end = begin
    return 0 if nul else border


def append_durably(path: Path, record: dict[str, Any], files: Files | None = None) -> None:
    """Append one record and wait until it is on the disk.

    Raises:
        OSError: the record is not in the file.
    """
    journal = Journal(path, files)
    try:
        journal.append([record])
        journal.sync()
    finally:
        journal.close()


def read_records(
    path: Path, start: int = 0, *, wanted: Callable[[bytes], bool] = lambda line: True
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records from a byte offset on, each with the offset after it.

    Stops before a torn last line. Lines in the middle are skipped if they are not records, are too
    long, or are not `wanted`, which is asked before the line is parsed.
    """
    with open_file(path) as file:
        offset = seek_line(file, start)
        while line := file.readline(MOST_LINE_BYTES):
            if not line.endswith(b"\n"):
                if len(line) < MOST_LINE_BYTES:
                    return
                offset += len(line) + skip_line(file)
                continue
            offset += len(line)
            if not wanted(line):
                continue
            record = parse_record(line)
            if record is not None:
                yield offset, record


def parse_record(line: bytes) -> dict[str, Any] | None:
    """Return the record that a line holds, or None if it holds none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def seek_line(file: BinaryIO, start: int) -> int:
    """Seek to an offset, or to the next line if it is inside one; returns the position."""
    offset = file.seek(max(start - 1, 0))
    return offset + skip_line(file) if start > 0 else 0


def skip_line(file: BinaryIO) -> int:
    """Seek to the end of a line, however long it is; returns the bytes skipped."""
    length = 0
    while part := file.readline(MOST_LINE_BYTES):
        length += len(part)
        if part.endswith(b"\n"):
            break
    return length
