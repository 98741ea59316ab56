"""`take_over`: locks a run for a new start, and clears up after the process that wrote it last.

Layer: runs. A free lock on another host proves nothing: a file system that hosts share may lock for
each host alone. Only the heartbeat is left to judge by.
"""

from __future__ import annotations

import contextlib
import shutil
from functools import partial
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.directory import RunDirectory, list_command
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.files import Files, publish, sweep_temporaries
from tui_trainer.runs.index import unheard_s
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.mailbox import Mailbox
from tui_trainer.runs.manifests import manifest_files, unpublished_files
from tui_trainer.runs.paths import exists, open_file
from tui_trainer.runs.status import CRASHED_AFTER_S, LOST_AFTER_S, is_here, read_status
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable
from tui_trainer.text.shell import program_line


def take_over(run: RunDirectory, *, force: bool = False) -> RunLock:
    """Return the lock of a run, in which nothing of its last process is left half done.

    Raises:
        BadInput: a process holds the run; or one on another host may, and `force` is not set.
        CheckpointUnusable: its checkpoints are lost.
    """
    # Asked first: where hosts share a file system, a lock that is free here proves nothing.
    gone = gone_host(run, force=force)
    lock = RunLock.acquire(run.lock, gone=gone)
    try:
        if gone or lock.note:
            # Only silence says that it is dead: it must not append to our files.
            fence(run)
        # Refused before anything is removed.
        _check_not_lost(run)
        _tidy(run)
    except BaseException:
        lock.release()
        raise
    return lock


def gone_host(run: RunDirectory, *, force: bool = False) -> str:
    """Return the host that the run may be taken over from; empty if no other host has it.

    Raises:
        BadInput: the run is alive there; or it may be, and `force` is not set.
    """
    status = read_status(run.status)
    if status is None or status.state in FINAL_STATES:
        return ""
    if is_here(run, status):
        return ""
    silent_s = unheard_s(run)
    who = f"{run.path}: process {status.process.pid} on {clean(status.process.host, 80)}"
    if silent_s < LOST_AFTER_S:
        raise BadInput(
            f"{who} is writing this run; stop it first: {run.command('ctl', 'stop')} (if it was "
            f"killed, {list_command(run.path.parent)} shows lost? after {LOST_AFTER_S:.0f} s of "
            "silence)"
        )
    if silent_s < CRASHED_AFTER_S and not force:
        raise BadInput(
            f"{who} has been silent for {silent_s:.0f} s, but may still be alive; if you are sure "
            f"that it is dead: {run.command('resume', '--force')}"
        )
    return status.process.host


def fence(run: RunDirectory) -> None:
    """Replace the append-only files by copies.

    A process that is alive after all, and was stopped between its check of the lock and its write,
    then writes into files that are no longer read.

    Raises:
        CannotWrite: the files are as they were.
    """
    # The other files are replaced as a whole, except output.log, which only people read.
    for path in (run.metrics, run.events, run.edits):
        if exists(path):
            publish(Files(), path, partial(_copy, path))


def _copy(source: Path, target: BinaryIO) -> None:
    with open_file(source) as file:
        shutil.copyfileobj(file, target)


def _check_not_lost(run: RunDirectory) -> None:
    """Refuse a run that has lost its checkpoints: step 0 would overwrite what is left."""
    status = read_status(run.status)
    saved = status.saved.step if status else None
    if saved is not None and not manifest_files(run.checkpoints):
        raise CheckpointUnusable(
            f"{run.checkpoints}: step {saved} was saved, but no checkpoint manifest is left; "
            f"restore the folder, or start over: {program_line('train', str(run.config))}"
        )


def _tidy(run: RunDirectory) -> None:
    """Remove the half-written files of a killed process and its unread mail; under the lock."""
    for folder in (run.path, run.checkpoints):
        sweep_temporaries(folder)
    for name in unpublished_files(run.checkpoints):
        # Killed between the file and its manifest: it was never published.
        with contextlib.suppress(OSError):
            Files().unlink(run.checkpoints / name)
    # They were for the process that is gone; a stop among them would end the new one at once.
    Mailbox(run.control).clear()
