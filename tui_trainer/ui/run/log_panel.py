"""`Log`: shows what happened, line by line, and what the program printed meanwhile.

Layer: ui. It scrolls by entries, and is not a `ScrollView`: that would lay out the whole screen
again with every line.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.strip import Strip
from textual.visual import RenderOptions
from textual.widget import Widget

from tui_trainer.runs.describe import Level, LogEntry
from tui_trainer.runs.events import Event
from tui_trainer.runs.log import FILTERS, EarlierEvents, Filter
from tui_trainer.text.clean import clean
from tui_trainer.ui.run.log_window import LogWindow
from tui_trainer.ui.shared.bindings import bindings_of

AT_ONCE_BYTES = 2**18
"""Earlier events up to this size are read when the screen opens; more, when they are wanted."""
_ENDLESS = 10**9
_INDENT = len("00:00:00  ")
_STYLES = {"detail": "", "note": "", "warning": "bold $text-warning", "error": "bold $text-error"}
_SCROLLS = {
    "older": "scroll_entries(-1)",
    "newer": "scroll_entries(1)",
    "page_older": "scroll_pages(-1)",
    "page_newer": "scroll_pages(1)",
    "oldest": f"scroll_entries({-_ENDLESS})",
    "newest": f"scroll_entries({_ENDLESS})",
}
FILTER_NAMES: dict[Filter, tuple[str, str]] = {
    "important": ("important", "nothing important yet"),
    "warnings": ("warnings and errors", "no warnings or errors yet"),
}
"""What a filter shows, in the title: where something passes it, and where nothing does."""


class Log(Widget, can_focus=True):
    """Shows the newest entries at the bottom, and follows them unless it was scrolled up."""

    DEFAULT_CSS = """
    Log { height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*bindings_of("log", _SCROLLS)]

    def __init__(
        self,
        now: Callable[[], datetime] = datetime.now,
        *,
        earlier: Callable[[], EarlierEvents | None] = lambda: None,
        plain: bool = False,
        id: str = "log",
    ) -> None:
        """Make a log; `earlier` returns the events from before the first that is added here."""
        super().__init__(id=id)
        self._now = now
        self._rule = "-" if plain else "─"
        self._window = LogWindow()
        self._earlier = earlier
        self._wants_earlier = False
        self._reading = ""
        """What is being read, for the title; empty if nothing is."""
        self._has_read = False
        self._query = ""
        self._top = 0
        """The first entry in view."""
        self._painted: list[Content] | None = None

    @property
    def entries(self) -> Sequence[LogEntry]:
        """All entries that are kept, the newest last."""
        return list(self._window.log.entries)

    def say(self, text: str, level: Level = "note") -> None:
        """Add a text that was printed, one entry per line."""
        lines = text.splitlines() or [""]
        at_s = self._now().timestamp()
        self._add([LogEntry(clean(line.expandtabs(4)), level, at_s) for line in lines])

    def add(self, new: Sequence[Event], steps_per_epoch: int = 0) -> None:
        """Add the entries of events; an epoch of their run has `steps_per_epoch` steps."""
        self._window.log.steps_per_epoch = steps_per_epoch
        self._add([entry for event in new for entry in self._window.log.entries_of(event)])
        self._read_earlier()

    def _add(self, entries: Sequence[LogEntry]) -> None:
        for entry in entries:
            self._window.add(entry)
        if entries:
            self._repaint()

    # The events before those that this process has seen. Reading many of them takes seconds of a
    # processor on which the run may be training, so that waits until the user wants to see them.

    def want_earlier(self) -> None:
        """Read earlier events, however many there are."""
        self._wants_earlier = True
        self._read_earlier()

    def _read_earlier(self) -> None:
        earlier = None if self._has_read else self._earlier()
        if earlier is not None and (self._wants_earlier or earlier.size <= AT_ONCE_BYTES):
            self._has_read = True
            self.run_worker(self._put_before(earlier), group="earlier", exit_on_error=False)

    async def _put_before(self, earlier: EarlierEvents) -> None:
        self._reading = "reading earlier entries"
        self._repaint()
        try:
            log = await asyncio.to_thread(earlier.read, self._window.log.steps_per_epoch)
            self._window.put_before(log)
        finally:
            self._reading = ""
            self._repaint()

    # Scrolling, filtering and searching.

    def action_scroll_entries(self, count: int) -> None:
        """Scroll to older entries (negative) or newer ones."""
        if count < 0:
            self.want_earlier()
        if self._window.scroll(count, self._least_end()):
            self._repaint()

    def _least_end(self) -> int:
        """Return the place after the entries that fill the view from the oldest one on."""
        place, rows = 0, self._rows
        while place < len(self._window.shown):
            rows -= len(self._lines_of(place, self.size.width))
            if rows < 0:
                break
            place += 1
        return max(place, min(1, len(self._window.shown)))

    def action_scroll_pages(self, count: int) -> None:
        """Scroll by as many entries as there are rows."""
        self.action_scroll_entries(count * max(self.size.height - 2, 1))

    def follow(self) -> None:
        """Follow the newest entry again."""
        self._window.follow()
        self._repaint()

    def turn_filter(self) -> None:
        """Show fewer levels, or all of them again."""
        self.want_earlier()
        at = FILTERS.index(self._window.limit)
        self._window.limit_to(FILTERS[(at + 1) % len(FILTERS)])
        self._repaint()

    def search(self, text: str) -> None:
        """Mark a text wherever it occurs, and go to its newest place; an empty text ends that."""
        if text:
            self.want_earlier()
        self._query = text.strip()
        self._window.search(self._query, self._top, self._rows)
        self._repaint()
        self.refresh_bindings()

    def action_next_match(self) -> None:
        """Go to the next match of the search."""
        self._step(1)

    def action_previous_match(self) -> None:
        """Go to the previous match of the search."""
        self._step(-1)

    def _step(self, count: int) -> None:
        self._window.step(count, self._top, self._rows)
        self._repaint()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the next and the previous match only during a search."""
        return bool(self._query) or action not in ("next_match", "previous_match")

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_entries(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_entries(1)

    # Drawing.

    def on_resize(self) -> None:
        self._repaint()

    def on_focus(self) -> None:
        self._repaint()

    def on_blur(self) -> None:
        self._repaint()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painted = None

    def _repaint(self) -> None:
        self._painted = None
        self.refresh()

    @property
    def _rows(self) -> int:
        return max(self.size.height - 1, 0)

    def render_line(self, y: int) -> Strip:
        if self._painted is None:
            self._painted = self._paint()
        width, style = self.size.width, self.visual_style
        if y >= len(self._painted):
            return Strip.blank(width, style.rich_style)
        options = RenderOptions(self._get_style, {})
        strips = self._painted[y].render_strips(width, 1, style, options)
        return strips[0] if strips else Strip.blank(width, style.rich_style)

    def _paint(self) -> list[Content]:
        """Return the title and the rows below it, filled from the newest shown entry upwards."""
        width, height = self.size.width, self._rows
        rows: list[Content] = []
        place = self._window.end
        while place > 0 and len(rows) < height:
            place -= 1
            lines = self._lines_of(place, width)
            if len(lines) > (room := height - len(rows)):
                # Cut its end: the beginning says what it is about and when it happened.
                lines = [*lines[: room - 1], _with_ellipsis(lines[room - 1], width)]
            rows = lines + rows
        self._top = place
        return [self._title(width), *rows]

    def _lines_of(self, place: int, width: int) -> list[Content]:
        """Return an entry as rows, below a row with its day if that is another than before."""
        window = self._window
        entry = window.shown[place]
        lines = _wrapped(entry, width, window.pattern, is_found=place == window.found)
        if entry.at_s and (day := _time_of(entry).date()) != self._day_before(place):
            lines = [Content(" " * (_INDENT if width >= 40 else 0) + f"{day:%Y-%m-%d}"), *lines]
        return lines

    def _day_before(self, place: int) -> date:
        """Return the day of the newest entry before one; today if none has a time."""
        shown = self._window.shown
        timed = (shown[at] for at in range(place - 1, -1, -1) if shown[at].at_s)
        before = next(timed, None)
        return self._now().date() if before is None else _time_of(before).date()

    def _title(self, width: int) -> Content:
        window = self._window
        parts = [f"{self._rule * 2} log"]
        if window.limit != "all":
            some, none = FILTER_NAMES[window.limit]
            parts.append(some if window.shown else none)
        if self._query:
            at, count = window.search_state
            counted = f"{at:,} of {count:,}" if at else f"{count:,} found"
            parts.append(f"{clean(self._query, 20)}: {counted if count else 'not found'}")
        if window.below:
            parts.append(f"{window.below:,} more below, press end to follow")
        if self._reading:
            parts.append(self._reading)
        style = "bold $accent" if self.has_focus else "$foreground-muted"
        left = ", ".join(parts).replace(" log, ", " log  ", 1) + " "
        return Content.styled(left.ljust(width, self._rule)[: max(width, 0)], style)


def _time_of(entry: LogEntry) -> datetime:
    return datetime.fromtimestamp(entry.at_s)


def _wrapped(
    entry: LogEntry, width: int, pattern: re.Pattern[str] | None, *, is_found: bool
) -> list[Content]:
    """Return an entry as rows `width` cells wide; rows after the first are indented to its text.

    Matches of the pattern are marked; those of the entry that a search has found, more strongly.
    """
    indent = _INDENT if width >= 40 else 0
    text = Content.styled(entry.text, _STYLES[entry.level])
    for match in pattern.finditer(entry.text) if pattern else ():
        mark = "bold reverse" if is_found else "underline $text-accent"
        text = text.stylize(mark, match.start(), match.end())
    # A wide character needs at least two cells.
    lines = text.wrap(max(width - indent, 2))
    time = f"{_time_of(entry):%H:%M:%S}  " if entry.at_s else " " * _INDENT
    first = Content.styled(time, "$foreground-muted") if indent else Content("")
    rest = Content(" " * indent)
    return [(first if index == 0 else rest) + line for index, line in enumerate(lines)]


def _with_ellipsis(line: Content, width: int) -> Content:
    """Mark a row as not being the last one of its entry."""
    return line.rstrip().truncate(max(width - 1, 0)) + "…"
