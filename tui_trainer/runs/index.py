"""The list of the runs in a folder, from their status files alone.

Layer: runs. No YAML is read and torch is not imported: a thousand runs list at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tui_trainer.runs.directory import RunDirectory, run_names
from tui_trainer.runs.events import FINAL_STATES
from tui_trainer.runs.status import Status, conclude, read_status


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list; `status` is None where its file cannot be read."""

    name: str
    path: Path
    state: str
    status: Status | None

    @property
    def is_live(self) -> bool:
        return self.status is not None and self.state not in (*FINAL_STATES, "crashed")

    def to_dict(self) -> dict[str, Any]:
        plain: Mapping[str, Any] = asdict(self.status) if self.status else {}
        return {**plain, "name": self.name, "path": str(self.path), "state": self.state}


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """The runs, live ones first, then the newest first."""
    found = []
    for name in run_names(runs_dir):
        run = RunDirectory((runs_dir / name).absolute())
        status = read_status(run.status)
        state = conclude(run, status) if status else "unreadable"
        found.append(RunSummary(name, run.path, state, status))
    return sorted(found, key=lambda summary: not summary.is_live)
