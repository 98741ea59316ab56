"""`Plot`: one panel of curves.

Layer: ui. It is drawn only when its `look` is called: with the same version of the history, view
and size that costs nothing, and otherwise only the cells that differ are repainted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui_trainer.runs.history import History
from tui_trainer.ui.plots.canvas import (
    AXIS,
    CURSOR,
    NOTE,
    OTHER,
    PLAIN,
    SIGN,
    TITLE,
    TRAIN,
    VAL,
    LineDrawing,
    Row,
)
from tui_trainer.ui.plots.figure import draw
from tui_trainer.ui.plots.frame import message, rows
from tui_trainer.ui.plots.markers import Markers
from tui_trainer.ui.plots.panels import PanelSpec, View
from tui_trainer.ui.plots.picture import picture

WAITING = "Waiting for the first step"

INK_CLASSES = {
    TRAIN: "plot--train",
    TRAIN.upper(): "plot--train-faint",
    VAL: "plot--val",
    VAL.upper(): "plot--val-faint",
    OTHER: "plot--other",
    OTHER.upper(): "plot--other-faint",
    AXIS: "plot--axis",
    SIGN: "plot--sign",
    TITLE: "plot--title",
    NOTE: "plot--note",
    CURSOR: "plot--cursor",
}


class Plot(Widget):
    """A panel; the screen updates it by calling `look`."""

    DEFAULT_CSS = """
    Plot {
        width: 1fr;
        height: 1fr;
        .plot--train { color: $text-primary; }
        .plot--train-faint { color: $text-primary 40%; }
        .plot--val { color: $text-warning; }
        .plot--val-faint { color: $text-warning 40%; }
        .plot--other { color: $text-success; }
        .plot--other-faint { color: $text-success 40%; }
        .plot--axis, .plot--note { color: $text-muted; }
        .plot--sign { color: $text-error; }
        .plot--title { color: $text; }
        .plot--cursor { color: $text-accent; }
        &.-chosen .plot--title { text-style: bold; }
        &:ansi {
            .plot--train-faint, .plot--val-faint, .plot--other-faint {
                color: ansi_bright_black;
            }
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = set(INK_CLASSES.values())

    class Pointed(Message):
        """Posted when the mouse points at a column of the canvas, where the crosshair should go."""

        def __init__(self, plot: Plot, column: int, clicked: bool) -> None:
            super().__init__()
            self.plot = plot
            self.column = column
            self.clicked = clicked

    def __init__(
        self, spec: PanelSpec, markers: Markers, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._clock = clock
        self.spec = spec
        self._markers = markers
        self._history: History | None = None
        self._view = View()
        self._drawn: tuple[object, ...] = ()
        self.drawing: LineDrawing | None = None
        """What the canvas shows; None before there is anything."""
        self.names_signs = True
        """Whether the title names the signs; of several plots, one does."""
        self.looked_s = clock()
        """When `look` was called last."""
        self._looked_until: tuple[int, ...] = ()
        self._rows: list[Row] = []
        self._styles: dict[str, Style] = {}
        self._strips: dict[int, Strip] = {}

    def look(self, history: History, view: View) -> bool:
        """Draw what is new; return whether there was anything."""
        self._history, self._view = history, view
        self.looked_s, self._looked_until = self._clock(), self._newest(history)
        return self._redraw()

    def has_news(self, history: History) -> bool:
        """Return whether a curve of the panel has got points since the last `look`."""
        return self._newest(history) != self._looked_until

    def _newest(self, history: History) -> tuple[int, ...]:
        return tuple(history.last(series.name) for series in self.spec.series)

    def choose(self, spec: PanelSpec) -> None:
        """Show these series from the next `look` on."""
        self.spec = spec

    def _redraw(self) -> bool:
        history, (width, height) = self._history, self.size
        if history is None or not self.display or width < 1 or height < 1:
            return False
        state = (history, history.version, self._view, self.spec, width, height, self.names_signs)
        if state == self._drawn:
            return False
        self._drawn = state
        shown = picture(
            history,
            self.spec,
            self._view,
            width,
            height,
            self._markers,
            names_signs=self.names_signs,
        )
        self.drawing = shown.drawing if shown else None
        if shown is None:
            new = message(WAITING, width, height)
        else:
            new = rows(shown.drawing, draw(shown.drawing), shown.around, width, height)
        return self._show(new)

    def _show(self, new: list[Row]) -> bool:
        """Refresh the cells in which the rows differ from those on the screen."""
        old, self._rows = self._rows, new
        if len(old) != len(new) or (old and len(old[0].text) != len(new[0].text)):
            self._strips.clear()
            self.refresh()
            return True
        regions = []
        for y, (before, after) in enumerate(zip(old, new, strict=True)):
            span = changed_span(before, after)
            if span is not None:
                self._strips.pop(y, None)
                regions.append(Region(span[0], y, span[1] - span[0], 1))
        if regions:
            self.refresh(*regions)
        return bool(regions)

    def render_line(self, y: int) -> Strip:
        if y not in self._strips:
            if y >= len(self._rows):
                return Strip.blank(self.size.width, self.rich_style)
            self._strips[y] = strip_of(self._rows[y], self._inks())
        return self._strips[y]

    def _inks(self) -> dict[str, Style]:
        """Return the style of each ink in the current theme, on the widget's background."""
        if not self._styles:
            for ink, name in INK_CLASSES.items():
                self._styles[ink] = self.get_component_rich_style(name)
            self._styles[PLAIN] = self.rich_style
        return self._styles

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def on_resize(self) -> None:
        self._redraw()

    def on_show(self) -> None:
        self._redraw()

    def on_click(self, event: events.Click) -> None:
        self._point(event, clicked=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point(event, clicked=False)

    def _point(self, event: events.MouseEvent, *, clicked: bool) -> None:
        if self.drawing is not None:
            left = self.size.width - self.drawing.width
            self.post_message(self.Pointed(self, event.x - left, clicked))


# Rows of characters and inks as Textual's strips. Consecutive cells of one ink form one segment,
# and blanks join the segment before them, because each change of style sends some twenty bytes to
# the terminal.


def strip_of(row: Row, styles: Mapping[str, Style]) -> Strip:
    """Convert a row to a strip with these styles; an ink without a style is painted plain."""
    # Textual's filters do not accept a segment without a style.
    segments = [Segment(text, styles.get(ink, Style.null())) for ink, text in _runs(row)]
    return Strip(segments, len(row.text))


def _runs(row: Row) -> Iterator[tuple[str, str]]:
    """Yield ink and text of each run; a blank cell takes the ink of the cell before it."""
    inks = list(row.inks)
    ink = PLAIN
    for index, character in enumerate(row.text):
        if character == " ":
            inks[index] = ink
        else:
            ink = inks[index]
    at = 0
    for found, group in groupby(inks):
        length = sum(1 for _ in group)
        yield found, row.text[at : at + length]
        at += length


def changed_span(old: Row, new: Row) -> tuple[int, int] | None:
    """Return first and last + 1 of the cells in which two rows of equal length differ, or None."""
    if old == new:
        return None
    differs = [
        a != b or i != j for a, b, i, j in zip(old.text, new.text, old.inks, new.inks, strict=True)
    ]
    return differs.index(True), len(differs) - differs[::-1].index(True)
