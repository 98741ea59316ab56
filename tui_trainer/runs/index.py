"""The list of the runs in a folder, from their status files alone.

Layer: runs. No YAML is read and torch is not imported: a thousand runs list at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tui_trainer.runs.directory import RunDirectory, check_run, run_names
from tui_trainer.runs.events import ENDED_STATES, FINAL_STATES
from tui_trainer.runs.folder import facts_of, open_folder
from tui_trainer.runs.status import conclude, status_in
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

STATES = (
    *("starting", "running", "pausing", "paused", "stopping", "suspended", "lost?"),
    *("finished", "stopped", "failed", "crashed", "unreadable"),
)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list; `status` is None where its file cannot be read."""

    name: str
    path: Path
    state: str
    status: RunView | None

    @property
    def is_live(self) -> bool:
        return self.status is not None and self.state not in ENDED_STATES

    @property
    def progress(self) -> float | None:
        """The share of the steps that is done; None where there is no last step."""
        if self.status is None or not self.status.total_steps:
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
    """The runs, live ones first, then the newest first."""
    real, here = Path(os.path.realpath(runs_dir)), socket.gethostname()
    now_there = cache(lambda: _now_there(real))
    names = run_names(runs_dir)
    statuses: dict[str, RunView | None] = {}
    found = []
    with contextlib.suppress(OSError), open_folder(real) as folder:
        statuses = {name: status_in(folder, name) for name in names}
    for name in names:
        run = RunDirectory(real / name)
        status = statuses.get(name)
        state = status.state if status is not None else "unreadable"
        if status is not None and state not in FINAL_STATES:
            elsewhere = status.process.host != here
            state = conclude(run, status, _age_s(run.status, now_there()) if elsewhere else 0.0)
        found.append(RunSummary(name, run.path, state, status))
    return sorted(found, key=lambda summary: not summary.is_live)


def unheard_s(run: RunDirectory) -> float:
    """For how long a run has said nothing, by the clock of its files alone."""
    return _age_s(run.status, _now_there(run.path))


def newest_live(runs_dir: Path) -> RunDirectory:
    """The newest of the runs that live; BadInput when none does."""
    runs = list_runs(runs_dir)
    if runs and runs[0].is_live:
        run = RunDirectory(runs[0].path)
        check_run(run)
        return run
    last = f"; the newest is {runs[0].name}, {runs[0].state}" if runs else ""
    raise BadInput(f"no live run in {clean(str(runs_dir))}{last}; tui-trainer attach RUN opens one")


def _now_there(folder: Path) -> float:
    """The time by the clock that stamps the files of a folder, which may be another host's."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b".")
            file.flush()
            return Path(f"/proc/self/fd/{file.fileno()}").stat().st_mtime
    except OSError:
        return time.time()


def _age_s(path: Path, now: float) -> float:
    """For how long a file has been as it is.

    A list is one look, and cannot see a heartbeat stand still; the file is replaced with each beat.
    """
    facts = facts_of(path)
    return max(now - facts.st_mtime, 0.0) if facts is not None else 0.0
