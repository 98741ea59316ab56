"""`status.json`: written by a run about once per second, and judged by its readers.

Layer: runs. A heartbeat is a counter: readers time it by their own clock, because the clocks of two
hosts need not agree.
"""

from __future__ import annotations

import json
import os
import socket
from datetime import datetime, timezone
from pathlib import Path

import psutil

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.folder import Folder
from tui_trainer.runs.host import boot_id, is_this_host
from tui_trainer.runs.journal import encode
from tui_trainer.runs.lock import is_held, is_out_of_sight, read_holder
from tui_trainer.runs.paths import read_file
from tui_trainer.runs.view import Process, RunView

LOOK_EVERY_S = 0.25
"""How often a run looks for commands and writes what is new; its readers look as often."""
ASK_EVERY_S = 1.0
"""How often a reader asks the system about the process of a run, which costs more than a look."""
LOST_AFTER_S = 30.0
CRASHED_AFTER_S = 300.0
MOST_BYTES = 2**20
_BLOCK_BYTES = 1024
"""The file's size is a multiple of this. Network file systems may cut a file that has just been
replaced to the length of its predecessor, which is then the same length."""


def write_status(path: Path, view: RunView) -> None:
    """Replace the file atomically; raises CannotWrite."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    line = encode([{**view.to_dict(), "updated_at": now}])
    # Padded with blanks before the line end, which JSON allows.
    write_atomically(path, line[:-1] + b" " * (-len(line) % _BLOCK_BYTES) + b"\n")


def read_status(path: Path) -> RunView | None:
    """Read the view in the file; None if it is missing or unreadable."""
    try:
        return _view_in(read_file(path, MOST_BYTES))
    except OSError:
        return None


def status_in(runs: Folder, name: str) -> RunView | None:
    """Like `read_status`, for a run by its name in an open folder of runs."""
    try:
        with runs.sub(name) as run:
            return _view_in(run.read("status.json", MOST_BYTES))
    except OSError:
        return None


def _view_in(data: bytes) -> RunView | None:
    try:
        plain = json.loads(data)
        return RunView.from_dict(plain) if isinstance(plain, dict) else None
    except (ValueError, RecursionError):
        return None


def this_process() -> Process:
    """Return this process as it describes itself in the view of its run; `is_here` knows it."""
    return Process(os.getpid(), socket.gethostname(), boot_id=boot_id())


def is_here(run: RunDirectory, status: RunView) -> bool:
    """Whether a run is on this host, so that its lock tells whether its process is alive."""
    process = status.process
    return is_this_host(process.host, process.boot_id) and not is_out_of_sight(run.lock)


def conclude(run: RunDirectory, status: RunView, unchanged_s: float = 0.0) -> str:
    """Return the state as a reader sees it: what the run says, or crashed, suspended, lost?.

    `unchanged_s` is how long the reader has seen the same heartbeat, by its own clock; it counts
    only for a run on another host.
    """
    if status.state in FINAL_STATES:
        return status.state
    if is_here(run, status):
        if not is_held(run.lock):
            # The run may have ended properly since `status` was read.
            now = read_status(run.status) or status
            return now.state if now.state in FINAL_STATES else "crashed"
        return "suspended" if _is_stopped(run) else status.state
    # Of a process on another host only the heartbeat can be seen.
    if unchanged_s >= CRASHED_AFTER_S:
        return "crashed"
    return "lost?" if unchanged_s >= LOST_AFTER_S else status.state


def _is_stopped(run: RunDirectory) -> bool:
    """Whether a signal has stopped the process that holds the lock."""
    holder = read_holder(run.lock)
    if holder is None or not holder.is_here:
        return False
    try:
        return psutil.Process(holder.pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
