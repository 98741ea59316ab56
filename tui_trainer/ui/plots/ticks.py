"""Ticks: a few round numbers on an axis, as texts of one kind.

Layer: ui. The labels of an axis share their decimals or their power of ten, so that they compare at
a glance, and are distinct even where the values hardly differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
