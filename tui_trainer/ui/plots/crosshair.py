"""The crosshair: the step at which all plots are read, and how it moves.

Layer: ui. It is a step and not a place on the screen, so it stays where it is while a run grows and
when the x axis changes. It is always at a step that has data in the plot in which it is moved.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter

from tui_trainer.runs.history import History
from tui_trainer.ui.plots.canvas import LineDrawing, column, x_at
from tui_trainer.ui.plots.panels import PanelSpec, View


def snapped(
    history: History, spec: PanelSpec, view: View, drawing: LineDrawing, at: int
) -> int | None:
    """Return the step with data for a column; None if the plot has no data.

    Of the steps in the column, it is one at which most curves have a value, so that training and
    validation are read together; without any, it is the nearest one.
    """
    counts = _counts(history, spec, view)
    if not counts:
        return None
    at = min(max(at, 0), drawing.width - 1)
    x, half = x_at(drawing, at), (drawing.x.high - drawing.x.low) / drawing.width / 2
    low, middle, high = (history.step_at(it, view.x) for it in (x - half, x, x + half))
    inside = {step: count for step, count in counts.items() if low <= step < high}
    most = max(inside.values(), default=0)
    best = [step for step, count in inside.items() if count == most]
    return min(best or counts, key=lambda step: abs(step - middle))


def newest(history: History, spec: PanelSpec, view: View, drawing: LineDrawing) -> int | None:
    """Return the step of the newest values."""
    steps = _counts(history, spec, view)
    if not steps:
        return None
    return snapped(history, spec, view, drawing, _column(history, view, drawing, max(steps)))


def moved(
    history: History, spec: PanelSpec, view: View, drawing: LineDrawing, columns: int
) -> int | None:
    """Return the step of a crosshair that is moved by columns: at least to the next step."""
    if view.cursor is None:
        return None
    now = _column(history, view, drawing, view.cursor)
    target = snapped(history, spec, view, drawing, min(max(now, 0), drawing.width - 1) + columns)
    if target is None or (target - view.cursor) * columns > 0:
        return target
    steps = sorted(_counts(history, spec, view))
    if columns > 0:
        beyond = steps[bisect_right(steps, view.cursor) :][:1]
    else:
        beyond = steps[: bisect_left(steps, view.cursor)][-1:]
    return beyond[0] if beyond else view.cursor


def _column(history: History, view: View, drawing: LineDrawing, step: int) -> int:
    return column(drawing, history.x_of(step, view.x))


def _counts(history: History, spec: PanelSpec, view: View) -> Counter[int]:
    """Return the number of curves that have a value, by step."""
    counts: Counter[int] = Counter()
    for series in spec.series:
        counts.update(history.steps(series.name, view.window))
    return counts
