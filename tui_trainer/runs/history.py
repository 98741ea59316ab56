"""`History`: the curves of a run, bounded however long it is.

Layer: runs. A million steps cost the memory and the redraw of a thousand: the whole run is kept in
buckets of min, max and mean, the newest steps one by one. Used from one thread.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tui_trainer.runs.events import (
    CheckpointSaved,
    Edited,
    Event,
    NonFinite,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.runs.numbers import CURVES
from tui_trainer.runs.series import Points, Series, Times, smoothed
from tui_trainer.text.format import LATEST_S

XAxis = Literal["step", "epoch", "time"]
Window = Literal["all", "recent"]
MarkKind = Literal["best", "checkpoint", "edit", "pause", "nonfinite"]
WINDOW = 1024
"""Steps of the recent window."""
MOST_MARKS = 256
"""Of one kind; the newest are kept."""
MOST_TEXT = 200
"""Characters of the text beside a mark."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn of a series, at most as many points as were asked for, in the order of x.

    `xs` are steps, epochs (a fraction within one) or seconds of training. `means`, `lows` and
    `highs` are of the values that fall on a point; `smooth` is the debiased exponential moving
    average at its end. A value that was not finite is in `gaps` alone.
    """

    xs: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    smooth: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step, for a sign on the plots."""

    kind: MarkKind
    step: int
    x: float
    """On the axis that was asked for."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of a series at the point nearest to an x."""

    step: int
    x: float
    value: float
    smooth: float


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """A history, for a file."""

    series: dict[str, Series]
    times: Times
    steps_per_epoch: int
    marks: dict[MarkKind, list[tuple[int, str]]]


class History:
    """The series `train/loss`, `lr`, `grad_norm`, `samples_per_s` and `val/<metric>`, and marks."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change, so that a reader knows when to look again."""
        self._series: dict[str, Series] = {}
        self._times = Times()
        self._steps_per_epoch = 1
        self._marks: dict[MarkKind, deque[tuple[int, str]]] = {}

    def parts(self) -> HistoryParts:
        """What it is made of; not a copy."""
        marks = {kind: list(marks) for kind, marks in self._marks.items()}
        return HistoryParts(self._series, self._times, self._steps_per_epoch, marks)

    @staticmethod
    def of(parts: HistoryParts) -> History:
        """The history whose `parts` these were."""
        history = History()
        history._series, history._times = parts.series, parts.times
        history._steps_per_epoch = parts.steps_per_epoch
        for kind, marks in parts.marks.items():
            history._marks[kind] = deque(marks, maxlen=MOST_MARKS)
        history.version = 1
        return history

    def add(self, event: Event) -> None:
        """Take what an event says; a new start sets aside what lies after its step."""
        match event:
            case RunStarted():
                self.restart(event.step, event.steps_per_epoch)
            case StepsTaken():
                self._take(event)
            case ValidationEnded():
                # On demand as well: it decides nothing, and is a measurement all the same.
                for name, value in event.metrics.items():
                    self.put(f"val/{name}", (event.step,), (value,))
        self.mark_event(event)

    def mark_event(self, event: Event) -> None:
        """Take the sign that an event leaves on the plots, if it leaves one."""
        match event:
            case ValidationEnded(improved=True, on_demand=False):
                self.mark("best", event.step)
            case CheckpointSaved():
                self.mark("checkpoint", event.step)
            case Edited():
                self.mark("edit", event.step, f"{event.key} {event.old} -> {event.new}")
            case StateChanged(state="paused"):
                self.mark("pause", event.step, event.reason)
            case NonFinite():
                self.mark("nonfinite", event.step, event.what)

    def _take(self, event: StepsTaken) -> None:
        self.time(event.step, event.elapsed_s)
        for number in CURVES:
            values = number.values(event)
            self.put(number.key, range(event.step - len(values) + 1, event.step + 1), values)

    def put(self, name: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Take values of a series, one for each of the steps, which are later than those before."""
        if steps:
            self._series.setdefault(name, Series()).add(steps, values)
            self.version += 1

    def time(self, step: int, elapsed_s: float) -> None:
        """Take the seconds of training that had passed at a step."""
        if 0 <= elapsed_s < LATEST_S:
            self._times.add(step, elapsed_s)

    def mark(self, kind: MarkKind, step: int, text: str = "") -> None:
        """Take something that happened; a second time it is the same thing."""
        text = text[:MOST_TEXT]
        marks = self._marks.setdefault(kind, deque(maxlen=MOST_MARKS))
        # An edit at the step of a checkpoint is told again by every resume from there.
        if (step, text) not in marks:
            marks.append((step, text))
            self.version += 1

    def restart(self, step: int, steps_per_epoch: int) -> None:
        """Begin at a step, and forget what lies after it."""
        self.version += 1
        self._steps_per_epoch = max(steps_per_epoch, 1)
        self._times.cut(step)
        for series in self._series.values():
            series.cut(step)
        for kind, marks in self._marks.items():
            self._marks[kind] = deque((m for m in marks if m[0] <= step), maxlen=MOST_MARKS)

    def last(self, name: str) -> int:
        """The newest step of a series; -1 where there is none."""
        series = self._series.get(name)
        return -1 if series is None or series.last is None else series.last

    @property
    def names(self) -> Sequence[str]:
        """The series that have points, losses first."""
        found = (name for name, series in self._series.items() if series.last is not None)
        return sorted(found, key=lambda name: (not name.endswith("loss"), name))

    def curve(
        self, name: str, *, x: XAxis, window: Window, columns: int, smoothing: float
    ) -> Curve:
        """A series for a plot `columns` wide; an empty curve for one that is not there (yet)."""
        points = self._points(name, window)
        if not points or columns < 1:
            return Curve()
        good = points.finite()
        means = good.means()
        smooth = smoothed(means, smoothing)
        gaps = [step for step, bad in zip(points.steps, points.bads, strict=True) if bad]
        borders = self._borders(x, window, columns) if len(points) > columns else []
        if len(gaps) > columns:
            gaps = [gaps[end - 1] for end in _ends(gaps, borders)]
        if len(good) > columns:
            ends = _ends(good.steps, borders)
            good = good.joined(ends)
            means, smooth = good.means(), [smooth[end - 1] for end in ends]
        return Curve(
            xs=tuple(self._x(step, x) for step in good.steps),
            means=tuple(means),
            lows=tuple(good.lows),
            highs=tuple(good.highs),
            smooth=tuple(smooth),
            gaps=tuple(self._x(step, x) for step in gaps),
        )

    def marks(self, *, x: XAxis, window: Window) -> Sequence[Mark]:
        """What happened, in the order of steps; of the best ones, the best so far alone."""
        since = self._since(window) or 0
        found = [
            Mark(kind, step, self._x(step, x), text)
            for kind, marks in self._marks.items()
            for step, text in (list(marks)[-1:] if kind == "best" else marks)
            if step >= since
        ]
        return sorted(found, key=lambda mark: mark.step)

    def span(self, *, x: XAxis, window: Window) -> tuple[float, float]:
        """First and last x of the window, over all series: the common axis of the plots."""
        return self._x(self._since(window) or 0, x), self._x(self.newest, x)

    def read(
        self, name: str, at: float, *, x: XAxis, window: Window, smoothing: float
    ) -> Reading | None:
        """The values nearest to `at`; None where there are none."""
        points = self._points(name, window).finite()
        if not points:
            return None
        after = bisect_left(points.steps, self._step(at, x))
        around = range(max(after - 1, 0), min(after + 1, len(points)))
        index = min(around, key=lambda i: abs(self._x(points.steps[i], x) - at))
        step, means = points.steps[index], points.means()
        smooth = smoothed(means[: index + 1], smoothing)[-1]
        return Reading(step, self._x(step, x), means[index], smooth)

    @property
    def newest(self) -> int:
        """The newest step of any series; 0 where there is none."""
        return max((series.last or 0 for series in self._series.values()), default=0)

    def _since(self, window: Window) -> int | None:
        """The first step of the window; None: the first of the run."""
        return None if window == "all" else max(self.newest - WINDOW + 1, 0)

    def _points(self, name: str, window: Window) -> Points:
        series = self._series.get(name)
        if series is None:
            return Points()
        since = self._since(window)
        return series.all() if since is None else series.since(since)

    def _borders(self, x: XAxis, window: Window, columns: int) -> list[float]:
        """The steps at the right ends of all columns but the last.

        Columns have round widths and begin at multiples of them, so that those of a growing run
        keep what they hold, and a plot of it changes at its end alone.
        """
        left, right = self.span(x=x, window=window)
        if columns < 2 or not right > left:
            return []
        width = _rounded_up((right - left) / (columns - 1))
        first, last = math.floor(left / width), math.ceil(right / width)
        return [self._step(at * width, x) for at in range(first + 1, last)]

    def _x(self, step: int, x: XAxis) -> float:
        if x == "step":
            return step
        return step / self._steps_per_epoch if x == "epoch" else self._times.seconds(step)

    def _step(self, at: float, x: XAxis) -> float:
        """The step at an x; what `_x` does, backwards."""
        if x == "step":
            return at
        return at * self._steps_per_epoch if x == "epoch" else self._times.step(at)


def _rounded_up(width: float) -> float:
    """The next of ten widths a decade, each a quarter larger than the one before."""
    return float(10 ** (math.ceil(math.log10(width) * 10 - 1e-9) / 10))


def _ends(steps: Sequence[int], borders: Sequence[float]) -> list[int]:
    """Where columns end among the steps, as indices; columns without a step are left out."""
    ends = sorted({bisect_left(steps, border) for border in borders} | {len(steps)})
    return ends[1:] if ends[0] == 0 else ends
