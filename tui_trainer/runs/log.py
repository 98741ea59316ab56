"""`RunLog`: the entries of a run's log; `EarlierEvents`: those that only its files have.

Layer: runs. Every validation has an entry of its own, and consecutive saves share one, so that the
log of a long run stays readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal, get_args

from tui_trainer.runs.describe import Level, LogEntry, entries_of, saves_text
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import Event, RunStarted
from tui_trainer.runs.tail import records_within

MOST_ENTRIES = 100_000
"""The most entries that are kept, in about 25 MB."""
_SPARE = 1000
"""The entries that are dropped at a time, because dropping any moves all others."""
MOST_EARLIER_BYTES = 32 * 2**20
"""The most that is read of the events before those that a session has seen."""

Filter = Literal["all", "important", "warnings"]
FILTERS: tuple[Filter, ...] = get_args(Filter)
"""From all entries to the fewest."""
_SHOWN: dict[Filter, frozenset[Level]] = {
    "all": frozenset(get_args(Level)),
    "important": frozenset({"note", "warning", "error"}),
    "warnings": frozenset({"warning", "error"}),
}


def passes(level: Level, limit: Filter) -> bool:
    """Return whether entries of a level are shown under a filter."""
    return level in _SHOWN[limit]


def text_pattern(text: str) -> re.Pattern[str] | None:
    """Return a pattern that finds a text in upper or lower case; None for an empty text."""
    return re.compile(re.escape(text.strip()), re.IGNORECASE) if text.strip() else None


class RunLog:
    """A bounded list of entries, the newest last."""

    def __init__(self, steps_per_epoch: int = 0) -> None:
        self.entries: list[LogEntry] = []
        self.steps_per_epoch = steps_per_epoch
        self._saves_at: int | None = None
        """The index of the newest save, if only validations came after it."""

    def entries_of(self, event: Event) -> list[LogEntry]:
        """Return the entries that an event makes, to be added."""
        if isinstance(event, RunStarted):
            self.steps_per_epoch = event.steps_per_epoch
        entries = entries_of(event, self.steps_per_epoch)
        return [replace(entry, at_s=event.at_s) for entry in entries]

    def add(self, entry: LogEntry) -> int | None:
        """Add an entry; return the index of an older save that it has taken in, if any."""
        taken_in = self._saves_at if entry.saves else None
        if taken_in is not None:
            saves = self.entries.pop(taken_in).saves + entry.saves
            entry = replace(entry, saves=saves, text=saves_text(saves, entry.step))
        self.entries.append(entry)
        if entry.saves:
            self._saves_at = len(self.entries) - 1
        elif not entry.is_validation:
            # Whatever else happened stays between the saves before it and those after it.
            self._saves_at = None
        return taken_in

    def put_first(self, entry: LogEntry) -> None:
        """Put an entry before all others."""
        self.entries.insert(0, entry)
        if self._saves_at is not None:
            self._saves_at += 1

    def drop_oldest(self) -> int:
        """Drop the oldest entries if there are too many; return how many were dropped."""
        if len(self.entries) < MOST_ENTRIES + _SPARE:
            return 0
        dropped = len(self.entries) - MOST_ENTRIES
        del self.entries[:dropped]
        if self._saves_at is not None:
            self._saves_at = self._saves_at - dropped if self._saves_at >= dropped else None
        return dropped


class EarlierEvents:
    """The events of a run before those that a session has seen; only its files have them."""

    def __init__(self, run: RunDirectory, size: int) -> None:
        """Make it for the first `size` bytes of events.jsonl."""
        self._run = run
        self.size = size

    def read(self, steps_per_epoch: int = 0, most_bytes: int = MOST_EARLIER_BYTES) -> RunLog:
        """Read their entries, the newest if there are very many; for a thread, as it may take long.

        `steps_per_epoch` is used until a start of the run says how long its epochs are.
        """
        log = RunLog(steps_per_epoch)
        start = max(self.size - most_bytes, 0)
        for events in self._parts(start):
            for event in events:
                _add_all(log, log.entries_of(event))
            log.drop_oldest()
        if start:
            command = self._run.command("logs")
            log.put_first(LogEntry(f"{command} prints what came before this"))
        return log

    def events(self) -> Iterator[Event]:
        """Yield all of them, reading as much of the file as that needs."""
        for events in self._parts(0):
            yield from events

    def _parts(self, start: int) -> Iterator[list[Event]]:
        for records in records_within(self._run.events, start, self.size):
            yield [event for record in records if (event := event_of(record)) is not None]


def _add_all(log: RunLog, entries: Iterable[LogEntry]) -> None:
    for entry in entries:
        log.add(entry)
