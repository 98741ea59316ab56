"""The list of the runs in a folder, from their status files alone.

Layer: runs. No YAML is read and torch is not imported: a thousand runs are listed immediately.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tui_trainer.config.sections.metrics import metric_text
from tui_trainer.runs.directory import RunDirectory, check_run
from tui_trainer.runs.events import ENDED_STATES, FINAL_STATES
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.lookup import run_names
from tui_trainer.runs.paths import facts_of
from tui_trainer.runs.states import sign_in
from tui_trainer.runs.status import conclude, is_here, status_in
from tui_trainer.runs.view import RunView, Scores
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

STATES = (
    *("starting", "running", "pausing", "paused", "stopping", "testing", "suspended", "lost?"),
    *("finished", "stopped", "failed", "crashed", "unreadable"),
)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list; `status` is None if its file cannot be read."""

    name: str
    path: Path
    state: str
    status: RunView | None

    @property
    def is_live(self) -> bool:
        return self.status is not None and self.state not in ENDED_STATES

    @property
    def progress(self) -> float | None:
        """The share of the steps that is done; None if the run has no last step."""
        if self.status is None or not self.status.total_steps:
            return None
        if self.status.is_starting and not self.status.step:
            return None
        return min(self.status.step / self.status.total_steps, 1.0)

    def to_dict(self) -> dict[str, Any]:
        return {
            **(self.status.to_dict() if self.status is not None else {}),
            "name": self.name,
            "path": str(self.path),
            "state": self.state,
            "progress": self.progress,
        }


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """Return the runs, live ones first, and the newest first within both groups."""
    real = Path(os.path.realpath(runs_dir))
    # Asked at most once, and only if a run is on another host: it makes a file.
    now_there = cache(lambda: _now_there(real))
    names = run_names(runs_dir)
    statuses: dict[str, RunView | None] = {}
    summaries = []
    # Runs whose folder cannot be read are listed too, as unreadable.
    with contextlib.suppress(OSError), open_folder(real) as folder:
        statuses = {name: status_in(folder, name) for name in names}
    for name in names:
        run = RunDirectory(real / name)
        status = statuses.get(name)
        state = status.state if status is not None else "unreadable"
        if status is not None and state not in FINAL_STATES:
            # On this host the lock tells whether the run is alive.
            age_s = 0.0 if is_here(run, status) else _age_s(run.status, now_there())
            state = conclude(run, status, age_s)
        summaries.append(RunSummary(name, run.path, state, status))
    # The names come newest first, and sorting keeps their order within both groups.
    return sorted(summaries, key=lambda summary: not summary.is_live)


def unheard_s(run: RunDirectory) -> float:
    """Return how long a run has been silent, by the clock of its files alone."""
    return _age_s(run.status, _now_there(run.path))


def newest_live(runs_dir: Path) -> RunDirectory:
    """Return the newest run that is alive; BadInput if there is none."""
    runs = list_runs(runs_dir)
    if runs and runs[0].is_live:
        run = RunDirectory(runs[0].path)
        check_run(run)
        return run
    last = ""
    if runs:
        command = RunDirectory(runs[0].path).command("attach")
        last = f"; the newest is {runs[0].name}, {runs[0].state}; {command} opens it"
    raise BadInput(f"no live run in {clean(str(runs_dir))}{last}")


def _now_there(folder: Path) -> float:
    """Return the time of the clock that stamps a folder's files, which may be another host's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b".")
            file.flush()
            return Path(f"/proc/self/fd/{file.fileno()}").stat().st_mtime
    except OSError:
        return time.time()


def _age_s(path: Path, now: float) -> float:
    """Return how long a file has been unchanged.

    A list reads each run once, and cannot see that a heartbeat stands still. But the file is
    replaced with every beat.
    """
    facts = facts_of(path)
    return max(now - facts.st_mtime, 0.0) if facts is not None else 0.0


# The list of runs as rows and columns, and the orders it can be sorted in.


GAP = "  "
COLUMNS = (
    *("name", "state", "progress", "epoch", "step", "val loss", "accuracy"),
    *("age", "device", "pid"),
)
LEFT = frozenset({"name", "state", "device"})


def _updated_at(run: RunSummary) -> tuple[bool, str]:
    """Return when the run was last heard of; a run without that time sorts as the latest."""
    time = run.status.process.updated_at if run.status else ""
    return not time, time


ORDERS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda run: run.name,
    "state": lambda run: STATES.index(run.state) if run.state in STATES else len(STATES),
    "progress": lambda run: -(run.progress or 0.0),
    "step": lambda run: -(run.status.step if run.status else 0),
    "best": lambda run: _least(_metrics(run).get("loss")),
    "age": _updated_at,
    "device": lambda run: run.status.model.device if run.status else "",
    "pid": lambda run: run.status.process.pid if run.status else 0,
}
"""The sort key of each order."""
_DESCENDING = frozenset({"age"})


def sort_runs(runs: Iterable[RunSummary], order: str) -> list[RunSummary]:
    """Return the runs in one of `ORDERS`; equal runs keep their order."""
    return sorted(runs, key=ORDERS[order], reverse=order in _DESCENDING)


Signs = Literal["none", "ascii", "all"]


def cells_of(run: RunSummary, now: datetime, *, signs: Signs = "none") -> list[str]:
    """Return the cells of a run, one for each of `COLUMNS`; `signs` stand before the states."""
    status = run.status
    state = clean(run.state, 20)
    if signs != "none":
        state = f"{sign_in(run.state, plain=signs == 'ascii')} {state}"
    if status is None:
        return [clean(run.name), state, *("" for _ in COLUMNS[2:])]
    metrics = _metrics(run)
    progress, has_steps = run.progress, status.step > 0 or not status.is_starting
    return [
        clean(run.name),
        state,
        "-" if progress is None else f"{progress * 100:.0f} %",
        f"{status.epoch:,}" if has_steps else "-",
        f"{status.step:,}" if has_steps else "-",
        metric_text("loss", metrics.get("loss")),
        metric_text("accuracy", metrics.get("accuracy")),
        _age(status.process.updated_at, now),
        clean(status.model.device.replace(",", "").split(" ")[0], 24),
        str(status.process.pid) if run.is_live else "-",
    ]


def _age(updated_at: str, now: datetime) -> str:
    """Write how long ago that was, in the largest unit: 11s, 35m, 2h, 1d."""
    try:
        seconds = (now - datetime.fromisoformat(updated_at)).total_seconds()
    except (ValueError, TypeError):
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(max(seconds, 0))}s"


def _least(value: float | None) -> float:
    return float("inf") if value is None or math.isnan(value) else value


def _metrics(run: RunSummary) -> dict[str, float]:
    """Return the metrics of the best validation, or else of the last one."""
    scores = run.status.scores if run.status is not None else Scores()
    return scores.best or scores.validation
