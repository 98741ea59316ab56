"""Ticks: a few round numbers on an axis, as short texts of one kind.

Layer: ui. The labels of an axis share their decimals or their power of ten, so that they compare at
a glance. They are distinct even where the values hardly differ, and there are at least two wherever
two round numbers are on the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)
SECONDS_LONG = (3600, 7200, 10800, 21600, 43200, 86400)
PREFIXES = {3: "k", 6: "M", 9: "G", 12: "T"}
ANY_CELLS = 24

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Tick:
    """A value with its label."""

    value: float
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """The ticks of an axis. With a `base`, their labels are differences from it."""

    ticks: tuple[Tick, ...] = ()
    base: str = ""

    def per(self, factor: float) -> Scale:
        """Return the scale of an axis whose values are smaller by a factor."""
        return replace(self, ticks=tuple(Tick(it.value / factor, it.label) for it in self.ticks))


def nice(size: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is >= `size` (above 0)."""
    power = math.floor(math.log10(size))
    for digit in (1, 2, 5, 10):
        unit = digit * 10.0**power
        if unit >= size * (1 - 1e-9):
            return unit
    return 10.0 ** (power + 1)


def number_scale(
    low: float,
    high: float,
    most: int,
    *,
    whole: bool = False,
    cells: int = ANY_CELLS,
    unit: str = "",
) -> Scale:
    """Return ticks at multiples of a round number, which is an integer if `whole`.

    Labels have at most `cells` characters; where numbers would be longer, they are differences.
    """
    steps = [step for step in _round_steps(high - low, most) if step >= 1 or not whole]
    at = _finest([len(_multiples(low, high, step)) for step in steps], most)
    if at is None:
        return Scale()
    # A coarser step may have shorter labels.
    for step in reversed(steps[: at + 1]):
        indices = _thinned(_multiples(low, high, step), most)
        if len(indices) < min(2, len(_multiples(low, high, steps[at]))):
            break
        values = [index * step for index in indices]
        for suffix in dict.fromkeys((unit, unit.strip())):
            texts = [f"{text}{suffix}" for text in labels(values, step)]
            if max(map(len, texts)) <= cells:
                return Scale(tuple(map(Tick, values, texts)))
    return _differences(_thinned(_multiples(low, high, steps[at]), most), steps[at], cells, unit)


def _round_steps(span: float, most: int) -> list[float]:
    """Return 1, 2 and 5 times powers of ten from `span` downwards, the last with far more ticks."""
    if not 0 < span < math.inf:
        return []
    power = math.floor(math.log10(span))
    steps = [digit * 10.0 ** (power - more) for more in range(4) for digit in (5, 2, 1)]
    least = span / (10 * max(most, 2))
    return [step for step in steps if 0 < step <= span * (1 + 1e-9) and step >= least]


def _multiples(low: float, high: float, step: float) -> range:
    """Return the factors of the multiples of a step that are on the axis."""
    return range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)


def _finest(counts: Sequence[int], most: int) -> int | None:
    """Return the index of the finest step, by the number of ticks, with 2 to `most` of them.

    Without one, that of the coarsest step with more, or else with one; None for no ticks at all.
    """
    fitting = [at for at, count in enumerate(counts) if 2 <= count <= most]
    if fitting:
        return fitting[-1]
    some = [at for at, count in enumerate(counts) if count]
    return next((at for at in some if counts[at] > 1), some[0] if some else None)


def _thinned(ticks: Sequence[Item], most: int) -> Sequence[Item]:
    """Return at most `most` of the ticks, or two of them, evenly spaced."""
    most = max(most, 2)
    if len(ticks) <= most:
        return ticks
    return ticks[:: math.ceil((len(ticks) - 1) / (most - 1))]


def _differences(indices: Sequence[int], step: float, cells: int, unit: str) -> Scale:
    """Label the multiples of a step by their difference from the first one."""
    power = math.floor(math.log10(step) + 1e-9)
    digit = round(step / 10.0**power)
    beyond = [(index - indices[0]) * digit for index in indices]
    if power < -2:
        texts = [f"+{count}e{power}" if count else "+0" for count in beyond]
    else:
        texts = [f"+{text}" for text in labels([count * 10.0**power for count in beyond], step)]
    (base,) = labels([indices[0] * step], step)
    ticks = [
        Tick(index * step, text)
        for index, text in zip(indices, texts, strict=True)
        if len(text) <= cells
    ]
    return Scale(tuple(ticks), f"{base}{unit}")


def labels(values: Sequence[float], step: float) -> list[str]:
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


def _scaled(values: Iterable[float], power: int, suffix: str, unit_power: int) -> list[str]:
    """Return the values in units of ten to `power`; 0 has no suffix."""
    decimals = max(power - unit_power, 0)
    return [_plain(v * 10.0 ** (-power), decimals) + suffix if v else "0" for v in values]


def _plain(value: float, decimals: int) -> str:
    text = f"{value:.{min(decimals, 12)}f}"
    return text.replace("-", "", 1) if float(text) == 0 else text


def log_scale(
    low: float, high: float, most: int, *, cells: int = ANY_CELLS, unit: str = ""
) -> Scale:
    """Return powers of ten as ticks, or 1, 2 and 5 times them, or round numbers, if too few."""
    kinds = list(_log_steps(low, high, unit))
    at = _finest(list(map(len, kinds)), most)
    if at is not None and len(kinds[at]) > 1:
        return Scale(tuple(_thinned(kinds[at], most)))
    return number_scale(low, high, most, cells=cells, unit=unit)


def _log_steps(low: float, high: float, unit: str) -> Iterator[list[Tick]]:
    """Yield ticks for a logarithmic axis, the fewest first; none within half a decade."""
    first, last = math.log10(low), math.log10(high)
    powers = range(math.floor(first), math.ceil(last) + 1)
    if last - first < 0.5:
        return
    every = [(n, (1,)) for n in range(len(powers), 0, -1)]
    for decades, digits in (*every, (1, (1, 2, 5))):
        found = [
            Tick(float(f"{digit}e{power}"), power_label(digit, power) + unit)
            for power in powers
            if power % decades == 0
            for digit in digits
        ]
        yield [it for it in found if low * (1 - 1e-9) <= it.value <= high * (1 + 1e-9)]


def power_label(digit: int, power: int) -> str:
    """Return a power of ten, times a digit, as `0.01`, `20`, `5k` or `1e-5`."""
    if -2 <= power < 0:
        return f"{digit * 10.0**power:.{-power}f}"
    if 0 <= power < 15:
        suffix = PREFIXES.get(power // 3 * 3, "")
        return f"{digit * 10 ** (power % 3)}{suffix}"
    return f"{digit}e{power}"


def time_scale(low: float, high: float, most: int) -> Scale:
    """Return times as `1:30` or `1:02:00`; in decimal seconds if the span is a few seconds."""
    if high - low >= most / 2:
        days = [86400 * step for step in _round_steps((high - low) / 86400, most) if step > 1]
        steps = [*days, *sorted((*SECONDS, *SECONDS_LONG), reverse=True)]
        at = _finest([len(_multiples(low, high, step)) for step in steps], most)
        indices = [] if at is None else _thinned(_multiples(low, high, steps[at]), most)
        if at is not None and len(indices) > 1:
            return Scale(tuple(Tick(i * steps[at], clock(i * steps[at])) for i in indices))
    return number_scale(low, high, most, unit=" s")


def clock(seconds: float) -> str:
    """Return a time as `0:05`, `1:30`, `1:02:00` or `3d 04:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
