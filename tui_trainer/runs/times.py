"""`Times`: at which second of the training a step was taken; bounded however many there are.

Layer: runs. Pauses are in no second of it, because what a run calls its elapsed time leaves them
out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import islice
from operator import le

from tui_trainer.runs.bounds import are_growing, is_count
from tui_trainer.text.format import LATEST_S

MOST_TIMES = 2048


class Times:
    """Straight lines between the steps whose time is known, evenly spaced over the run."""

    def __init__(self) -> None:
        self._steps: list[int] = [0]
        self._seconds: list[float] = [0.0]
        self.spacing = 1
        """Steps between two that are kept; the newest is kept anyway."""

    def columns(self) -> tuple[list[int], list[float]]:
        """Steps and their seconds."""
        return self._steps, self._seconds

    @staticmethod
    def of(steps: list[int], seconds: list[float], spacing: int) -> Times:
        """The times whose `columns` and `spacing` these were."""
        times = Times()
        times._steps, times._seconds, times.spacing = steps, seconds, spacing
        return times

    def add(self, step: int, seconds: float) -> None:
        """Take the time of a step, which is later than those before."""
        if step <= self._steps[-1]:
            return
        seconds = max(seconds, self._seconds[-1])
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
        """Forget what is later than a step."""
        if self._steps[-1] <= step:
            return
        seconds = self.seconds(step)
        kept = max(bisect_right(self._steps, step), 1)
        del self._steps[kept:], self._seconds[kept:]
        self.add(step, seconds)

    def seconds(self, step: float) -> float:
        """The time of a step; after the newest one, its time."""
        return _between(step, self._steps, self._seconds)

    def step(self, seconds: float) -> float:
        """The step at a time."""
        return _between(seconds, self._seconds, self._steps)


def are_times(times: Times) -> bool:
    """Whether these are times that a run has kept, and no others that a file may have."""
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
