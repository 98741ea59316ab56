"""Turns history and view into a picture of a panel: its axes, lines, signs and texts.

Layer: ui. The history returns curves that are already bucketed to the width, because each point
costs plotext about 20 us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from tui_trainer.config.sections.metrics import metric_text
from tui_trainer.runs.history import Curve, History
from tui_trainer.runs.step_numbers import CURVES
from tui_trainer.text.clean import clean
from tui_trainer.text.format import duration
from tui_trainer.ui.plots.axes import Axis, AxisKind, x_axis, y_axis
from tui_trainer.ui.plots.canvas import Line, LineDrawing, column
from tui_trainer.ui.plots.frame import Cursor, Surround, room, y_scale
from tui_trainer.ui.plots.markers import Markers
from tui_trainer.ui.plots.panels import PanelCurve, PanelSpec, View
from tui_trainer.ui.plots.signs import Sign

MARK_CELLS = 60
"""The most characters of the text of a mark."""
WITHIN = 0.96
"""The share of the values that stays on the axis when outliers are left out."""
TEXTS = {number.key: number.text for number in CURVES}
WHOLE_EPOCHS = 2
"""From so many epochs on, the axis of epochs has whole numbers only."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A panel ready to be drawn."""

    drawing: LineDrawing
    around: Surround


def picture(
    history: History,
    spec: PanelSpec,
    view: View,
    width: int,
    height: int,
    markers: Markers,
    *,
    names_signs: bool = True,
) -> Picture | None:
    """Return the panel as it looks now; None while there is nothing to draw."""
    where = room(width, height)
    if where.width < 1 or where.height < 1:
        return None
    curves = [
        history.curve(
            series.name,
            x=view.x,
            window=view.window,
            columns=where.width,
            smoothing=view.smoothing if series.is_smoothed else 0.0,
        )
        for series in spec.series
    ]
    if not any(curve.xs or curve.gaps for curve in curves):
        return None
    x = _x_axis(history, view)
    y, notes = _y_axis(curves, view, is_share=spec.is_share)
    scale = y_scale(y, where.height)
    if scale.base and where.left:
        notes = (f"y from {scale.base}", *notes)
    lines = _lines(history, spec, curves, view)
    drawing = LineDrawing(where.width, where.height, lines, x, y, markers)
    cursor = _cursor(history, view, drawing)
    around = Surround(
        spec.title,
        _signs(history, spec, curves, view),
        (*_texts_of_marks(history, view, drawing, cursor), *notes),
        cursor,
        y_ticks=scale.ticks,
        remark=_equal_curves(spec, curves),
        names_signs=names_signs,
    )
    return Picture(drawing, around)


def _x_axis(history: History, view: View) -> Axis:
    first, last = history.span(x=view.x, window=view.window)
    kind: AxisKind = "time" if view.x == "time" else "integer"
    if view.x == "epoch" and last - first < WHOLE_EPOCHS:
        # An epoch of a language model may take hours.
        kind = "linear"
    return x_axis(first, last, kind)


def _y_axis(curves: Sequence[Curve], view: View, *, is_share: bool) -> tuple[Axis, tuple[str, ...]]:
    values = [v for curve in curves for v in (*curve.lows, *curve.highs, *curve.means)]
    within = WITHIN if view.cuts_outliers else 1.0
    y = y_axis(values, log=view.is_log, within=within, is_share=is_share)
    notes = ["log"] if view.is_log else []
    if view.is_log and any(v <= 0 for v in values):
        notes.append("0 and below left out")
    above, below = any(v > y.high for v in values), any(v < y.low for v in values)
    if view.cuts_outliers and (above or below):
        notes.append(
            "cut above and below" if above and below else f"cut {'above' if above else 'below'}"
        )
    return y, tuple(notes)


def _equal_curves(spec: PanelSpec, curves: Sequence[Curve]) -> str:
    """Say which curves lie on each other over their whole length."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for series, curve in zip(spec.series, curves, strict=True):
        if curve.xs:
            name = series.bead if series.bead.isdigit() else series.label
            alike.setdefault((curve.xs, curve.means), []).append(name)
    groups = [names for names in alike.values() if len(names) > 1]
    return ", ".join(f"{', '.join(names[:-1])} and {names[-1]} are equal" for names in groups)


def _lines(
    history: History, spec: PanelSpec, curves: Sequence[Curve], view: View
) -> tuple[Line, ...]:
    """Return the lines, with noisy and faint ones behind smooth ones."""
    behind, front = [], []
    for series, curve in zip(spec.series, curves, strict=True):
        label = series.label if len(spec.series) > 1 else ""
        values = _values(history, series, view)
        line = Line(
            curve.xs, curve.means, series.ink, False, label, series.bead, curve.gaps, values
        )
        if not series.is_smoothed:
            front.append(line)
        elif view.smoothing > 0:
            behind.append(_outline(curve, series.ink, faint=True, label=""))
            front.append(replace(line, ys=curve.smooth))
        else:
            outline = _outline(curve, series.ink, faint=False, label=label)
            front.append(replace(outline, values=values))
    return (*behind, *front)


def _outline(curve: Curve, ink: str, *, faint: bool, label: str) -> Line:
    """Return the values, or bars from lowest to highest where a point stands for many values.

    Bars that overlap are not connected: a line between them would hide their extent.
    """
    xs: list[float] = []
    ys: list[float] = []
    gaps = list(curve.gaps)
    for x, low, high in zip(curve.xs, curve.lows, curve.highs, strict=True):
        if low == high:
            xs.append(x)
            ys.append(low)
            continue
        if ys and low <= max(ys[-2:]) and min(ys[-2:]) <= high:
            gaps.append((xs[-1] + x) / 2)
        xs += [x, x]
        ys += [low, high] if not ys or ys[-1] < high else [high, low]
    return Line(tuple(xs), tuple(ys), ink, faint, label, gaps=tuple(gaps))


def _signs(
    history: History, spec: PanelSpec, curves: Sequence[Curve], view: View
) -> tuple[Sign, ...]:
    """Return what happened as signs on the x axis; the best step is on the validation line."""
    judged = [
        curve
        for series, curve in zip(spec.series, curves, strict=True)
        if series.name.startswith("val/") and curve.xs
    ]
    marks = history.marks(x=view.x, window=view.window)
    hidden = {"best"} if view.has_all_marks else {"best", "checkpoint"}
    signs = [Sign(mark.kind, mark.x) for mark in marks if mark.kind not in hidden]
    signs += [Sign("nonfinite", x) for curve in curves for x in curve.gaps]
    best = [mark.x for mark in marks if mark.kind == "best"]
    if best and judged:
        curve = judged[0]
        nearest = min(range(len(curve.xs)), key=lambda i: abs(curve.xs[i] - best[-1]))
        signs.append(Sign("best", curve.xs[nearest], curve.means[nearest]))
    return tuple(signs)


def _values(history: History, series: PanelCurve, view: View) -> tuple[str, ...]:
    """Return the value of a curve at the crosshair, as texts of which the longest comes first."""
    if view.cursor is None:
        return ()
    smoothing = view.smoothing if series.is_smoothed else 0.0
    reading = history.read(series.name, view.cursor, window=view.window, smoothing=smoothing)
    if reading is None:
        return ("-", "-", "-")
    number = partial(_number, series.name)
    about = [f"mean of {reading.count:,}"] if reading.count > 1 else []
    about += [f"smooth {number(reading.smooth)}"] if smoothing else []
    value = number(reading.value)
    # A curve without a value at the step shows its nearest one, and where that is.
    where = f" at {reading.step:,}" if reading.step != view.cursor else ""
    longest = f"{value} ({', '.join(about)}){where}" if about else f"{value}{where}"
    return longest, f"{value}{where}", value


def _number(name: str, value: float) -> str:
    if name in TEXTS:
        return TEXTS[name](value).strip()
    return metric_text(name.partition("/")[2], value)


def _cursor(history: History, view: View, drawing: LineDrawing) -> Cursor | None:
    """Return the crosshair on a drawing; its text is `step 640`, with the epoch or the time."""
    if view.cursor is None:
        return None
    x = history.x_of(view.cursor, view.x)
    beside = {"step": "", "epoch": f", epoch {x:.2f}", "time": f", {duration(x)}"}[view.x]
    return Cursor(column(drawing, x), f"step {view.cursor:,}{beside}")


def _texts_of_marks(
    history: History, view: View, drawing: LineDrawing, cursor: Cursor | None
) -> tuple[str, ...]:
    """Return what the marks at the crosshair are about, such as an edit."""
    if cursor is None:
        return ()
    marks = history.marks(x=view.x, window=view.window)
    at = [mark.text for mark in marks if mark.text and column(drawing, mark.x) == cursor.column]
    return tuple(clean(text, MARK_CELLS) for text in at[-1:])
