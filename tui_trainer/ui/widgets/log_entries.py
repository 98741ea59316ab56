"""What is read in the log of a run: the words of events, and of what was printed.

Layer: ui. Text for eyes, cleaned already.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from tui_trainer.runs.describe import describe, value_text
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    SaveFailed,
    StateChanged,
    ValidationEnded,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.figures import metrics_text
from tui_trainer.text.format import size_text

Level = Literal["note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be read, and when it happened: seconds of Unix, 0 where that is not known."""

    text: str
    level: Level = "note"
    at_s: float = 0.0


def _entries_of(event: Event, steps_per_epoch: int) -> list[Entry]:
    """What an event says in a log; nothing for what is shown elsewhere."""
    match event:
        case ValidationEnded():
            marks = ", best so far" if event.improved else ""
            marks += ", on demand" if event.on_demand else ""
            ends_epoch = not steps_per_epoch or event.step % steps_per_epoch == 0
            where = f"epoch {event.epoch:,}" if ends_epoch else f"step {event.step:,}"
            return [Entry(f"{where}: val {metrics_text(event.metrics)}{marks}")]
        case CheckpointSaved():
            best = " of the best" if event.best else ""
            size = size_text(event.size_bytes)
            return [Entry(f"checkpoint{best} saved at step {event.step:,} ({size})")]
        case Edited():
            change = f"{clean(event.key, 60)} {value_text(event.old)} -> {value_text(event.new)}"
            return [Entry(f"{change} by {clean(event.origin, 40)}, from step {event.step + 1:,}")]
        case CommandAccepted() if event.origin == "you":
            # The screen has answered the key already.
            return []
        case CommandAccepted() if event.command == "set":
            # The edit, or why it is refused, has the name too.
            return []
        case CommandApplied() if event.refused:
            return [Entry(clean(line, 1000), "warning") for line in describe(event)]
        case SaveFailed() | NonFinite():
            return [Entry(f"error: {clean(line, 1000)}", "error") for line in describe(event)]
        case Notice():
            prefix = "" if event.level == "note" else f"{event.level}: "
            return [Entry(prefix + clean(event.text), event.level)]
        case RunEnded():
            level: Level = "error" if event.state == "failed" else "note"
            return [Entry(f"{event.state}: {clean(event.reason, 1000)}", level)]
        case StateChanged() if event.state == "pausing":
            return []
        case RunStarted() | StateChanged() | CommandAccepted():
            return [Entry(clean(line.strip(), 1000)) for line in describe(event)]
        case _:
            return []


def digest(events: Iterable[Event], steps_per_epoch: int = 0) -> list[Entry]:
    """The entries of many events: of ordinary validations and checkpoints only the newest.

    A small model validates a hundred times between two looks, and nobody reads a hundred lines.
    """
    found = [(event, _is_ordinary(event), _entries_of(event, steps_per_epoch)) for event in events]
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
