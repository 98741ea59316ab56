"""`Journal`: a file of JSON lines that is only appended to, and has no half lines in it.

Layer: runs. Numbers that are not finite are written as null, so that every line is strict JSON.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tui_trainer.runs.atomic import Files

MOST_PENDING_BYTES = 64 * 2**20


def encode(records: Sequence[dict[str, Any]]) -> bytes:
    """The records as lines."""
    lines = []
    for record in records:
        try:
            lines.append(json.dumps(record, allow_nan=False))
        except ValueError:
            lines.append(json.dumps(_finite(record), allow_nan=False))
    return "".join(line + "\n" for line in lines).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


class Journal:
    """Appends to one file; of a write that fails nothing stays, and it is tried again later.

    Thread-safe. On opening, a torn last line (a crash while writing) is cut off.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._files = files or Files()
        self._path = path
        self._lock = threading.Lock()
        self._pending = bytearray()
        self.dropped_bytes = 0
        """What was given up because the disk took nothing for too long."""
        self.torn_bytes = 0
        """What was cut off when the file was opened."""
        self._open()

    @property
    def length(self) -> int:
        """Bytes of whole lines in the file."""
        return self._length

    def append(self, records: Sequence[dict[str, Any]]) -> None:
        """Append records as lines; raises OSError with the lines kept for the next call."""
        if records:
            self.append_bytes(encode(records))
        elif self._pending:
            self.append_bytes(b"")

    def append_bytes(self, lines: bytes) -> None:
        """Append encoded lines; raises OSError with the lines kept for the next call."""
        with self._lock:
            self._pending += lines
            self._give_up_oldest()
            self._flush()

    def sync(self) -> None:
        """Write what is pending and make the file durable; raises OSError."""
        with self._lock:
            self._flush()
            self._files.fsync(self._descriptor)

    def reopen(self) -> None:
        """Open the file by its name again; raises OSError, with the old one still open."""
        with self._lock:
            old = self._descriptor
            self._open()
            os.close(old)

    def _open(self) -> None:
        self._descriptor = self._files.open_append(self._path)
        size = os.fstat(self._descriptor).st_size
        self._length = whole_length(self._path)
        self.torn_bytes = size - self._length
        if self.torn_bytes:
            self._files.truncate(self._descriptor, self._length)

    def close(self) -> None:
        """Close the file; what is still pending is lost."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _flush(self) -> None:
        try:
            while self._pending:
                written = self._files.write(self._descriptor, bytes(self._pending))
                if self._pending[written - 1] != 0x0A and written < len(self._pending):
                    # A short write ends in the middle of a line: go on at once, or undo it.
                    rest = self._pending[written:]
                    whole = self._files.write(self._descriptor, bytes(rest))
                    if whole < len(rest):
                        raise OSError(28, "No space left on device")
                    written += whole
                self._length += written
                del self._pending[:written]
        except OSError:
            self._files.truncate(self._descriptor, self._length)
            raise

    def _give_up_oldest(self) -> None:
        while len(self._pending) > MOST_PENDING_BYTES:
            end = self._pending.find(b"\n") + 1
            self.dropped_bytes += end
            del self._pending[:end]


def whole_length(path: Path, chunk: int = 1 << 16) -> int:
    """Length of the file up to and with the last line end; zeros after a power cut are no line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            begin = max(end - chunk, 0)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


def append_durably(path: Path, record: dict[str, Any], files: Files | None = None) -> None:
    """Append one record and wait until it is on the disk; raises OSError."""
    journal = Journal(path, files)
    try:
        journal.append([record])
        journal.sync()
    finally:
        journal.close()


def read_records(path: Path, start: int = 0) -> Iterator[tuple[int, dict[str, Any]]]:
    """The records from a byte offset on, each with the offset after it.

    Stops before a torn last line; a line in the middle that is no record is passed over.
    """
    with path.open("rb") as file:
        offset = file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield offset, record
