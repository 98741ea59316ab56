"""`status.json`: what a run says of itself about once a second, and what a reader makes of it.

Layer: runs. A heartbeat is a counter: readers compare it by their own clock, because the clocks of
two hosts need not agree.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tui_trainer.runs.atomic import write_atomically
from tui_trainer.runs.bounds import are_metrics, is_count, is_number, is_plain, is_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.folder import Folder, read_file
from tui_trainer.runs.journal import encode
from tui_trainer.runs.lock import is_held, read_holder

LOST_AFTER_S = 30.0
CRASHED_AFTER_S = 300.0
MOST_BYTES = 2**20
_BLOCK_BYTES = 1024
"""The file is a whole number of these: network file systems may cut a file that has just been
replaced to the length of the one before, and that is the same length then."""


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a run in a few numbers."""

    name: str
    state: str
    step: int = 0
    epoch: int = 0
    pid: int = 0
    host: str = ""
    heartbeat: int = 0
    generation: int = 0
    device: str = ""
    total_steps: int | None = None
    elapsed_s: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] | None = None
    best_step: int | None = None
    test: dict[str, float] | None = None
    saved_step: int | None = None
    message: str = ""
    loss: float | None = None
    samples_per_s: float | None = None
    waiting_share: float | None = None
    usage: dict[str, Any] | None = None
    """The newest measurement of memory and load."""
    updated_at: str = ""


def write_status(path: Path, status: Status) -> None:
    """Replace the file at once; raises CannotWrite."""
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    line = encode([{**asdict(status), "updated_at": now}])
    write_atomically(path, line[:-1] + b" " * (-len(line) % _BLOCK_BYTES) + b"\n")


def read_status(path: Path) -> Status | None:
    """The status, or None when there is none that can be read; unknown keys are passed over."""
    try:
        return _status_of(read_file(path, MOST_BYTES))
    except OSError:
        return None


def status_in(runs: Folder, name: str) -> Status | None:
    """As `read_status`, of the run of a name in an open folder of runs."""
    try:
        with runs.sub(name) as run:
            return _status_of(run.read("status.json", MOST_BYTES))
    except OSError:
        return None


def _status_of(data: bytes) -> Status | None:
    try:
        plain = json.loads(data)
        known = {key: value for key, value in plain.items() if key in BOUNDS}
        return Status(**known) if all(BOUNDS[key](known[key]) for key in known) else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _or_none(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


def _is_usage(value: object) -> bool:
    return isinstance(value, dict) and is_plain(value)


BOUNDS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("name", "state", "host", "device", "message", "updated_at"), is_text),
    **dict.fromkeys(("step", "epoch", "pid", "heartbeat", "generation"), is_count),
    **dict.fromkeys(("total_steps", "best_step", "saved_step"), _or_none(is_count)),
    # Numbers that were not finite are null.
    **dict.fromkeys(("loss", "samples_per_s", "waiting_share"), _or_none(is_number)),
    **dict.fromkeys(("best", "test"), _or_none(are_metrics)),
    "elapsed_s": is_number,
    "validation": are_metrics,
    "usage": _or_none(_is_usage),
}
"""What a reader can use of each field."""


def conclude(run: RunDirectory, status: Status, unchanged_s: float = 0.0) -> str:
    """The state as a reader sees it: what the run says, or crashed, suspended, lost?.

    `unchanged_s` is for how long the reader has seen the same heartbeat, by its own clock; it
    counts for a run on another host only.
    """
    if status.state in FINAL_STATES:
        return status.state
    if status.host == socket.gethostname():
        if not is_held(run.lock):
            # It may have ended properly since `status` was read.
            now = read_status(run.status) or status
            return now.state if now.state in FINAL_STATES else "crashed"
        return "suspended" if _is_stopped(run) else status.state
    if unchanged_s >= CRASHED_AFTER_S:
        return "crashed"
    return "lost?" if unchanged_s >= LOST_AFTER_S else status.state


def _is_stopped(run: RunDirectory) -> bool:
    """Whether a signal has stopped the process that holds the lock."""
    holder = read_holder(run.lock)
    if holder is None:
        return False
    try:
        return psutil.Process(holder.pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return False
