"""The writer thread: writes metrics and checkpoints to the disk, in the order it received them.

Layer: training. Only the trainer thread calls a `Writer`. Lines are written a few times per second,
however often they arrive. A failed save is a result like any other, and the trainer decides what to
do about it; a save that failed is never reported as saved.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.manifests import Manifest, no_longer_kept, read_manifests
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import mark_as_best, remove_checkpoint, write_checkpoint

LINES_EVERY_S = 0.25
"""Seconds between two writes of lines. A small model hands over lines a thousand times per second,
and each write and each change of threads would cost it more than a step."""


@dataclass(frozen=True, slots=True)
class SaveJob:
    """A checkpoint to write, and the rule for which older ones to keep."""

    data: CheckpointData
    keep_last: int
    protected: frozenset[int]
    """Steps whose checkpoints are never removed."""

    @property
    def step(self) -> int:
        return self.data.progress.step

    @property
    def is_best(self) -> bool:
        """Whether this is the checkpoint of the best validation so far."""
        return self.data.best_step == self.step


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The outcome of a job: a manifest, or an error."""

    job: SaveJob
    duration_s: float
    manifest: Manifest | None = None
    error: Exception | None = None


class Writer:
    """A thread with a queue; leaving its context finishes the queue and closes the journal."""

    def __init__(
        self,
        directory: Path,
        journal: Journal,
        files: Files,
        lines_every_s: float = LINES_EVERY_S,
    ) -> None:
        self._directory = directory
        self._journal = journal
        self._files = files
        self._lines_every_s = lines_every_s
        self._queue: queue.Queue[bytes | SaveJob | None] = queue.Queue()
        self._urgent = threading.Event()
        """Set when something is waited for, so that lines must not be collected any longer."""
        # No lock: the count belongs to the trainer thread, and the writer thread only appends to
        # the deque.
        self._results: deque[SaveResult] = deque()
        self._saving = 0
        self._thread = threading.Thread(target=self._work, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._queue.put(None)
        self._urgent.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            self._journal.sync()
        self._journal.close()

    def lines(self, data: bytes) -> None:
        """Append encoded lines to metrics.jsonl, after at most `lines_every_s`."""
        self._queue.put(data)

    def save(self, job: SaveJob) -> None:
        """Write a checkpoint, after the lines that were handed over before it."""
        self._saving += 1
        self._queue.put(job)
        # Second, so that the thread which this wakes finds the job.
        self._urgent.set()

    @property
    def busy(self) -> bool:
        """Whether a save is under way, or has a result that was not taken yet."""
        return self._saving > 0

    def results(self) -> list[SaveResult]:
        """Return the results of the saves that ended since the last call; never waits."""
        results = []
        while self._results:
            results.append(self._results.popleft())
        self._saving -= len(results)
        return results

    def drain(self) -> list[SaveResult]:
        """Wait until everything handed over is done; return the results of the saves."""
        self._urgent.set()
        self._queue.join()
        return self.results()

    def mark_as_best(self, step: int, metrics: dict[str, float]) -> None:
        """Mark the newest checkpoint, of this step, as the best; raises CannotWrite.

        Call `drain` first: the file must be published, and it is marked in the calling thread.
        """
        mark_as_best(self._directory, step, metrics, self._files)

    def reopen(self) -> int:
        """Open the journal by name again after its directory was recreated; return its length.

        Call `drain` first: the writer thread must not be using the journal.
        """
        self._journal.reopen()
        return self._journal.length

    def _work(self) -> None:
        written_s = -math.inf
        while True:
            items = [self._queue.get()]
            if isinstance(items[0], bytes):
                # What arrives during this wait wakes no thread.
                self._urgent.wait(max(written_s + self._lines_every_s - time.monotonic(), 0.0))
            # Before the queue is emptied, so that what is urgent later is not missed.
            self._urgent.clear()
            with contextlib.suppress(queue.Empty):
                while True:
                    items.append(self._queue.get_nowait())
            self._handle(items)
            written_s = time.monotonic()
            # Not before: `drain` waits for what is on the disk, and not for an empty queue.
            for _ in items:
                self._queue.task_done()
            if items[-1] is None:
                return

    def _handle(self, items: Sequence[bytes | SaveJob | None]) -> None:
        """Write lines and checkpoints in their order, successive lines at once."""
        lines: list[bytes] = []
        for item in items:
            if isinstance(item, bytes):
                lines.append(item)
            elif item is not None:
                self._append(lines)
                lines = []
                self._results.append(self._saved(item))
        self._append(lines)

    def _append(self, lines: Sequence[bytes]) -> None:
        # If it fails, the journal keeps the lines and writes them later; the next save reports the
        # disk.
        with contextlib.suppress(OSError, MemoryError):
            if lines:
                self._journal.append_bytes(b"".join(lines))

    def _saved(self, job: SaveJob) -> SaveResult:
        begin = time.monotonic()
        try:
            # Without its parents: a run directory that was deleted must not come back unnoticed.
            with contextlib.suppress(FileExistsError):
                Files().mkdir(self._directory)
            # A checkpoint records the length of metrics.jsonl, so those lines must be on the disk
            # before it is.
            self._journal.sync()
            job.data.state.await_copies()
            saved_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
            manifest = write_checkpoint(
                self._directory, job.data, saved_at=saved_at, files=self._files
            )
            # Only now, when a newer checkpoint is published: a crash here leaves one too many.
            for old in no_longer_kept(
                read_manifests(self._directory), job.keep_last, set(job.protected)
            ):
                remove_checkpoint(self._directory, old, self._files)
        except Exception as error:
            # Of any kind, so that the thread lives on: the next save may succeed.
            return SaveResult(job, time.monotonic() - begin, error=error)
        return SaveResult(job, time.monotonic() - begin, manifest)
