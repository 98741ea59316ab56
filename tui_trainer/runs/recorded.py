"""The history of a run from its files, for whoever did not see it happen.

Layer: runs. Read before a resume goes on, so that the plots begin where the run did; files that are
not there or torn leave gaps and are no error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count, islice, takewhile
from pathlib import Path
from typing import Any

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.history import History
from tui_trainer.runs.journal import read_records

CURVES = ("train/loss", "lr", "grad_norm", "samples_per_s")
MOST_LINES = 50_000
"""Lines of metrics.jsonl that are read, some two seconds' worth; those of validations aside."""
_AT_ONCE = 4096
"""Lines that are brought into the curves together, which is faster than one by one."""

_Validations = dict[str, dict[int, float]]
"""By the name of a series, its values by their step."""


def read_history(run: RunDirectory, last_step: int) -> History:
    """The curves and marks up to a step, that one included.

    What an earlier resume set aside is not in them. Of a very long file only every n-th line is
    read: the curves are of a thousand buckets anyway.
    """
    history = History()
    on_demand = _read_events(run.events, last_step, history)
    validations = _read_metrics(run.metrics, last_step, history)
    for step, metrics in on_demand:
        for name, value in metrics.items():
            # At the step of a scheduled one it measured the same weights.
            validations.setdefault(f"val/{name}", {}).setdefault(step, _number(value))
    for name, values in validations.items():
        steps = sorted(values)
        history.put(name, steps, [values[step] for step in steps])
    return history


def _read_metrics(path: Path, last_step: int, history: History) -> _Validations:
    """Bring the lines of metrics.jsonl into the curves; what they say of validations comes back."""
    validations: _Validations = {}
    newest = -1
    records = takewhile(lambda line: line["step"] <= last_step, _records(path, _few(path)))
    while lines := list(islice(records, _AT_ONCE)):
        kept = []
        for line in lines:
            step = line["step"]
            # Nobody writes steps that go back; somebody may have edited the file.
            if step > newest:
                newest = step
                kept.append(line)
                history.time(step, _number(line.get("elapsed_s")))
            for name in line.keys() - CURVES:
                if name.startswith("val/"):
                    validations.setdefault(name, {})[step] = _number(line[name])
        for name in CURVES:
            having = [line for line in kept if name in line]
            steps = [line["step"] for line in having]
            history.put(name, steps, [_number(line[name]) for line in having])
    return validations


def _read_events(path: Path, last_step: int, history: History) -> list[tuple[int, dict[str, Any]]]:
    """Bring the marks of events.jsonl into the history; validations on demand come back."""
    on_demand: list[tuple[int, dict[str, Any]]] = []
    for record in _records(path):
        step = record["step"]
        if step > last_step:
            continue
        match record:
            case {"event": "run_started", "steps_per_epoch": int(steps_per_epoch)}:
                history.restart(step, steps_per_epoch)
                on_demand = [asked for asked in on_demand if asked[0] <= step]
            case {"event": "checkpoint_saved"}:
                history.mark("checkpoint", step)
            case {"event": "edited", "key": key, "old": old, "new": new}:
                history.mark("edit", step, f"{key} {old} -> {new}")
            case {"event": "state_changed", "state": "paused"}:
                history.mark("pause", step, str(record.get("reason", "")))
            case {"event": "non_finite"}:
                history.mark("nonfinite", step, str(record.get("what", "")))
            case {"event": "validation_ended", "on_demand": True, "metrics": dict(metrics)}:
                on_demand.append((step, metrics))
            case {"event": "validation_ended", "improved": True}:
                history.mark("best", step)
    return on_demand


def _records(
    path: Path, wanted: Callable[[bytes], bool] = lambda line: True
) -> Iterator[dict[str, Any]]:
    """The records that are of a step."""
    with suppress(OSError):
        for _, record in read_records(path, wanted=wanted):
            step = record.get("step")
            if type(step) is int and step >= 0:
                yield record


def _few(path: Path) -> Callable[[bytes], bool]:
    """Which lines to read: all of an ordinary file."""
    try:
        with path.open("rb") as file:
            lines = path.stat().st_size // max(len(file.readline()), 1)
    except OSError:
        lines = 0
    every = -(-lines // MOST_LINES)
    numbers = count()

    def wanted(line: bytes) -> bool:
        return next(numbers) % every == 0 or b'"val/' in line

    return wanted if every > 1 else lambda line: True


def _number(value: object) -> float:
    """A number of a line; NaN for what was not finite, which is null there, and for the rest."""
    if type(value) is float:
        return value
    with suppress(OverflowError):
        if type(value) is int:
            return float(value)
    return math.nan
