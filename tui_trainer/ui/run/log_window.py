"""`LogWindow`: which entries of a log are in view: its filter, its search, and how far up it is.

Layer: ui. It draws nothing; `Log` does. Places are indices into `shown`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tui_trainer.runs.describe import LogEntry
from tui_trainer.runs.log import Filter, RunLog, passes, text_pattern


class LogWindow:
    """Follows the newest entry, unless it was scrolled up or a search has led it elsewhere."""

    def __init__(self) -> None:
        self.log = RunLog()
        self.limit: Filter = "all"
        self.shown: list[LogEntry] = self.log.entries
        """The entries that the filter lets through; with `all`, the list of the log itself."""
        self.pattern = text_pattern("")
        self.found: int | None = None
        """The match that the search is at."""
        self._matches: list[int] = []
        self._end: int | None = None
        """The end of the entries in view; None follows the newest."""

    @property
    def end(self) -> int:
        """The place after the last entry in view."""
        return len(self.shown) if self._end is None else self._end

    @property
    def below(self) -> int:
        """The number of entries below those in view."""
        return len(self.shown) - self.end

    @property
    def search_state(self) -> tuple[int, int]:
        """The number of the match that the search is at, from 1, and how many there are."""
        if self.found is None:
            return 0, len(self._matches)
        return bisect_left(self._matches, self.found) + 1, len(self._matches)

    def add(self, entry: LogEntry) -> None:
        """Add an entry; those in view stay where they are."""
        taken_in = self.log.add(entry)
        passing = passes(entry.level, self.limit)
        if self.limit != "all" and passing:
            self.shown.append(entry)
        elif taken_in is not None and passing:
            self._close_gap(taken_in)
        if passing:
            self._match(len(self.shown) - 1)
        # The list of the log itself may get shorter.
        before = len(self.shown)
        if self.log.drop_oldest():
            self._filter()
            self._move(len(self.shown) - before)

    def put_before(self, earlier: RunLog) -> None:
        """Put the entries of earlier events before those that are there."""
        before = len(self.shown)
        for entry in self.log.entries:
            earlier.add(entry)
        self.log = earlier
        self._filter()
        self._move(len(self.shown) - before)

    def limit_to(self, limit: Filter) -> None:
        """Show only entries that pass a filter; the last one in view stays there if it passes."""
        entries = self.log.entries
        last = self.shown[self.end - 1] if self._end else None
        self.limit = limit
        self._filter()
        if last is not None:
            until = next(at for at in range(len(entries), 0, -1) if entries[at - 1] is last)
            passing = sum(passes(entry.level, limit) for entry in entries[:until])
            # Where nothing passes, there is no place to keep.
            self._end = max(passing, 1) if self.shown else None
        self.found = None

    def follow(self) -> None:
        """Follow the newest entry."""
        self._end = None

    def scroll(self, count: int, least_end: int) -> bool:
        """Move to older entries (negative) or newer ones; return whether that changed anything.

        The view ends at `least_end` or later.
        """
        end = min(max(self.end + count, least_end), len(self.shown))
        new = None if end == len(self.shown) else end
        if new == self._end:
            return False
        self._end = new
        return True

    # The search. It marks its matches in all entries, and is at one of them.

    def search(self, text: str, top: int, rows: int) -> None:
        """Search for a text, and go to its newest match that is not below the view.

        `top` is the first entry in view, and `rows` the number of rows.
        """
        self.pattern = text_pattern(text)
        self._match_all()
        self.found = None
        if self._matches:
            at = bisect_right(self._matches, self.end - 1) - 1
            self._go(self._matches[max(at, 0)], top, rows)

    def step(self, count: int, top: int, rows: int) -> None:
        """Go to the next match (1) or the previous one (-1); after the last comes the first."""
        if not self._matches:
            return
        place = self.end - 1 if self.found is None else self.found
        if count > 0:
            at = bisect_right(self._matches, place)
        else:
            at = bisect_left(self._matches, place) - 1
        self._go(self._matches[at % len(self._matches)], top, rows)

    def _go(self, place: int, top: int, rows: int) -> None:
        self.found = place
        if top <= place < self.end:
            # It stays in view when more is added.
            self._end = self.end
        else:
            self._end = min(place + 1 + rows // 2, len(self.shown))

    def _match(self, place: int) -> None:
        if self.pattern is not None and self.pattern.search(self.shown[place].text):
            self._matches.append(place)

    def _match_all(self) -> None:
        self._matches = []
        for place in range(len(self.shown) if self.pattern else 0):
            self._match(place)

    def _filter(self) -> None:
        entries = self.log.entries
        is_all = self.limit == "all"
        self.shown = entries if is_all else [it for it in entries if passes(it.level, self.limit)]
        self._match_all()

    def _move(self, count: int) -> None:
        """Keep the view and the search where they are after entries were put or dropped before."""
        if self._end is not None:
            self._end = max(self._end + count, min(1, len(self.shown)))
        if self.found is not None:
            self.found = self.found + count if self.found + count >= 0 else None

    def _close_gap(self, place: int) -> None:
        """Keep the view and the search where they are after an entry was taken out."""
        self._matches = [at - (at > place) for at in self._matches if at != place]
        if self._end is not None and place < self._end:
            self._end = max(self._end - 1, 1)
        if self.found is not None and place <= self.found:
            # The entry that took it in is the newest.
            self.found = len(self.shown) - 1 if place == self.found else self.found - 1
