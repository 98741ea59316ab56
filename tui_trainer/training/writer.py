"""The writer thread: metrics lines and checkpoints to the disk, in the order they were handed over.

Layer: training. Only the trainer thread calls a `Writer`. A failed save is a result like any other,
and the trainer decides what it means; nothing is ever reported as saved that is not.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.manifests import Manifest, read_manifests, surplus
from tui_trainer.training.checkpoint_data import CheckpointData
from tui_trainer.training.checkpoints import remove_checkpoint, write_checkpoint


@dataclass(frozen=True, slots=True)
class SaveJob:
    """One checkpoint to be written, and what to keep of the others."""

    data: CheckpointData
    keep_last: int
    protected: frozenset[int]
    """Steps whose checkpoints are never removed."""

    @property
    def step(self) -> int:
        return self.data.progress.step

    @property
    def is_best(self) -> bool:
        """Whether it is the checkpoint of the best validation so far."""
        return self.data.best_step == self.step


@dataclass(frozen=True, slots=True)
class SaveResult:
    """What became of a job: a manifest, or an error."""

    job: SaveJob
    duration_s: float
    manifest: Manifest | None = None
    error: Exception | None = None


class Writer:
    """A thread with a queue; a context manager that ends it, waits, and closes the journal."""

    def __init__(self, directory: Path, journal: Journal, files: Files) -> None:
        self._directory = directory
        self._journal = journal
        self._files = files
        self._queue: queue.Queue[bytes | SaveJob | None] = queue.Queue()
        self._results: deque[SaveResult] = deque()
        self._saving = 0
        self._thread = threading.Thread(target=self._work, name="writer")

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._queue.put(None)
        self._thread.join()
        with contextlib.suppress(OSError):
            self._journal.sync()
        self._journal.close()

    def lines(self, data: bytes) -> None:
        """Append encoded lines to the metrics."""
        self._queue.put(data)

    def save(self, job: SaveJob) -> None:
        """Write a checkpoint after the lines handed over so far."""
        self._saving += 1
        self._queue.put(job)

    @property
    def busy(self) -> bool:
        """Whether a save is under way whose result was not taken yet."""
        return self._saving > 0

    def results(self) -> list[SaveResult]:
        """The saves that have ended since the last call; never waits."""
        found = []
        while self._results:
            found.append(self._results.popleft())
        self._saving -= len(found)
        return found

    def drain(self) -> list[SaveResult]:
        """Wait until everything handed over is done; the saves that have ended."""
        self._queue.join()
        return self.results()

    def reopen(self) -> int:
        """Open the journal by its name again, after its directory was made anew; its length.

        Nothing may be waiting: call `drain` before.
        """
        self._journal.reopen()
        return self._journal.length

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            try:
                if item is None:
                    return
                if isinstance(item, SaveJob):
                    self._results.append(self._saved(item))
                else:
                    self._journal.append_bytes(item)
            except (OSError, MemoryError):
                # The lines stay pending in the journal; the next save reports the disk.
                continue
            finally:
                self._queue.task_done()

    def _saved(self, job: SaveJob) -> SaveResult:
        begin = time.monotonic()
        try:
            # Not its parents: a run directory that is gone must be seen to be gone.
            with contextlib.suppress(FileExistsError):
                Files().mkdir(self._directory)
            # A checkpoint records the journal's length, so the lines must be on the disk first.
            self._journal.sync()
            saved_at = datetime.now(timezone.utc).isoformat(timespec="seconds")
            manifest = write_checkpoint(
                self._directory, job.data, saved_at=saved_at, files=self._files
            )
            for old in surplus(read_manifests(self._directory), job.keep_last, set(job.protected)):
                remove_checkpoint(self._directory, old, self._files)
        except Exception as error:
            return SaveResult(job, time.monotonic() - begin, error=error)
        return SaveResult(job, time.monotonic() - begin, manifest)
