"""`Log`: shows what happened, line by line, and what the program printed meanwhile.

Layer: ui. It scrolls by entries, and is not a `ScrollView`: that would lay out the whole screen
again with every line.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.strip import Strip
from textual.visual import RenderOptions
from textual.widget import Widget

from tui_trainer.runs.describe import Level, LogEntry, entries_of
from tui_trainer.runs.events import CheckpointSaved, Event, ValidationEnded
from tui_trainer.text.clean import clean

MOST_ENTRIES = 2000
_INDENT = len("00:00:00  ")

_STYLES = {"note": "", "warning": "bold $text-warning", "error": "bold $text-error"}


class Log(Widget, can_focus=True):
    """Shows the newest entries at the bottom, and follows them unless it was scrolled up."""

    DEFAULT_CSS = """
    Log { height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_entries(-1)", "Up", show=False),
        Binding("down,j", "scroll_entries(1)", "Down", show=False),
        Binding("pageup", "scroll_pages(-1)", "Page up", show=False),
        Binding("pagedown", "scroll_pages(1)", "Page down", show=False),
        Binding("home", "scroll_entries(-10000)", "Oldest", show=False),
        Binding("end", "scroll_entries(10000)", "Newest", show=False),
    ]

    def __init__(
        self, now: Callable[[], datetime] = datetime.now, *, plain: bool = False, id: str = "log"
    ) -> None:
        super().__init__(id=id)
        self._now = now
        self._rule = "-" if plain else "─"
        self._entries: deque[LogEntry] = deque(maxlen=MOST_ENTRIES)
        self._day: date | None = None
        """The day of the newest entry with a known time."""
        self._below = 0
        """The number of entries below the last one shown; 0 follows the end."""
        self._painted: list[Content] | None = None

    @property
    def entries(self) -> Sequence[LogEntry]:
        """All entries that are kept, the newest last."""
        return list(self._entries)

    def say(self, text: str, level: Level = "note") -> None:
        """Add a text that was printed, one entry per line."""
        lines = text.splitlines() or [""]
        at_s = self._now().timestamp()
        self.add([LogEntry(clean(line.expandtabs(4)), level, at_s) for line in lines])

    def add(self, entries: Sequence[LogEntry]) -> bool:
        """Add entries; return whether there were any."""
        if not entries:
            return False
        added = [one for entry in entries for one in self._with_day(entry)]
        self._entries.extend(added)
        if self._below:
            self._below = min(self._below + len(added), len(self._entries) - 1)
        self._repaint()
        return True

    def _with_day(self, entry: LogEntry) -> list[LogEntry]:
        """Return the entry, preceded by a line with its day if the day has changed."""
        if not entry.at_s:
            return [entry]
        before, self._day = self._day or self._now().date(), _time_of(entry).date()
        return [entry] if self._day == before else [_heading(self._day), entry]

    def action_scroll_entries(self, count: int) -> None:
        """Scroll to older entries (negative) or newer ones."""
        below = min(max(self._below - count, 0), max(len(self._entries) - 1, 0))
        if below != self._below:
            self._below = below
            self._repaint()

    def action_scroll_pages(self, count: int) -> None:
        """Scroll by as many entries as there are rows."""
        self.action_scroll_entries(count * max(self.size.height - 2, 1))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_entries(-1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_entries(1)

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
        width, height = self.size.width, self.size.height - 1
        rows: list[Content] = []
        shown = list(self._entries)[: len(self._entries) - self._below]
        for entry in reversed(shown):
            lines = _wrapped(entry, width)
            if len(rows) >= height:
                break
            if len(lines) > (room := height - len(rows)):
                # Cut its end: the beginning says what it is about and when it happened.
                rows = [*lines[: room - 1], _with_ellipsis(lines[room - 1], width), *rows]
                break
            rows = lines + rows
        return [self._title(width), *rows]

    def _title(self, width: int) -> Content:
        below = f" {self._below:,} more below, press end to follow" if self._below else ""
        left = f"{self._rule * 2} log{below} "
        style = "bold $accent" if self.has_focus else "$foreground-muted"
        return Content.styled(left.ljust(width, self._rule)[: max(width, 0)], style)


def _time_of(entry: LogEntry) -> datetime:
    return datetime.fromtimestamp(entry.at_s)


def _heading(day: date) -> LogEntry:
    return LogEntry(f"{day:%Y-%m-%d}")


def _wrapped(entry: LogEntry, width: int) -> list[Content]:
    """Return an entry as rows `width` cells wide; rows after the first are indented to its text."""
    indent = _INDENT if width >= 40 else 0
    # A wide character needs at least two cells.
    lines = Content.styled(entry.text, _STYLES[entry.level]).wrap(max(width - indent, 2))
    time = f"{_time_of(entry):%H:%M:%S}  " if entry.at_s else " " * _INDENT
    first = Content.styled(time, "$foreground-muted") if indent else Content("")
    rest = Content(" " * indent)
    return [(first if index == 0 else rest) + line for index, line in enumerate(lines)]


def _with_ellipsis(line: Content, width: int) -> Content:
    """Mark a row as not being the last one of its entry."""
    return line.rstrip().truncate(max(width - 1, 0)) + "…"


# Which events deserve a line in the log of the run screen. Their words come from `runs.describe`,
# which cleans them.


def digest(events: Sequence[Event], steps_per_epoch: int = 0) -> list[LogEntry]:
    """Return the log entries of events; of ordinary validations and checkpoints, only the newest.

    A small model may validate a hundred times between two polls, too often to be read.
    """
    newest: dict[type[Event], Event] = {}
    for event in events:
        if _is_ordinary(event):
            newest[type(event)] = event
    # Only those that are kept are put into words, which costs more than the rest of a poll.
    return [
        replace(entry, at_s=event.at_s)
        for event in events
        if not _is_ordinary(event) or newest[type(event)] is event
        for entry in entries_of(event, steps_per_epoch)
    ]


def _is_ordinary(event: Event) -> bool:
    return isinstance(event, CheckpointSaved) or (
        isinstance(event, ValidationEnded) and not event.on_demand
    )
