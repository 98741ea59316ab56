"""The differences between runs: in their settings, and in their results.

Layer: runs. Names and descriptions are not compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui_trainer.runs.filters import metrics_of
from tui_trainer.runs.index import RunSummary

_UNSAID = frozenset({"name", "description"})
_MISSING = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not the same in all runs; None in `values` where a run lacks it."""

    key: str
    values: tuple[Any, ...]
    has: tuple[bool, ...]


def differences(settings: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Return the settings that are not equal in all runs, in the order of their sections."""
    keys = dict.fromkeys(key for own in settings for key in own if key not in _UNSAID)
    differing = []
    for key in keys:
        values = [own.get(key, _MISSING) for own in settings]
        if any(value is _MISSING or value != values[0] for value in values):
            has = tuple(value is not _MISSING for value in values)
            known = tuple(None if value is _MISSING else value for value in values)
            differing.append(Difference(key, known, has))
    return differing


def results(runs: Sequence[RunSummary]) -> list[tuple[str, list[float | None]]]:
    """Return the metrics of the best validation and the test, one row per metric.

    A run that lacks the metric has None.
    """
    metrics = [metrics_of(run) for run in runs]
    names = dict.fromkeys(name for own in metrics for name in own if "." in name)
    ordered = sorted(names, key=lambda name: not name.startswith("val."))
    return [(name, [own.get(name) for own in metrics]) for name in ordered]
