"""`last_end`: how the newest start of a run ended, from events.jsonl.

Layer: runs. Baselines and the confusion matrix are only there, because status.json is small.
"""

from __future__ import annotations

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import RunEnded, RunStarted
from tui_trainer.runs.paths import size_of
from tui_trainer.runs.records import event_of
from tui_trainer.runs.tail import records_before

_TAIL_BYTES = 256 * 1024


def last_end(run: RunDirectory) -> RunEnded | None:
    """Return the end of the newest start; None if that start has none, or it cannot be read."""
    for record in reversed(records_before(run.events, size_of(run.events), _TAIL_BYTES)):
        event = event_of(record)
        if isinstance(event, RunEnded):
            return event
        if isinstance(event, RunStarted):
            return None
    return None
