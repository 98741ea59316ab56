"""`digest`: what of many events is worth a line in the log of the run screen.

Layer: ui. The words are those of `runs.describe`, which cleans them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tui_trainer.runs.describe import Entry, entries_of
from tui_trainer.runs.events import CheckpointSaved, Event, ValidationEnded


def digest(events: Iterable[Event], steps_per_epoch: int = 0) -> list[Entry]:
    """The entries of many events: of ordinary validations and checkpoints only the newest.

    A small model validates a hundred times between two looks, and nobody reads a hundred lines.
    """
    found = [(event, _is_ordinary(event), entries_of(event, steps_per_epoch)) for event in events]
    newest = {type(event): index for index, (event, ordinary, _) in enumerate(found) if ordinary}
    kept: list[Entry] = []
    for index, (event, ordinary, entries) in enumerate(found):
        if not ordinary or newest[type(event)] == index:
            kept += [replace(entry, at_s=event.at_s) for entry in entries]
    return kept


def _is_ordinary(event: Event) -> bool:
    return isinstance(event, CheckpointSaved) or (
        isinstance(event, ValidationEnded) and not event.on_demand
    )
