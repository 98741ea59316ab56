"""`History`: the curves of a run, bounded however long it is.

Layer: runs. A million steps cost the memory and the redraw of a thousand: the whole run is kept in
buckets of min, max and mean, the newest steps one by one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from tui_trainer.runs.series import Clock, Point, Series, smoothed

XAxis = Literal["step", "epoch", "time"]
Window = Literal["all", "recent"]
MarkKind = Literal["best", "checkpoint", "edit", "pause", "nonfinite"]
WINDOW = 1024
"""Steps of the recent window."""
MOST_MARKS = 256
"""Of one kind; the newest are kept."""


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn of a series, at most as many points as were asked for, in the order of x.

    `xs` are steps, epochs (a fraction within one) or seconds of training. `means`, `lows` and
    `highs` are of the values that fall on a point; `smooth` is the debiased exponential moving
    average. A value that was not finite is in `gaps` alone.
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


class History:
    """The series `train/loss`, `lr`, `grad_norm`, `samples_per_s` and `val/<metric>`, and marks."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change, so that a reader knows when to look again."""
        self._series: dict[str, Series] = {}
        self._clock = Clock()
        self._steps_per_epoch = 1
        self._marks: dict[MarkKind, deque[tuple[int, str]]] = {}

    def add(self, event: Event) -> None:
        """Take what an event says; a new start sets aside what lies after its step."""
        match event:
            case RunStarted():
                self._steps_per_epoch = max(event.steps_per_epoch, 1)
                self._cut(event.step)
            case StepsTaken():
                self._take(event)
            case ValidationEnded():
                self.tick(event.step, event.elapsed_s)
                for name, value in event.metrics.items():
                    self.put(f"val/{name}", event.step, (value,))
                if event.improved:
                    self.mark("best", event.step)
            case CheckpointSaved():
                self.mark("checkpoint", event.step)
            case Edited():
                self.mark("edit", event.step, f"{event.key} {event.old} -> {event.new}")
            case StateChanged(state="paused"):
                self.mark("pause", event.step, event.reason)
            case NonFinite():
                self.mark("nonfinite", event.step, event.what)
            case _:
                return
        self.version += 1

    def put(self, name: str, first: int, values: Sequence[float]) -> None:
        """Take values of a series, from step `first` on."""
        self._series.setdefault(name, Series()).add(first, values)

    def tick(self, step: int, elapsed_s: float) -> None:
        """Take the seconds of training at a step."""
        if math.isfinite(elapsed_s):
            self._clock.add(step, elapsed_s)

    def _take(self, event: StepsTaken) -> None:
        first = event.step - len(event.losses) + 1
        self.tick(event.step, event.elapsed_s)
        self.put("train/loss", first, event.losses)
        self.put("lr", first, event.lrs)
        self.put("grad_norm", first, event.grad_norms)
        self.put("samples_per_s", event.step, (event.samples_per_s,))

    def mark(self, kind: MarkKind, step: int, text: str = "") -> None:
        """Take a mark; of the best there is only the newest."""
        most = 1 if kind == "best" else MOST_MARKS
        self._marks.setdefault(kind, deque(maxlen=most)).append((step, text))

    def _cut(self, step: int) -> None:
        self._clock.cut(step)
        for series in self._series.values():
            series.cut(step)
        for marks in self._marks.values():
            while marks and marks[-1][0] > step:
                marks.pop()

    @property
    def names(self) -> Sequence[str]:
        """The series there are, losses first."""
        return sorted(self._series, key=lambda name: (not name.endswith("loss"), name))

    def curve(
        self, name: str, *, x: XAxis, window: Window, columns: int, smoothing: float
    ) -> Curve:
        """A series for a plot `columns` wide; an empty curve for one that is not there (yet)."""
        points = self._points(name, window)
        if not points or columns < 1:
            return Curve()
        gaps = tuple(self._x(point.last, x) for point in points if point.bad)
        shown: list[tuple[Point, float, float]] = []
        left, right = self.span(x=x, window=window)
        share = columns / (right - left) if right > left else 0.0
        column = -1
        for point, smooth in zip(points, smoothed(points, smoothing), strict=True):
            if not point.count:
                continue
            at = self._x(point.last, x)
            here = min(int((at - left) * share), columns - 1)
            if here == column:
                joined = replace(shown[-1][0])
                joined.join(point)
                shown[-1] = (joined, at, smooth)
            else:
                shown.append((point, at, smooth))
            column = here
        return Curve(
            xs=tuple(at for _, at, _ in shown),
            means=tuple(point.mean for point, _, _ in shown),
            lows=tuple(point.low for point, _, _ in shown),
            highs=tuple(point.high for point, _, _ in shown),
            smooth=tuple(smooth for _, _, smooth in shown),
            gaps=gaps,
        )

    def marks(self, *, x: XAxis, window: Window) -> Sequence[Mark]:
        """What happened, in the order of steps."""
        since = self._since(window) or 0
        found = [
            Mark(kind, step, self._x(step, x), text)
            for kind, marks in self._marks.items()
            for step, text in marks
            if step >= since
        ]
        return sorted(found, key=lambda mark: mark.step)

    def span(self, *, x: XAxis, window: Window) -> tuple[float, float]:
        """First and last x of the window, over all series: the common axis of the plots."""
        first = self._since(window) or 0
        return self._x(first, x), self._x(self._last, x)

    def read(
        self, name: str, at: float, *, x: XAxis, window: Window, smoothing: float
    ) -> Reading | None:
        """The values nearest to `at`; None where there are none."""
        points = [point for point in self._points(name, window) if point.count]
        if not points:
            return None
        nearest = bisect_left(points, at, key=lambda point: self._x(point.last, x))
        around = [index for index in (nearest - 1, nearest) if 0 <= index < len(points)]
        index = min(around, key=lambda i: abs(self._x(points[i].last, x) - at))
        smooth = list(smoothed(points, smoothing))[index]
        point = points[index]
        return Reading(point.last, self._x(point.last, x), point.mean, smooth)

    @property
    def _last(self) -> int:
        return max((series.last or 0 for series in self._series.values()), default=0)

    def _since(self, window: Window) -> int | None:
        """The first step of the window; None: the first of the run."""
        return None if window == "all" else max(self._last - WINDOW + 1, 0)

    def _points(self, name: str, window: Window) -> Sequence[Point]:
        series = self._series.get(name)
        if series is None:
            return ()
        since = self._since(window)
        return series.all() if since is None else series.since(since)

    def _x(self, step: float, x: XAxis) -> float:
        if x == "step":
            return step
        return step / self._steps_per_epoch if x == "epoch" else self._clock.seconds(step)
