"""history.bin: the buckets of the curves, and how far into the other files they go.

Layer: runs. Written by the process that writes the run, from time to time; never waited for by
anybody. A sum over all of it tells a torn or damaged file, which is as good as none: the curves are
then read from the lines.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from typing import Any

from tui_trainer.runs.atomic import PREFIX, Files
from tui_trainer.runs.bounds import is_count, is_mapping, is_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.folder import read_file, size_of
from tui_trainer.runs.history import History, MarkKind, Parts
from tui_trainer.runs.recording import Recording, whole_recording
from tui_trainer.runs.series import Series, is_series
from tui_trainer.runs.times import Times, are_times

MAGIC = b"tui-trainer history 1\n"
MOST_BYTES = 64 * 2**20
_HEAD = struct.Struct("<II")
"""Sum of what follows it, length of the header."""
_COLUMNS = "qqdddqqd"
"""Of a series: steps, counts, totals, lows, highs, bads; steps and values of the newest."""
_KINDS: tuple[MarkKind, ...] = ("best", "checkpoint", "edit", "pause", "nonfinite")


def write_recording(run: RunDirectory, recording: Recording) -> None:
    """Replace history.bin; raises OSError.

    It is not waited for until it is on the disk: a file that a power cut tore is told by its sum.
    """
    try:
        data = _packed(recording)
    except (OverflowError, ValueError, TypeError) as error:
        raise OSError(f"history.bin: {error}") from error
    temporary = run.history.with_name(f"{PREFIX}{os.getpid()}-history.bin")
    files = Files()
    with contextlib.suppress(FileNotFoundError):
        files.unlink(temporary)
    try:
        with files.open_new(temporary) as file:
            file.write(data)
        files.replace(temporary, run.history)
    except OSError:
        with contextlib.suppress(OSError):
            files.unlink(temporary)
        raise


def read_recording(run: RunDirectory, generation: int | None = None) -> Recording | None:
    """What history.bin has; None when it is not there, damaged, or not of this run's past.

    `generation` is that of status.json: a file of a later one is of another run. One of an earlier
    generation is good, since the start in events.jsonl that ends it comes after what it covers.
    """
    try:
        recording = _unpacked(read_file(run.history, MOST_BYTES))
        if size_of(run.events) < recording.events_bytes:
            return None
    except Exception:
        # Whatever an odd header leads to, the curves can be read from the lines.
        return None
    return None if generation is not None and recording.generation > generation else recording


def open_recording(run: RunDirectory, generation: int | None = None) -> Recording:
    """All that the files of a run say, by way of history.bin where there is a good one."""
    recording = read_recording(run, generation)
    if recording is None:
        return whole_recording(run)
    recording.take(recording.follower(run).read(), whole=True)
    return recording


def _packed(recording: Recording) -> bytes:
    parts = recording.history.parts()
    columns = [parts.times.columns(), *(it.columns() for it in parts.series.values())]
    header = {
        "events_bytes": recording.events_bytes,
        "metrics_bytes": recording.metrics_bytes,
        "started": recording.started,
        "steps_per_epoch": parts.steps_per_epoch,
        "marks": parts.marks,
        "times": [parts.times.spacing, len(parts.times.columns()[0])],
        "series": [
            [name, it.width, len(it.columns()[0]), len(it.columns()[6])]
            for name, it in parts.series.items()
        ],
    }
    text = json.dumps(header).encode()
    data = [text]
    for own in columns:
        kinds = "qd" if len(own) == 2 else _COLUMNS
        data += [_bytes(kind, column) for kind, column in zip(kinds, own, strict=True)]
    body = b"".join(data)
    return MAGIC + _HEAD.pack(zlib.crc32(body), len(text)) + body


def _unpacked(data: bytes) -> Recording:
    begin = len(MAGIC) + _HEAD.size
    if not data.startswith(MAGIC):
        raise ValueError("not a history")
    total, length = _HEAD.unpack(data[len(MAGIC) : begin])
    body = memoryview(data)[begin:]
    if zlib.crc32(body) != total:
        raise ValueError("damaged")
    header: dict[str, Any] = json.loads(bytes(body[:length]))
    columns = _columns(body[length:], header)
    steps, seconds = next(columns)
    times = Times.of(steps, seconds, header["times"][0])
    _check(are_times(times))
    series = {
        name: Series.of(width, own)
        for (name, width, *_), own in zip(header["series"], columns, strict=True)
    }
    _check(is_mapping(series) and all(map(is_series, series.values())))
    marks: dict[MarkKind, list[tuple[int, str]]] = {
        kind: [(step, text) for step, text in header["marks"][kind]]
        for kind in _KINDS
        if kind in header["marks"]
    }
    _check(all(is_count(step) and is_text(text) for own in marks.values() for step, text in own))
    _check(is_count(header["steps_per_epoch"]) and header["steps_per_epoch"] > 0)
    _check(is_count(header["events_bytes"]) and is_count(header["metrics_bytes"]))
    started = header["started"]
    _check(is_mapping(started) and (not started or is_count(started["step"])))
    recording = Recording(History.of(Parts(series, times, header["steps_per_epoch"], marks)))
    recording.events_bytes = header["events_bytes"]
    recording.metrics_bytes = header["metrics_bytes"]
    recording.started = started
    return recording


def _check(is_good: bool) -> None:
    if not is_good:
        raise ValueError("a header that no run wrote")


def _columns(body: memoryview, header: dict[str, Any]) -> Iterator[list[list[Any]]]:
    """The columns of the times, then those of each series."""
    lengths = [("qd", [header["times"][1]] * 2)]
    lengths += [(_COLUMNS, [count] * 6 + [new] * 2) for _, _, count, new in header["series"]]
    at = 0
    _check(all(is_count(count) for _, counts in lengths for count in counts))
    for kinds, counts in lengths:
        found = []
        for kind, count in zip(kinds, counts, strict=True):
            column = array(kind)
            column.frombytes(body[at : at + 8 * count])
            if len(column) != count:
                raise ValueError("too short")
            if sys.byteorder == "big":
                column.byteswap()
            at += 8 * count
            found.append(column.tolist())
        yield found


def _bytes(kind: str, column: list[Any]) -> bytes:
    values = array(kind, column)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
