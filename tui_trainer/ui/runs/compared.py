"""`Compared`: shows runs side by side, their curves and their differences.

Layer: ui. The screen reads the runs and passes them in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui_trainer.config.preferences import Preferences
from tui_trainer.config.sections.metrics import metric_text
from tui_trainer.runs.comparison import differences, results
from tui_trainer.runs.describe import value_text
from tui_trainer.runs.history import History
from tui_trainer.runs.index import RunSummary
from tui_trainer.text.cells import cut_end, cut_middle, padded
from tui_trainer.text.clean import clean
from tui_trainer.text.format import measured
from tui_trainer.ui.plots import crosshair
from tui_trainer.ui.plots.canvas import OTHER, TRAIN, VAL
from tui_trainer.ui.plots.frame import line_sample
from tui_trainer.ui.plots.markers import Markers, markers_for
from tui_trainer.ui.plots.panels import LABEL_CELLS, LOOKS, PanelSpec, View, overlay
from tui_trainer.ui.plots.plot import Plot

MOST = len(LOOKS)
"""The most runs that can be compared: more curves could not be told apart."""
VALUE_CELLS = 16
SAMPLE_CELLS = 12
"""The width of a sample of a curve with its value at the crosshair."""
PLOT_CELLS = 24
"""Width of a plot beside the table; if there is less room, the plot goes above it."""
STYLES = {TRAIN: "$text-primary", VAL: "$text-warning", OTHER: "$text-success"}
SHORTEST = 6
"""Characters of a label that are kept, if the name has as many."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """A run as it is compared."""

    summary: RunSummary
    settings: Mapping[str, Any]
    history: History


class Compared(Container):
    """Hidden unless there is something to compare; on a wide screen plot and table share rows."""

    DEFAULT_CSS = """
    Compared {
        height: 1fr; layout: horizontal; display: none;
        border-top: solid $primary; border-title-color: $text;
    }
    Compared Plot { width: 1fr; }
    Compared VerticalScroll {
        width: auto; min-width: 40%; max-width: 75%; overflow-x: auto; padding-left: 1;
    }
    Compared Static { width: auto; height: auto; }
    Compared.-narrow { layout: vertical; height: 2fr; }
    Compared.-narrow VerticalScroll { width: 1fr; max-width: 100%; height: auto; max-height: 60%; }
    """

    def __init__(self, preferences: Preferences) -> None:
        super().__init__()
        self._preferences = preferences
        self._portraits: list[Portrait] = []
        self._labels: list[str] = []
        self._history = History()
        self._view = View(smoothing=0.0)
        self._table_cells = 0

    def compose(self) -> ComposeResult:
        encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
        choice = self._preferences.markers
        if choice == "auto" and self.app.no_color:
            # Without colours, lines of dots look alike; lines of letters do not.
            choice = "ascii"
        self._markers = markers_for(choice, os.environ, encoding)
        yield Plot(PanelSpec("", ()), self._markers)
        with VerticalScroll():
            yield Static(markup=False)

    def show(self, portraits: Sequence[Portrait]) -> None:
        """Show these runs; nothing if there are fewer than two."""
        self.display = len(portraits) > 1
        if not self.display or list(portraits) == self._portraits:
            return
        self._portraits = list(portraits)
        self.border_title = Content(f"compare: {len(portraits)} selected")
        self._labels = short_labels([portrait.summary.name for portrait in portraits])
        self._history, spec = overlay(
            {label: it.history for label, it in zip(self._labels, portraits, strict=True)}
        )
        self._plot.choose(spec)
        # After the layout: until then a plot that was hidden has no size.
        self.call_after_refresh(self._draw)

    @property
    def _plot(self) -> Plot:
        return self.query_one(Plot)

    def _draw(self) -> None:
        """Draw the curves and the table, with the values at the crosshair."""
        self._plot.look(self._history, self._view)
        readings = self._readings()
        lines = comparison_lines(self._labels, self._portraits, self._markers, *readings)
        self._table_cells = max(line.cell_length for line in lines)
        self._arrange()
        self.query_one(Static).update(Content("\n").join(lines))

    def _readings(self) -> tuple[str, list[float | None]]:
        """Return where the crosshair is, and the value of each curve that has come so far."""
        cursor = self._view.cursor
        if cursor is None:
            return "", []
        read = partial(self._history.read, window=self._view.window, smoothing=0.0)
        values: list[float | None] = []
        for label in self._labels:
            reading = read(label, cursor) if self._history.last(label) >= cursor else None
            values.append(None if reading is None else reading.value)
        return f"step {cursor:,}", values

    # The crosshair.

    @property
    def has_crosshair(self) -> bool:
        """Whether the crosshair is shown."""
        return self.display and self._view.cursor is not None

    def turn_crosshair(self) -> None:
        """Show a crosshair at the newest step, or remove it."""
        if self.has_crosshair:
            self.remove_crosshair()
        else:
            self._point(crosshair.newest)

    def move_crosshair(self, columns: int) -> None:
        """Move the crosshair by some columns of the plot."""
        self._point(crosshair.moved, columns)

    def remove_crosshair(self) -> None:
        """Remove the crosshair."""
        self._view = replace(self._view, cursor=None)
        self._draw()

    def _point(self, find: Callable[..., int | None], *at: int) -> None:
        """Put the crosshair at the step found in the plot, if there is one."""
        plot = self._plot
        if not self.display or plot.drawing is None:
            return
        step = find(self._history, plot.spec, self._view, plot.drawing, *at)
        if step is not None:
            self._view = replace(self._view, cursor=step)
            self._draw()

    @on(Plot.Pointed)
    def _pointed(self, event: Plot.Pointed) -> None:
        event.stop()
        if event.clicked or self.has_crosshair:
            self._point(crosshair.snapped, event.column)

    def on_resize(self) -> None:
        """Arrange plot and table for the new size."""
        self._arrange()

    def _arrange(self) -> None:
        """Put the plot above the table if the screen is too narrow for both."""
        self.set_class(self.app.size.width - self._table_cells < PLOT_CELLS, "-narrow")


def short_labels(names: Sequence[str]) -> list[str]:
    """Return the names without their common beginning, as long as they stay different."""
    first, last = min(names), max(names)
    pairs = enumerate(zip(first, last, strict=False))
    alike = next((n for n, (one, other) in pairs if one != other), len(first))
    cut = first.rfind("-", 0, min(alike, max(len(first) - SHORTEST, 0))) + 1
    return [clean(name[cut:] or name, 40) for name in names]


def comparison_lines(
    labels: Sequence[str],
    portraits: Sequence[Portrait],
    markers: Markers,
    where: str = "",
    at_crosshair: Sequence[float | None] = (),
) -> list[Content]:
    """Return the differences as lines: results first, then settings, in columns below the labels.

    Above each label is a sample of its curve, because a plot may have no room for a legend, with
    its value at the crosshair, which `where` names. The columns are as wide without a crosshair.
    """
    heads = [cut_middle(clean(label, 40), LABEL_CELLS) for label in labels]
    looks = LOOKS[: len(labels)]
    samples = [line_sample(markers, ink, bead) for ink, bead in looks]
    for n, value in enumerate(at_crosshair):
        samples[n] += f" {measured(value)}"
    rows: list[list[str]] = [[where, *(sample.rjust(SAMPLE_CELLS) for sample in samples)]]
    rows.append(["", *heads])
    for name, values in results([portrait.summary for portrait in portraits]):
        metric = name.rpartition(".")[2]
        rows.append([clean(name, 60), *(metric_text(metric, value) for value in values)])
    found = differences([portrait.settings for portrait in portraits])
    for it in found:
        cells = [
            clean(value_text(value), 200) if has else "-"
            for value, has in zip(it.values, it.has, strict=True)
        ]
        rows.append([clean(it.key, 60), *cells])
    if not found:
        rows.append(["the settings are the same"])
    inks = ["", *(STYLES[ink] for ink, _ in looks)]
    return [
        Content("").join(
            Content.styled(cell, ink if number < 2 else "")
            for cell, ink in zip(cells, inks, strict=False)
        )
        for number, cells in enumerate(_aligned(rows))
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the cells of each row, padded to the width of their column."""
    table = [row for row in rows if len(row) > 1]
    first = max(cell_len(row[0]) for row in table)
    cut = [[row[0], *(cut_end(cell, VALUE_CELLS) for cell in row[1:])] for row in rows]
    widths = [
        max(cell_len(row[column]) for row in cut if len(row) > 1)
        for column in range(1, len(table[0]))
    ]
    lines = []
    for row in cut:
        cells = [
            "  " + padded(cell, width, right=True)
            for cell, width in zip(row[1:], widths, strict=False)
        ]
        head = padded(row[0], first) if cells else row[0]
        lines.append([head, *cells])
    return lines
