"""Axes: limits that seldom change, and where values are between them.

Layer: ui. Limits are rounded outwards, so that the plot of a growing run changes at its edge only,
and a refresh sends a few cells instead of the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tui_trainer.ui.plots.ticks import ANY_CELLS, Scale, log_scale, nice, number_scale, time_scale

AxisKind = Literal["linear", "log", "integer", "time"]

LARGEST = 1e300
"""Beyond this value, differences are no longer finite."""
FINEST = 1e-9
"""A span that is a smaller share of its values than this is drawn as a constant."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Limits and kind. `low` < `high`, both finite; above 0 on a log axis."""

    low: float = 0.0
    high: float = 1.0
    kind: AxisKind = "linear"
    is_share: bool = False
    """Whether the values are shares, which are labelled in percent."""

    def share(self, value: float) -> float:
        """Return 0 at `low`, 1 at `high`; clipped to -1..2 outside, so that lines leave steeply."""
        return self.shares((value,))[0]

    def shares(self, values: Iterable[float]) -> list[float]:
        """Return the share of each value."""
        low, high = self._ends()
        span = high - low
        if self.kind == "log":
            values = (_log(value) for value in values)
        return [min(max((value - low) / span, -1.0), 2.0) for value in values]

    def value(self, share: float) -> float:
        """Return the value at a share of the axis."""
        low, high = self._ends()
        at = low + share * (high - low)
        return float(10**at) if self.kind == "log" else at

    def shows(self, value: float) -> bool:
        """Return whether a value can be placed on this axis, within its limits or not."""
        return math.isfinite(value) and (value > 0 or self.kind != "log")

    def scale(self, most: int, cells: int = ANY_CELLS) -> Scale:
        """Return about `most` ticks at most, within the limits; two, where that is possible.

        Labels have at most `cells` characters, except those of times and integers.
        """
        if most < 1:
            return Scale()
        if self.kind == "time":
            return time_scale(self.low, self.high, most)
        factor, unit = (100.0, " %") if self.is_share else (1.0, "")
        low, high = self.low * factor, self.high * factor
        if self.kind == "log":
            return log_scale(low, high, most, cells=cells, unit=unit).per(factor)
        whole = self.kind == "integer"
        return number_scale(low, high, most, whole=whole, cells=cells, unit=unit).per(factor)

    def _ends(self) -> tuple[float, float]:
        return (_log(self.low), _log(self.high)) if self.kind == "log" else (self.low, self.high)


def _log(value: float) -> float:
    return math.log10(max(value, 1e-300))


def y_axis(
    values: Iterable[float], *, log: bool, within: float = 1.0, is_share: bool = False
) -> Axis:
    """Return the axis for these values; only their middle share `within` must be on it.

    An axis of shares ends at 0 and 1, unless there are values beyond.
    """
    shown = sorted(
        min(max(v, -LARGEST), LARGEST)
        for v in values
        if math.isfinite(v) and (v >= 1 / LARGEST or not log)
    )
    if not shown:
        return Axis(0.1, 1.0, "log", is_share) if log else Axis(is_share=is_share)
    low, high = _middle(shown, within)
    if log:
        low, high = _rounded(math.log10(low), math.log10(high))
        low, high = 10 ** max(low, -300.0), 10 ** min(high, 300.0)
    else:
        low, high = _rounded(low, high)
    if is_share:
        low, high = max(low, min(shown[0], 0.0)), min(high, max(shown[-1], 1.0))
    return Axis(low, high, "log" if log else "linear", is_share)


def x_axis(low: float, high: float, kind: AxisKind) -> Axis:
    """Return the axis of steps, epochs or seconds over the span of a run."""
    low, high = (
        0.0 if math.isnan(end) else min(max(end, -LARGEST), LARGEST) for end in (low, high)
    )
    size = max(abs(low), abs(high))
    if not high - low > max(size * FINEST, 1 / LARGEST):
        return Axis(low, low + max(1.0, size / 10), kind)
    unit = nice((high - low) / 20)
    if kind == "integer":
        unit = max(unit, 1.0)
    # The window of the newest steps moves all the time; no blank cells are spent on its left end.
    start = 0.0 if low <= (high - low) / 10 and low >= 0 else low
    return Axis(start, max(math.ceil(high / unit) * unit, high), kind)


def _middle(ordered: Sequence[float], within: float) -> tuple[float, float]:
    """Return the limits of the middle share, widened by a tenth on each side that cuts values."""
    low, high = ordered[0], ordered[-1]
    if within < 1 and len(ordered) > 2:
        aside = (1 - within) / 2 * (len(ordered) - 1)
        inner_low, inner_high = (
            ordered[math.ceil(aside)],
            ordered[math.floor(len(ordered) - 1 - aside)],
        )
        more = (inner_high - inner_low) / 10
        low, high = max(low, inner_low - more), min(high, inner_high + more)
    return low, high


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Round outwards to about a twentieth of the span; add some room around a constant."""
    size = max(abs(low), abs(high))
    if high - low <= max(size * FINEST, 1 / LARGEST):
        room = size / 10 if size > 10 / LARGEST else 1.0
        return low - room, high + room
    unit = nice((high - low) / 20)
    if unit == 0:
        return low, high
    return math.floor(low / unit) * unit, math.ceil(high / unit) * unit
