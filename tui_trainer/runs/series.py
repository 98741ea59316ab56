"""`Series`: the values of one curve by step, bounded however many there are.

Layer: runs. The whole run is kept in buckets of a number of steps, a power of two; when there are
too many buckets they are joined in pairs. The newest values are kept one by one as well. `Times`
keeps the seconds of training at the steps in the same way.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from operator import le
from typing import Any

from tui_trainer.runs.bounds import are_counts, are_growing, is_count
from tui_trainer.text.format import LATEST_S

MOST_TIMES = 2048


class Times:
    """The second of training at each step, by straight lines between evenly spaced steps.

    Bounded however many steps there are. Pauses do not count: a run's elapsed time excludes them.
    """

    def __init__(self) -> None:
        self._steps: list[int] = [0]
        self._seconds: list[float] = [0.0]
        self.spacing = 1
        """The steps between two that are kept; the newest is always kept."""

    def columns(self) -> tuple[list[int], list[float]]:
        """Return the steps and their seconds."""
        return self._steps, self._seconds

    @staticmethod
    def of(steps: list[int], seconds: list[float], spacing: int) -> Times:
        """Make the times from their `columns` and `spacing`."""
        times = Times()
        times._steps, times._seconds, times.spacing = steps, seconds, spacing
        return times

    def add(self, step: int, seconds: float) -> None:
        """Add the time of a step; a step that is not later than those before is ignored."""
        if step <= self._steps[-1]:
            return
        seconds = max(seconds, self._seconds[-1])
        # The last step is too close to the one before it, so the newest replaces it.
        if len(self._steps) > 1 and self._steps[-1] - self._steps[-2] < self.spacing:
            self._steps[-1], self._seconds[-1] = step, seconds
            return
        self._steps.append(step)
        self._seconds.append(seconds)
        while len(self._steps) > MOST_TIMES:
            self.spacing *= 2
            self._thin()

    def _thin(self) -> None:
        kept = [0]
        for index, step in enumerate(self._steps):
            if step - self._steps[kept[-1]] >= self.spacing:
                kept.append(index)
        if kept[-1] != len(self._steps) - 1:
            kept.append(len(self._steps) - 1)
        self._steps = [self._steps[index] for index in kept]
        self._seconds = [self._seconds[index] for index in kept]

    def cut(self, step: int) -> None:
        """Forget everything later than a step."""
        if self._steps[-1] <= step:
            return
        seconds = self.seconds(step)
        kept = max(bisect_right(self._steps, step), 1)
        del self._steps[kept:], self._seconds[kept:]
        self.add(step, seconds)

    def seconds(self, step: float) -> float:
        """Return the time of a step; after the newest one, the newest time."""
        return _between(step, self._steps, self._seconds)

    def step(self, seconds: float) -> float:
        """Return the step at a time."""
        return _between(seconds, self._seconds, self._steps)


def are_times(times: Times) -> bool:
    """Whether a run can have written these times; a file may hold anything."""
    steps, seconds = times.columns()
    return (
        is_count(times.spacing)
        and times.spacing > 0
        and 0 < len(steps) <= MOST_TIMES
        and are_growing(steps)
        and seconds[0] >= 0
        and seconds[-1] < LATEST_S
        and all(map(le, seconds, islice(seconds, 1, None)))
    )


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    at = bisect_left(xs, x)
    if at == 0:
        return ys[0]
    if at == len(xs):
        return ys[-1]
    left, right = xs[at - 1], xs[at]
    return ys[at - 1] + (ys[at] - ys[at - 1]) * (x - left) / (right - left)


MOST_BUCKETS = 1024
RECENT = 2048
"""The number of values kept one by one, at least; at most twice as many."""


@dataclass(slots=True)
class Points:
    """Values joined by step, as columns of a table: built-in functions on slices are fast.

    A point without a finite value has the count 0.
    """

    steps: list[int] = field(default_factory=list)
    """The last step of each point."""
    counts: list[int] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    bads: list[int] = field(default_factory=list)
    """The number of values that were not finite."""

    def __len__(self) -> int:
        return len(self.steps)

    def new(self, step: int) -> None:
        """Append a point without values."""
        self.steps.append(step)
        self.counts.append(0)
        self.totals.append(0.0)
        self.lows.append(math.inf)
        self.highs.append(-math.inf)
        self.bads.append(0)

    def fill(self, step: int, values: Sequence[float]) -> None:
        """Add values to the last point, whose last step becomes `step`."""
        self.steps[-1] = step
        total = sum(values)
        good: Sequence[float] = values
        if not math.isfinite(total):
            good = [value for value in values if math.isfinite(value)]
            self.bads[-1] += len(values) - len(good)
            if not good:
                return
            total = sum(good)
        self.counts[-1] += len(good)
        self.totals[-1] += total
        self.lows[-1] = min(self.lows[-1], *good)
        self.highs[-1] = max(self.highs[-1], *good)

    def extend(self, steps: Sequence[int], values: Sequence[float], borders: Sequence[int]) -> None:
        """Append a point for the values between each two neighbouring borders."""
        parts = [values[begin:end] for begin, end in pairwise(borders)]
        ends = [steps[end - 1] for end in borders[1:]]
        if not math.isfinite(sum(values)):
            for end, part in zip(ends, parts, strict=True):
                self.new(end)
                self.fill(end, part)
            return
        # Built-in functions on whole columns: much faster than point by point.
        self.steps += ends
        self.counts += map(len, parts)
        self.totals += map(sum, parts)
        self.lows += map(min, parts)
        self.highs += map(max, parts)
        self.bads += [0] * len(parts)

    def part(self, begin: int, end: int | None = None) -> Points:
        """Return a range of points."""
        return _table(column[begin:end] for column in self.columns())

    def followed_by(self, others: Points) -> Points:
        """Return these points followed by others."""
        columns = zip(self.columns(), others.columns(), strict=True)
        return _table(own + other for own, other in columns)

    def cut(self, length: int) -> None:
        """Keep only the first points."""
        for column in self.columns():
            del column[length:]

    def joined(self, ends: Sequence[int]) -> Points:
        """Join points: those up to the first of `ends` into one, those up to the next into another.

        `ends` are indices in increasing order, and the last is the length.
        """
        parts = [slice(begin, end) for begin, end in pairwise([0, *ends]) if begin < end]
        return Points(
            steps=[self.steps[part.stop - 1] for part in parts],
            counts=[sum(self.counts[part]) for part in parts],
            totals=[sum(self.totals[part]) for part in parts],
            lows=[min(self.lows[part]) for part in parts],
            highs=[max(self.highs[part]) for part in parts],
            bads=[sum(self.bads[part]) for part in parts],
        )

    def means(self) -> list[float]:
        """Return the mean of each point; each must have a value."""
        means = [total / count for total, count in zip(self.totals, self.counts, strict=True)]
        if math.isfinite(sum(means)):
            return means
        # The sum of values near the largest float is not finite, but their mean is.
        bounds = zip(means, self.lows, self.highs, strict=True)
        return [min(max(low, mean), high) for mean, low, high in bounds]

    def finite(self) -> Points:
        """Return the points that have a value."""
        if 0 not in self.counts:
            return self
        kept = [index for index, count in enumerate(self.counts) if count]
        return _table([column[index] for index in kept] for column in self.columns())

    def columns(self) -> tuple[list[Any], ...]:
        """Return the fields in their order."""
        return self.steps, self.counts, self.totals, self.lows, self.highs, self.bads


def _table(columns: Iterable[list[Any]]) -> Points:
    return Points(*columns)


def singles(steps: list[int], values: list[float]) -> Points:
    """Make one point per value."""
    # One sum is much faster than a check of every value.
    if math.isfinite(sum(values)):
        ones, zeros = [1] * len(values), [0] * len(values)
        return Points(steps, ones, values, values, values, zeros)
    points = Points()
    for step, value in zip(steps, values, strict=True):
        points.new(step)
        points.fill(step, (value,))
    return points


class Series:
    """Values in the order of their steps."""

    def __init__(self) -> None:
        self.width = 1
        """The steps per bucket."""
        self._buckets = Points()
        self._steps: list[int] = []
        self._values: list[float] = []

    def add(self, steps: Sequence[int], values: Sequence[float]) -> None:
        """Add values, one per step; all steps are later than those before.

        Many values at once take far less time than each by itself.
        """
        self._keep(steps, values)
        self._widen_for(steps)
        buckets, width = self._buckets, self.width
        ends, begin = _ends_of_buckets(steps, width), 0
        if buckets.steps and buckets.steps[-1] // width == steps[0] // width:
            begin = ends.pop(0)
            buckets.fill(steps[begin - 1], values[:begin])
        buckets.extend(steps, values, [begin, *ends])

    def _widen_for(self, steps: Sequence[int]) -> None:
        """Double the width and join the buckets, until there are few enough with new steps."""
        width, known = self.width, self._buckets.steps
        while (
            # The second condition is exact, and expensive.
            len(known) + steps[-1] // width - steps[0] // width + 1 > MOST_BUCKETS
            and len({step // width for step in chain(known, steps)}) > MOST_BUCKETS
        ):
            width *= 2
        if width > self.width:
            self.width, self._buckets = width, _in_buckets(self._buckets, width)

    def _keep(self, steps: Sequence[int], values: Sequence[float]) -> None:
        self._steps += steps[-RECENT:]
        self._values += values[-RECENT:]
        # Let the list grow to twice the size, so that its head is rarely deleted.
        if len(self._steps) > 2 * RECENT:
            del self._steps[:-RECENT], self._values[:-RECENT]

    def cut(self, step: int) -> None:
        """Forget everything later than a step.

        Of the bucket across it, only the values that are known one by one remain.
        """
        kept = bisect_right(self._steps, step)
        del self._steps[kept:], self._values[kept:]
        index = bisect_right(self._buckets.steps, step)
        if index == len(self._buckets):
            return
        self._buckets.cut(index)
        begin = bisect_left(self._steps, step // self.width * self.width)
        if begin < kept and (self.last is None or self.last < self._steps[begin]):
            self._buckets.new(step)
            self._buckets.fill(self._steps[-1], self._values[begin:])

    def columns(self) -> tuple[list[Any], ...]:
        """Return the buckets as six columns, then the steps and values of the newest ones."""
        return *self._buckets.columns(), self._steps, self._values

    @staticmethod
    def of(width: int, columns: Sequence[list[Any]]) -> Series:
        """Make the series from its width and its `columns`."""
        series = Series()
        series.width = width
        *buckets, series._steps, series._values = columns
        series._buckets = _table(buckets)
        return series

    @property
    def last(self) -> int | None:
        """The newest step; None if there is none."""
        return self._buckets.steps[-1] if self._buckets.steps else None

    def value(self, step: int) -> float | None:
        """Return the value at a step, if it is among the newest ones that are kept one by one."""
        at = bisect_left(self._steps, step)
        is_kept = at < len(self._steps) and self._steps[at] == step
        return self._values[at] if is_kept else None

    def all(self) -> Points:
        """Return the points of the whole run."""
        return self._buckets

    def since(self, step: int) -> Points:
        """Return the points from a step on: buckets, and then the newest values one by one."""
        begin = bisect_left(self._steps, step)
        newest = singles(self._steps[begin:], self._values[begin:])
        if begin > 0:
            return newest
        # After going back far, there is nothing older among the newest values.
        border = self._steps[0] if self._steps else None
        first = bisect_left(self._buckets.steps, step)
        end = None if border is None else bisect_left(self._buckets.steps, border)
        return self._buckets.part(first, end).followed_by(newest)


def _in_buckets(points: Points, width: int) -> Points:
    """Join the points that belong to the same bucket of that many steps."""
    return points.joined(_ends_of_buckets(points.steps, width))


def _ends_of_buckets(steps: Sequence[int], width: int) -> list[int]:
    """Return the indices after the last step of each bucket of that many steps."""
    ends, end, count = [], 0, len(steps)
    while end < count:
        # Of `width` steps at most, so the search need not look further.
        most = min(end + width, count)
        end = bisect_left(steps, (steps[end] // width + 1) * width, end, most)
        ends.append(end)
    return ends


def is_series(series: Series) -> bool:
    """Whether a run can have written this series; a file may hold anything."""
    buckets, steps = series.all(), series.columns()[6]
    filled = buckets.finite()
    return (
        is_count(series.width)
        and series.width > 0
        and len(buckets) <= MOST_BUCKETS
        and len(steps) <= 2 * RECENT
        and are_growing(buckets.steps)
        and are_growing(steps)
        and are_counts(buckets.counts)
        and are_counts(buckets.bads)
        and not any(map(math.isnan, buckets.totals))
        and all(map(math.isfinite, filled.lows))
        and all(map(math.isfinite, filled.highs))
        and all(map(le, filled.lows, filled.highs))
    )


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Return the debiased exponential moving average of finite values; `weight` is in [0, 1).

    It smooths as TensorBoard does (`resmoothDataset` of its line chart): s = w s + (1 - w) y,
    divided by 1 - w^n after n values, the bias correction of Kingma & Ba, arXiv:1412.6980, section
    3.
    """
    if weight <= 0:
        return list(values)
    average, bias, rest = 0.0, 1.0, 1 - weight
    averages = []
    for value in values:
        average = weight * average + rest * value
        bias *= weight
        averages.append(average / (1 - bias))
    return averages
