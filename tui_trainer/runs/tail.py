"""`Follower`: reads the new lines of events.jsonl and metrics.jsonl, from byte offsets on.

Layer: runs. Of files that have not grown only the sizes are read. Only whole lines are returned: a
torn end waits for its rest, and anything that is not a record is skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tui_trainer.runs.bounds import is_count
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.journal import MOST_LINE_BYTES, parse_record, seek_line, skip_line
from tui_trainer.runs.paths import open_file, size_of

MOST_LINES = 50_000
"""The most lines read of a stretch of metrics.jsonl; of a longer one, every n-th."""
_CHUNK_BYTES = 4 * 2**20
_STRETCH_BYTES = 2**18
_AT_ONCE = 256
"""Lines decoded per call, which holds the interpreter's lock."""

Record = dict[str, Any]


@dataclass(slots=True)
class NewLines:
    """New records: events in their order, then lines of metrics; and how far the files are read.

    A `run_started` among the events revokes everything after its step; the lines that follow it are
    in the same batch.
    """

    events: list[Record] = field(default_factory=list)
    lines: list[Record] = field(default_factory=list)
    events_bytes: int = 0
    metrics_bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.events or self.lines)


class Follower:
    """Reads the files of a run from where it stopped; used from one thread."""

    def __init__(self, run: RunDirectory, *, events_bytes: int = 0, metrics_bytes: int = 0) -> None:
        self._run = run
        self.events_bytes = events_bytes
        self.metrics_bytes = metrics_bytes
        self._newest = 0

    def read(self, most_lines: int = MOST_LINES) -> NewLines:
        """Return the new records; none of a file that cannot be read."""
        events_size, metrics_size = self._sizes()
        events: list[Record] = []
        if events_size < self.events_bytes:
            self.events_bytes = 0  # a new file, made after the old one was deleted
        if events_size > self.events_bytes:
            # Events before metrics: a `run_started` says from where metrics have to be read again.
            lines, self.events_bytes = whole_lines(self._run.events, self.events_bytes)
            events = _with_step(lines)
        for record in events:
            if record.get("event") == "run_started":
                # Lines that an earlier start wrote after this step have been moved aside.
                kept_bytes = offset_after(self._run.metrics, record["step"])
                self.metrics_bytes = min(self.metrics_bytes, kept_bytes)
                self._newest = record["step"]
        if events:
            # A run that starts first cuts these lines off, so the size read above may be out of
            # date.
            metrics_size = size_of(self._run.metrics)
        if metrics_size < self.metrics_bytes:
            self.metrics_bytes = offset_after(self._run.metrics, self._newest)
        lines = []
        if metrics_size > self.metrics_bytes:
            start = self.metrics_bytes
            lines, self.metrics_bytes = whole_lines(self._run.metrics, start, most_lines)
        metrics = _with_step(lines)
        if metrics:
            self._newest = metrics[-1]["step"]
        return NewLines(events, metrics, self.events_bytes, self.metrics_bytes)

    def _sizes(self) -> tuple[int, int]:
        """Return the sizes of events.jsonl and metrics.jsonl; 0 for a file that cannot be read."""
        try:
            with open_folder(self._run.path) as folder:
                return folder.size(self._run.events.name), folder.size(self._run.metrics.name)
        except OSError:
            return 0, 0


def is_another(path: Path, offset: int) -> bool:
    """Whether a file was replaced by a new one since it was read up to an offset."""
    return 0 < size_of(path) < offset


def whole_lines(path: Path, start: int, most: int | None = None) -> tuple[list[bytes], int]:
    """Return the whole lines from an offset on, and the offset after them.

    If there are more than `most`, judged by the length of the first, only every n-th, those of
    validations and the last are returned.
    """
    kept: list[bytes] = []
    last = b""
    try:
        with open_file(path) as file:
            offset = seek_line(file, start)
            every, number = _every(file, offset, most), 0
            while data := file.read(_CHUNK_BYTES):
                end = data.rfind(b"\n") + 1
                if not end:
                    if len(data) < _CHUNK_BYTES:
                        break  # A torn end.
                    # A line that is longer than any of ours is skipped.
                    offset += len(data) + skip_line(file)
                    continue
                offset = file.seek(offset + end)
                lines = data[: end - 1].split(b"\n")
                last = lines[-1]
                if every == 1:
                    kept += lines
                else:
                    kept += [
                        line
                        for count, line in enumerate(lines, number)
                        if count % every == 0 or b'"val/' in line
                    ]
                number += len(lines)
    except OSError:
        return kept, start
    if last and kept[-1:] != [last]:
        kept.append(last)
    return kept, offset


def records_from(path: Path, start: int) -> tuple[list[Record], int]:
    """Return the records from an offset on, and the offset after them."""
    lines, end = whole_lines(path, start)
    return _with_step(lines), end


def records_before(path: Path, end: int, most_bytes: int) -> list[Record]:
    """Return the newest records before an offset, within at most that many bytes."""
    start = max(end - most_bytes, 0)
    try:
        with open_file(path) as file:
            begin = seek_line(file, start)
            data = file.read(max(end - begin, 0))
    except OSError:
        return []
    return _with_step(data[: data.rfind(b"\n") + 1].split(b"\n")[:-1])


def records_within(path: Path, start: int, end: int) -> Iterator[list[Record]]:
    """Yield the records between two offsets, some at a time.

    A line that begins before `start` is left out; one that begins before `end` is the last.
    """
    try:
        with open_file(path) as file:
            offset = seek_line(file, start)
            while offset < end and (data := file.read(min(end - offset, _STRETCH_BYTES))):
                if not data.endswith(b"\n"):
                    data += file.readline(MOST_LINE_BYTES)
                offset += len(data)
                yield _with_step(data[: data.rfind(b"\n") + 1].split(b"\n")[:-1])
    except OSError:
        return


def line_begin(path: Path, start: int) -> int:
    """Return where the first line begins that does not begin before an offset; 0 without a file."""
    try:
        with open_file(path) as file:
            return seek_line(file, start)
    except OSError:
        return 0


def _every(file: BinaryIO, offset: int, most: int | None) -> int:
    if most is None:
        return 1
    size = os.fstat(file.fileno()).st_size - offset
    length = skip_line(file)
    file.seek(offset)
    return max(-(-size // (max(length, 1) * most)), 1)


def _with_step(lines: Sequence[bytes]) -> list[Record]:
    """Return the records that have a step; a line that is too long is not one."""
    records: list[Record] = []
    if any(len(line) > MOST_LINE_BYTES for line in lines):
        lines = [line for line in lines if len(line) <= MOST_LINE_BYTES]
    for begin in range(0, len(lines), _AT_ONCE):
        records += [
            record
            for record in _decoded(lines[begin : begin + _AT_ONCE])
            if isinstance(record, dict) and is_count(record.get("step"))
        ]
    return records


def _decoded(lines: Sequence[bytes]) -> list[Any]:
    try:
        # All lines as one list, which is faster; line by line only if one of them is damaged. A
        # line such as `{},{}` would count twice.
        records = json.loads(b"[%b]" % b",".join(lines))
        if len(records) == len(lines):
            return list(records)
    except (ValueError, RecursionError):
        pass
    return [parse_record(line) for line in lines]


def offset_after(path: Path, step: int) -> int:
    """Return where the lines of later steps begin; a binary search, because steps only grow."""
    try:
        with open_file(path) as file:
            low, high = 0, os.fstat(file.fileno()).st_size
            while low < high:
                middle = (low + high) // 2
                begin = seek_line(file, middle)
                line = file.readline(MOST_LINE_BYTES)
                records = _with_step([line]) if line.endswith(b"\n") else []
                if records and records[0]["step"] <= step:
                    low = begin + len(line)
                else:
                    high = middle
            return low
    except OSError:
        return 0
