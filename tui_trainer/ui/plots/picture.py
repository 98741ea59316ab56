"""Turns history and view into a picture of a panel: its axes, lines, signs and texts.

Layer: ui. The history returns curves that are already bucketed to the width, because each point
costs plotext about 20 us.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tui_trainer.runs.history import Curve, History, XAxis
from tui_trainer.text.format import duration, measured
from tui_trainer.ui.plots.axes import Axis, AxisKind, x_axis, y_axis
from tui_trainer.ui.plots.canvas import Line, LineDrawing, Markers, x_at
from tui_trainer.ui.plots.frame import Surround, room, y_scale
from tui_trainer.ui.plots.panels import PanelSpec, View
from tui_trainer.ui.plots.signs import Sign

WITHIN = 0.96
"""The share of the values that stays on the axis when outliers are left out."""
AXIS_KINDS: dict[XAxis, AxisKind] = {"step": "integer", "epoch": "integer", "time": "time"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A panel ready to be drawn."""

    drawing: LineDrawing
    around: Surround


def picture(
    history: History, spec: PanelSpec, view: View, width: int, height: int, markers: Markers
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
    x = x_axis(*history.span(x=view.x, window=view.window), AXIS_KINDS[view.x])
    y, notes = _y_axis(curves, view, is_share=spec.is_share)
    scale = y_scale(y, where.height)
    if scale.base and where.left:
        notes = (f"y from {scale.base}", *notes)
    lines = _lines(spec, curves, view)
    drawing = LineDrawing(where.width, where.height, lines, x, y, markers)
    around = Surround(
        spec.title,
        _signs(history, spec, curves, view),
        notes,
        *_reading(history, spec, view, drawing),
        y_ticks=scale.ticks,
        remark=_equal_curves(spec, curves),
    )
    return Picture(drawing, around)


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


def _lines(spec: PanelSpec, curves: Sequence[Curve], view: View) -> tuple[Line, ...]:
    """Return the lines, with noisy and faint ones behind smooth ones."""
    behind, front = [], []
    for series, curve in zip(spec.series, curves, strict=True):
        label = series.label if len(spec.series) > 1 else ""
        line = Line(curve.xs, curve.means, series.ink, False, label, series.bead, curve.gaps)
        if not series.is_smoothed:
            front.append(line)
        elif view.smoothing > 0:
            behind.append(_outline(curve, series.ink, faint=True, label=""))
            front.append(replace(line, ys=curve.smooth))
        else:
            front.append(_outline(curve, series.ink, faint=False, label=label))
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


def _reading(
    history: History, spec: PanelSpec, view: View, drawing: LineDrawing
) -> tuple[str, int | None]:
    """Return the crosshair's text and column; empty and None without a crosshair."""
    if view.cursor is None:
        return "", None
    at = min(int(view.cursor * drawing.width), drawing.width - 1)
    parts = []
    where = ""
    for series in spec.series:
        smoothing = view.smoothing if series.is_smoothed else 0.0
        reading = history.read(
            series.name, x_at(drawing, at), x=view.x, window=view.window, smoothing=smoothing
        )
        if reading is None:
            continue
        where = where or f" step {reading.step:,}{_beside(view.x, reading.x)}"
        text = f"{series.label or spec.title} {measured(reading.value)}"
        parts.append(text + (f", smooth {measured(reading.smooth)}" if smoothing else ""))
    return "  ".join([where or " nothing here", *parts]), at


def _beside(x: XAxis, value: float) -> str:
    if x == "step":
        return ""
    return f", epoch {value:.2f}" if x == "epoch" else f", {duration(value)}"
