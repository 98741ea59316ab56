"""The history of a run from its files, for whoever did not see it happen.

Layer: runs. Read before a resume goes on, so that the plots begin where the run did; files that are
not there or torn leave gaps and are no error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.history import History
from tui_trainer.runs.journal import read_records

CURVES = ("train/loss", "lr", "grad_norm", "samples_per_s")


def read_history(run: RunDirectory, last_step: int) -> History:
    """The curves and marks up to a step, that one included."""
    history = History()
    for record in _records(run.metrics, last_step):
        step = record["step"]
        history.tick(step, _number(record.get("elapsed_s")))
        for name, value in record.items():
            if name in CURVES or name.startswith("val/"):
                history.put(name, step, (_number(value),))
    best: int | None = None
    for record in _records(run.events, last_step):
        step = record["step"]
        match record.get("event"):
            case "checkpoint_saved":
                history.mark("checkpoint", step)
            case "edited":
                text = f"{record.get('key')} {record.get('old')} -> {record.get('new')}"
                history.mark("edit", step, text)
            case "state_changed" if record.get("state") == "paused":
                history.mark("pause", step, str(record.get("reason", "")))
            case "non_finite":
                history.mark("nonfinite", step, str(record.get("what", "")))
            case "validation_ended" if record.get("improved") is True:
                best = step
    if best is not None:
        history.mark("best", best)
    return history


def _records(path: Path, last_step: int) -> Iterator[dict[str, Any]]:
    """Records with a step that is not later; of steps that go back, what follows counts."""
    try:
        for _, record in read_records(path):
            step = record.get("step")
            if isinstance(step, int) and not isinstance(step, bool) and 0 <= step <= last_step:
                yield record
    except OSError:
        return


def _number(value: object) -> float:
    """A number of a line; what was not finite is null there."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]
