"""`delete_run`: deletes the directory of a run, never one that a process writes.

Layer: runs.
"""

from __future__ import annotations

import os
from pathlib import Path

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import ENDED_STATES
from tui_trainer.runs.files import Files, cannot_write
from tui_trainer.runs.folder import NotOurs, UnsafeFile
from tui_trainer.runs.index import RunSummary
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.paths import is_folder, remove_tree
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CannotWrite

PREFIX = ".deleted-"


def delete_run(summary: RunSummary) -> None:
    """Delete the directory of a run, including its checkpoints.

    It is first renamed to a name that no list shows, so that a half-deleted run is not a run.

    Raises:
        BadInput: it is alive, or may be on another host, or is not a directory of its own.
        CannotWrite: it could not be deleted, or only in part; the message names what is left.
    """
    run = RunDirectory(summary.path)
    if not is_folder(run.path):
        raise BadInput(f"{clean(str(run.path))}: not the directory of a run; nothing was deleted")
    if summary.status is not None and summary.state not in ENDED_STATES:
        raise BadInput(f"{summary.name} is {summary.state}; stop it first, nothing was deleted")
    lock = _lock(run)
    # Renamed while we hold the lock, so that no resume begins in it; the lock goes with it.
    hidden = run.path.with_name(f"{PREFIX}{run.path.name}-{os.getpid()}")
    try:
        Files().replace(run.path, hidden)
    except OSError as error:
        raise cannot_write(run.path, error) from error
    finally:
        if lock is not None:
            lock.release()
    try:
        remove_tree(hidden)
    except OSError as error:
        raise cannot_write(Path(error.filename or hidden), error) from error


def _lock(run: RunDirectory) -> RunLock | None:
    """Take the lock; None if its name is not a regular file, so that no process can hold it."""
    try:
        return RunLock.acquire(run.lock)
    except CannotWrite as error:
        cause = error.__cause__
        if isinstance(cause, UnsafeFile) and not isinstance(cause, NotOurs):
            return None
        raise
