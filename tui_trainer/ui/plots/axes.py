"""Axes: limits that seldom change, and a few round ticks.

Layer: ui. Limits are rounded outwards, so that the plot of a growing run changes at its edge only,
and a refresh sends a few cells instead of the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

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

    def ticks(self, most: int) -> list[Tick]:
        """Return about `most` ticks at most, within the limits."""
        if most < 1:
            return []
        if self.kind == "log":
            found = log_ticks(self.low, self.high, most)
        elif self.kind == "time":
            found = time_ticks(self.low, self.high, most)
        else:
            found = number_ticks(self.low, self.high, most, whole=self.kind == "integer")
        return [tick for tick in found if 0 <= self.share(tick.value) <= 1]

    def _ends(self) -> tuple[float, float]:
        return (_log(self.low), _log(self.high)) if self.kind == "log" else (self.low, self.high)


def _log(value: float) -> float:
    return math.log10(max(value, 1e-300))


def y_axis(values: Iterable[float], *, log: bool, within: float = 1.0) -> Axis:
    """Return the axis for these values; only their middle share `within` must be on it."""
    shown = sorted(
        min(max(v, -LARGEST), LARGEST)
        for v in values
        if math.isfinite(v) and (v >= 1 / LARGEST or not log)
    )
    if not shown:
        return Axis(0.1, 1.0, "log") if log else Axis()
    low, high = _middle(shown, within)
    if log:
        low, high = _rounded(math.log10(low), math.log10(high))
        return Axis(10 ** max(low, -300.0), 10 ** min(high, 300.0), "log")
    return Axis(*_rounded(low, high))


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


# Ticks: a few round numbers on an axis, as texts of one kind. The labels of an axis share their
# decimals or their power of ten, so that they compare at a glance, and are distinct even where the
# values hardly differ.


SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
SECONDS_LONG = (3600, 7200, 10800, 21600, 43200, 86400)
PREFIXES = {3: "k", 6: "M", 9: "G", 12: "T"}


@dataclass(frozen=True, slots=True)
class Tick:
    """A value with its label."""

    value: float
    label: str


def nice(size: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is >= `size` (above 0)."""
    power = math.floor(math.log10(size))
    for digit in (1, 2, 5, 10):
        unit = digit * 10.0**power
        if unit >= size * (1 - 1e-9):
            return unit
    return 10.0 ** (power + 1)


def number_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[Tick]:
    """Return ticks at multiples of a round number, which is an integer if `whole`."""
    step = nice((high - low) / most)
    if whole:
        step = max(step, 1.0)
    if step == 0 or not math.isfinite(step):
        return []
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if last - first > 2 * most:
        return []
    values = [index * step for index in range(first, last + 1)]
    return [Tick(v, text) for v, text in zip(values, labels(values, step), strict=True)]


def labels(values: list[float], step: float) -> list[str]:
    """Return the values as texts with enough digits to tell them apart."""
    size = max((abs(v) for v in values), default=0.0)
    if size == 0:
        return ["0" for _ in values]
    power = math.floor(math.log10(size) + 1e-9)
    unit_power = math.floor(math.log10(step) + 1e-9)
    if power >= 4 and power < 15:
        thousands = power // 3 * 3
        return _scaled(values, thousands, PREFIXES[thousands], unit_power)
    if power >= 15 or power < -2:
        return _scaled(values, power, f"e{power}", unit_power)
    return [_plain(v, max(-unit_power, 0)) for v in values]


def _scaled(values: list[float], power: int, suffix: str, unit_power: int) -> list[str]:
    """Return the values in units of ten to `power`; 0 has no suffix."""
    decimals = max(power - unit_power, 0)
    return [_plain(v * 10.0 ** (-power), decimals) + suffix if v else "0" for v in values]


def _plain(value: float, decimals: int) -> str:
    text = f"{value:.{min(decimals, 12)}f}"
    return text.replace("-", "", 1) if float(text) == 0 else text


def log_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return powers of ten as ticks, or 1, 2 and 5 times them, or round numbers, if too few."""
    first, last = math.log10(low), math.log10(high)
    if last - first < 0.5:
        return number_ticks(low, high, most)
    digits = (1, 2, 5) if 3 * (last - first) <= most else (1,)
    every = max(math.ceil((last - first) / most), 1)
    powers = range(math.floor(first), math.ceil(last) + 1)
    found = [
        Tick(float(f"{digit}e{power}"), power_label(digit, power))
        for power in powers
        if power % every == 0
        for digit in digits
    ]
    inside = [tick for tick in found if low * (1 - 1e-9) <= tick.value <= high * (1 + 1e-9)]
    return inside if len(inside) > 1 else number_ticks(low, high, most)


def power_label(digit: int, power: int) -> str:
    """Return a power of ten, times a digit, as `0.01`, `20`, `5k` or `1e-5`."""
    if -2 <= power < 0:
        return f"{digit * 10.0**power:.{-power}f}"
    if 0 <= power < 15:
        suffix = PREFIXES.get(power // 3 * 3, "")
        return f"{digit * 10 ** (power % 3)}{suffix}"
    return f"{digit}e{power}"


def time_ticks(low: float, high: float, most: int) -> list[Tick]:
    """Return times as `1:30` or `1:02:00`; in decimal seconds if the span is a few seconds."""
    least = (high - low) / most
    if least < 0.5:
        return [Tick(tick.value, f"{tick.label} s") for tick in number_ticks(low, high, most)]
    choices = (*SECONDS, *SECONDS_LONG)
    step = float(next((s for s in choices if s >= least), 86400 * nice(least / 86400)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [Tick(i * step, clock(i * step)) for i in range(first, last + 1)]


def clock(seconds: float) -> str:
    """Return a time as `0:05`, `1:30`, `1:02:00` or `3d 04:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
