"""Taking a run over from another host, which cannot be asked: whether, and so that it is safe.

Layer: runs. A lock that is free proves nothing there: file systems that hosts share may lock for
each of them alone. What is left is the heartbeat.
"""

from __future__ import annotations

import os
import shutil
import socket
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import ENDED_STATES, FINAL_STATES
from tui_trainer.runs.files import Files, cannot_write, publish
from tui_trainer.runs.folder import NotOurs, UnsafeFile, exists, is_folder, open_file, remove_tree
from tui_trainer.runs.index import RunSummary, unheard_s
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import CRASHED_AFTER_S, LOST_AFTER_S, read_status
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CannotWrite


def gone_host(run: RunDirectory, *, force: bool = False) -> str:
    """The host that a run may be taken over from; empty where no other one has it.

    Raises:
        BadInput: it lives there; or it may, and nobody who knows better said `force`.
    """
    status = read_status(run.status)
    if status is None or status.state in FINAL_STATES:
        return ""
    if status.process.host == socket.gethostname():
        return ""
    silent_s = unheard_s(run)
    who = f"{run.path}: process {status.process.pid} on {clean(status.process.host, 80)}"
    name = run.path.name
    if silent_s < LOST_AFTER_S:
        raise BadInput(
            f"{who} is writing this run; stop it first: tui-trainer ctl {name} stop (if it was "
            f"killed, tui-trainer runs says lost? {LOST_AFTER_S:.0f} s after its last word)"
        )
    if silent_s < CRASHED_AFTER_S and not force:
        raise BadInput(
            f"{who} has said nothing for {silent_s:.0f} s, and may still live; if you know that it "
            f"is gone: tui-trainer resume {name} --force"
        )
    return status.process.host


def fence(run: RunDirectory) -> None:
    """Put copies in the place of the files that are only appended to.

    A process that is not dead after all, and was stopped between its look at the lock and its
    write, then writes into files that nobody reads any more.

    Raises:
        CannotWrite: the files are as they were.
    """
    for path in (run.metrics, run.events, run.edits):
        if exists(path):
            publish(Files(), path, partial(_copy, path))


def _copy(source: Path, target: BinaryIO) -> None:
    with open_file(source) as file:
        shutil.copyfileobj(file, target)


# Deleting a run: never one that a process writes.
#
# The directory is first given a name that no list shows, so that what is half deleted is no run
# any more.


PREFIX = ".deleted-"


def delete_run(summary: RunSummary) -> None:
    """Delete the directory of a run, checkpoints and all.

    Raises:
        BadInput: it lives, or may live on another host, or is not a directory of its own.
        CannotWrite: it could not be deleted, or only in part; the message names what is left.
    """
    run = RunDirectory(summary.path)
    if not is_folder(run.path):
        raise BadInput(f"{clean(str(run.path))}: no directory of a run; nothing was deleted")
    if summary.status is not None and summary.state not in ENDED_STATES:
        raise BadInput(f"{summary.name} is {summary.state}; stop it first, nothing was deleted")
    lock = _lock(run)
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
    """Take the lock; None where what has its name is no file, which no process can hold."""
    try:
        return RunLock.acquire(run.lock)
    except CannotWrite as error:
        cause = error.__cause__
        if isinstance(cause, UnsafeFile) and not isinstance(cause, NotOurs):
            return None
        raise
