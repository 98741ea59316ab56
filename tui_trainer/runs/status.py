"""`status.json`: what a run says of itself about once a second, and what a reader makes of it.

Layer: runs. A heartbeat is a counter: readers compare it by their own clock, because the clocks of
two hosts need not agree.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tui_trainer.runs.atomic import write_atomically
from tui_trainer.runs.bounds import are_metrics, is_count, is_number, is_plain, is_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.folder import read_file
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
        plain: dict[str, Any] = json.loads(read_file(path, MOST_BYTES))
        known = {item.name for item in fields(Status)}
        found = {key: value for key, value in plain.items() if key in known}
        return Status(**found) if all(_fits(key, found[key]) for key in found) else None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


_TEXTS = frozenset({"name", "state", "host", "device", "message", "updated_at"})
_COUNTS = frozenset({"step", "epoch", "pid", "heartbeat", "generation"})
_NUMBERS = frozenset({"elapsed_s", "loss", "samples_per_s", "waiting_share"})
_COUNTS_OR_NONE = frozenset({"total_steps", "best_step", "saved_step"})


def _fits(key: str, value: object) -> bool:
    """Whether a reader can use the value: metrics that were not finite are null."""
    if key in _TEXTS:
        return is_text(value)
    if key in _NUMBERS:
        return is_number(value) or (value is None and key != "elapsed_s")
    if key == "usage":
        return value is None or (isinstance(value, dict) and is_plain(value))
    if key in _COUNTS or key in _COUNTS_OR_NONE:
        return is_count(value) or (value is None and key in _COUNTS_OR_NONE)
    if value is None:
        return key != "validation"
    return are_metrics(value)


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
