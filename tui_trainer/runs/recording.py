"""`Recording`: the history of a run from its files, for readers that did not see it happen.

Layer: runs. Missing or torn files leave gaps and are no error. What history.bin holds is not read
again from the lines: opening a run of a million steps takes as long as opening one of a thousand.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from tui_trainer.runs.bounds import MOST_NAMES, is_count, is_mapping, is_text, number_or_nan
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import Event, RunStarted, ValidationEnded, to_dict
from tui_trainer.runs.files import PREFIX, Files
from tui_trainer.runs.history import History, HistoryParts, MarkKind
from tui_trainer.runs.paths import read_file, size_of
from tui_trainer.runs.series import Series, Times, are_times, is_series
from tui_trainer.runs.step_numbers import CURVES, other_keys
from tui_trainer.runs.tail import Follower, NewLines, Record, offset_after

_MOST_WAITING = 256


class Recording:
    """A history, and the offsets in the files up to which it goes; used from one thread."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self.events_bytes = 0
        self.metrics_bytes = 0
        self.started: Record = {}
        """The newest `run_started`, or empty."""
        self._newest = self.history.last("train/loss")
        self._reached = -1
        """The newest step of any event."""
        self._validations: dict[str, dict[int, float]] = {}
        """Values by series and step that wait until the events have come as far."""

    @property
    def generation(self) -> int:
        """The generation of the newest start it knows; 0 before the first."""
        generation = self.started.get("generation")
        return generation if isinstance(generation, int) and is_count(generation) else 0

    def follower(self, run: RunDirectory) -> Follower:
        """Return a follower that reads on from where this recording ends."""
        return Follower(run, events_bytes=self.events_bytes, metrics_bytes=self.metrics_bytes)

    def take(self, batch: NewLines, *, whole: bool = False) -> None:
        """Add a batch to the history.

        Scheduled validations are in both files, those on demand only in the events, and a series
        takes its values in the order of steps. So validations from the metrics wait for the events,
        unless the batch is the `whole` of what there is.
        """
        for record in batch.events:
            self._reached = max(self._reached, record["step"])
            if (event := event_of(record)) is not None:
                self._take_event(event, record)
        self._take_lines(batch.lines)
        self._put_validations(everything=whole)
        self.events_bytes, self.metrics_bytes = batch.events_bytes, batch.metrics_bytes

    def add(self, run: RunDirectory, events: Sequence[Event], events_bytes: int) -> None:
        """Add the next events of a run, in the process that trains it.

        `events_bytes` is the length of events.jsonl with these events.
        """
        for event in events:
            if isinstance(event, RunStarted):
                self.started = to_dict(event)
        self.history.add(*events)
        self._newest = self.history.last("train/loss")
        self._reached = max([self._reached, *(event.step for event in events)])
        self.events_bytes = events_bytes
        # Whoever reads on begins with the line of the newest step: a validation of this step, which
        # may not have ended yet, adds to it.
        self.metrics_bytes = offset_after(run.metrics, self._newest - 1)

    def go_back(self, step: int, steps_per_epoch: int) -> None:
        """Forget everything after a step."""
        self.history.restart(step, steps_per_epoch)
        self._newest = min(self._newest, step)
        self._reached = step
        for values in self._validations.values():
            for later in [known_step for known_step in values if known_step > step]:
                del values[later]

    def _take_event(self, event: Event, record: Record) -> None:
        match event:
            case RunStarted():
                self.started = record
                self.go_back(event.step, event.steps_per_epoch)
            case ValidationEnded():
                for name, value in event.metrics.items():
                    self._validated(f"val/{name}", event.step, value)
        self.history.mark_event(event)

    def _take_lines(self, lines: list[Record]) -> None:
        kept = []
        for line in lines:
            step = line["step"]
            # No run writes steps that go back, but the file may have been edited.
            if step > self._newest:
                self._newest = step
                kept.append(line)
                self.history.time(step, number_or_nan(line.get("elapsed_s")))
            for name in line if len(line) <= MOST_NAMES else ():
                if name.startswith("val/") and is_text(name):
                    self._validated(name, step, line[name])
        others = chain(*map(other_keys, kept))
        for name in dict.fromkeys(chain((number.key for number in CURVES), others)):
            having = [line for line in kept if name in line]
            steps = [line["step"] for line in having]
            self.history.put(name, steps, [number_or_nan(line[name]) for line in having])

    def _validated(self, name: str, step: int, value: object) -> None:
        # A validation on demand at the step of a scheduled one has measured the same weights.
        self._validations.setdefault(name, {}).setdefault(step, number_or_nan(value))

    def _put_validations(self, *, everything: bool) -> None:
        for name, values in self._validations.items():
            if not values:
                continue
            # If the events never come, as from a damaged file, values must not wait for ever.
            all_of_it = everything or len(values) > _MOST_WAITING
            due = sorted(step for step in values if all_of_it or step <= self._reached)
            last = self.history.last(name)
            steps = [step for step in due if step > last]
            self.history.put(name, steps, [values[step] for step in steps])
            for step in due:
                del values[step]


def read_history(run: RunDirectory, last_step: int, known: Recording | None = None) -> History:
    """Return the curves and marks up to and including a step, based on what is already known.

    Lines that an earlier resume has moved aside are not in them.
    """
    recording = known or Recording()
    batch = recording.follower(run).read()
    batch.events = [record for record in batch.events if record["step"] <= last_step]
    batch.lines = [line for line in batch.lines if line["step"] <= last_step]
    recording.take(batch, whole=True)
    if recording.history.newest > last_step:
        per_epoch = recording.started.get("steps_per_epoch")
        recording.go_back(
            last_step, per_epoch if isinstance(per_epoch, int) and is_count(per_epoch) else 1
        )
    return recording.history


def whole_recording(run: RunDirectory) -> Recording:
    """Read everything in the files of a run, from their beginning."""
    recording = Recording()
    recording.take(recording.follower(run).read(), whole=True)
    return recording


# history.bin holds the buckets of the curves and the offsets in the other files that they cover.
# The process that writes the run writes it from time to time, and does not wait for the disk. A
# checksum reveals a torn or damaged file, which counts as none: the curves are read from the lines
# then.


MAGIC = b"tui-trainer history 1\n"
MOST_BYTES = 64 * 2**20
_HEAD = struct.Struct("<II")
"""The checksum of everything after this head, and the length of the header."""
_COLUMNS = "qqdddqqd"
"""The types of a series' columns: steps, counts, totals, lows, highs, bads; then steps and values
of the newest."""
_KINDS: tuple[MarkKind, ...] = ("best", "checkpoint", "save", "edit", "pause", "nonfinite")


def write_recording(run: RunDirectory, recording: Recording) -> None:
    """Replace history.bin; raises OSError.

    It is not synced to the disk: its checksum reveals a file that a power cut tore.
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
    """Read history.bin; None if it is missing, damaged, or not from this run's past.

    `generation` is that of status.json: a file of a later generation is from another run. One of an
    earlier generation is good, because the start in events.jsonl that ends it comes after what it
    covers.
    """
    try:
        recording = _unpacked(read_file(run.history, MOST_BYTES))
        # A shorter events.jsonl is a new file, and this history belongs to the one before.
        if size_of(run.events) < recording.events_bytes:
            return None
    except Exception:
        # Whatever an odd header raises, the curves can be read from the lines.
        return None
    return None if generation is not None and recording.generation > generation else recording


def open_recording(run: RunDirectory, generation: int | None = None) -> Recording:
    """Read everything in the files of a run, starting from history.bin if it is usable."""
    recording = read_recording(run, generation)
    if recording is None:
        return whole_recording(run)
    recording.take(recording.follower(run).read(), whole=True)
    return recording


def _packed(recording: Recording) -> bytes:
    parts = recording.history.parts()
    columns = [parts.times.columns(), *(curve.columns() for curve in parts.series.values())]
    header = {
        "events_bytes": recording.events_bytes,
        "metrics_bytes": recording.metrics_bytes,
        "started": recording.started,
        "steps_per_epoch": parts.steps_per_epoch,
        "marks": parts.marks,
        "times": [parts.times.spacing, len(parts.times.columns()[0])],
        "series": [
            [name, curve.width, len(curve.columns()[0]), len(curve.columns()[6])]
            for name, curve in parts.series.items()
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
    # Before anything is parsed, so that a torn file does not get as far as the header.
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
    recording = Recording(History.of(HistoryParts(series, times, header["steps_per_epoch"], marks)))
    recording.events_bytes = header["events_bytes"]
    recording.metrics_bytes = header["metrics_bytes"]
    recording.started = started
    return recording


def _check(is_good: bool) -> None:
    if not is_good:
        raise ValueError("a header that no run wrote")


def _columns(body: memoryview, header: dict[str, Any]) -> Iterator[list[list[Any]]]:
    """Yield the columns of the times, then those of each series."""
    lengths = [("qd", [header["times"][1]] * 2)]
    lengths += [(_COLUMNS, [count] * 6 + [new] * 2) for _, _, count, new in header["series"]]
    at = 0
    _check(all(is_count(count) for _, counts in lengths for count in counts))
    for kinds, counts in lengths:
        columns = []
        for kind, count in zip(kinds, counts, strict=True):
            column = array(kind)
            column.frombytes(body[at : at + 8 * count])
            if len(column) != count:
                raise ValueError("too short")
            if sys.byteorder == "big":
                column.byteswap()
            at += 8 * count
            columns.append(column.tolist())
        yield columns


def _bytes(kind: str, column: list[Any]) -> bytes:
    # The file is little-endian on every machine.
    values = array(kind, column)
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
