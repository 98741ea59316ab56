"""The list of runs as rows and columns, and the orders it can have.

Layer: runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from tui_trainer.config.sections.metrics import metric_text
from tui_trainer.runs.index import STATES, RunSummary
from tui_trainer.runs.view import Scores
from tui_trainer.text.clean import clean

GAP = "  "
COLUMNS = (
    *("name", "state", "progress", "epoch", "step", "val loss", "accuracy"),
    *("age", "device", "pid"),
)
LEFT = frozenset({"name", "state", "device"})


def _updated_at(run: RunSummary) -> tuple[bool, str]:
    """When the run was last heard of; a run that does not say so counts as later than all."""
    time = run.status.process.updated_at if run.status else ""
    return not time, time


ORDERS: dict[str, Callable[[RunSummary], Any]] = {
    "name": lambda run: run.name,
    "state": lambda run: STATES.index(run.state) if run.state in STATES else len(STATES),
    "progress": lambda run: -(run.progress or 0.0),
    "step": lambda run: -(run.status.step if run.status else 0),
    "best": lambda run: _least(_metrics(run).get("loss")),
    "age": _updated_at,
    "device": lambda run: run.status.device if run.status else "",
    "pid": lambda run: run.status.process.pid if run.status else 0,
}
"""What runs are sorted by, in each order."""
_DESCENDING = frozenset({"age"})


def sort_runs(runs: Iterable[RunSummary], order: str) -> list[RunSummary]:
    """Return the runs in one of `ORDERS`; runs that are equal in it stay as they are."""
    return sorted(runs, key=ORDERS[order], reverse=order in _DESCENDING)


def cells_of(run: RunSummary, now: datetime) -> list[str]:
    """What `COLUMNS` are of a run."""
    status = run.status
    if status is None:
        return [clean(run.name), run.state, *("" for _ in COLUMNS[2:])]
    metrics = _metrics(run)
    progress = run.progress
    return [
        clean(run.name),
        clean(run.state, 20),
        "-" if progress is None else f"{progress * 100:.0f} %",
        str(status.epoch),
        f"{status.step:,}",
        metric_text("loss", metrics.get("loss")),
        metric_text("accuracy", metrics.get("accuracy")),
        _age(status.process.updated_at, now),
        clean(status.device.replace(",", "").split(" ")[0], 24),
        str(status.process.pid) if run.is_live else "-",
    ]


def _age(updated_at: str, now: datetime) -> str:
    """How long ago, in the largest unit: 11s, 35m, 2h, 1d."""
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
    """Of the best validation, or of the last one where none was the best."""
    scores = run.status.scores if run.status is not None else Scores()
    return scores.best or scores.validation
