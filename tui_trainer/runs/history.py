"""`History`: the curves of a run, bounded however long the run is.

Layer: runs. A million steps cost as much memory and redraw as a thousand: the whole run is kept in
buckets of min, max and mean, and the newest steps one by one. Used from one thread.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.runs.series import Points, Series, Times, smoothed
from tui_trainer.runs.step_numbers import CURVES
from tui_trainer.text.format import LATEST_S

XAxis = Literal["step", "epoch", "time"]
Window = Literal["all", "recent"]
MarkKind = Literal["best", "checkpoint", "save", "edit", "pause", "nonfinite"]
"""A `save` is a checkpoint that was asked for by a command."""
WINDOW = 1024
"""The number of steps in the recent window."""
MOST_MARKS = 256
"""The most marks of one kind; the newest are kept."""
MOST_TEXT = 200
"""The most characters of the text beside a mark."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The points to draw of a series, at most as many as were asked for, in the order of x.

    `xs` are steps, epochs (with fractions) or seconds of training. `means`, `lows` and `highs` are
    those of the values in each point; `smooth` is the debiased exponential moving average at its
    end. Values that are not finite appear only in `gaps`.
    """

    xs: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    smooth: tuple[float, ...] = ()
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a step, shown as a sign on the plots."""

    kind: MarkKind
    step: int
    x: float
    """The position on the axis that was asked for."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The values of a series at a step, or at the nearest one that has any.

    `value` is the mean of `count` values where they are no longer known one by one.
    """

    step: int
    value: float
    smooth: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """The contents of a history, for a file."""

    series: dict[str, Series]
    times: Times
    steps_per_epoch: int
    marks: dict[MarkKind, list[tuple[int, str]]]


class History:
    """The series `train/NUMBER`, `lr`, `grad_norm`, `samples_per_s` and `val/METRIC`, and marks."""

    def __init__(self) -> None:
        self.version = 0
        """Grows with every change, so that a reader knows when to look again."""
        self._series: dict[str, Series] = {}
        self._times = Times()
        self._steps_per_epoch = 1
        self._marks: dict[MarkKind, deque[tuple[int, str]]] = {}

    def parts(self) -> HistoryParts:
        """Return the contents themselves, not a copy."""
        marks = {kind: list(marks) for kind, marks in self._marks.items()}
        return HistoryParts(self._series, self._times, self._steps_per_epoch, marks)

    @staticmethod
    def of(parts: HistoryParts) -> History:
        """Make the history from its `parts`."""
        history = History()
        history._series, history._times = parts.series, parts.times
        history._steps_per_epoch = parts.steps_per_epoch
        for kind, marks in parts.marks.items():
            history._marks[kind] = deque(marks, maxlen=MOST_MARKS)
        history.version = 1
        return history

    def add(self, *events: Event) -> None:
        """Add the numbers and marks of events; a new start drops everything after its step.

        Numbers of steps that are known already are left out, so that events may follow what was
        read from the files of the run.

        All values of a series are added at once: the reports of a small model are a few steps long,
        and to add each by itself would take several times as long.
        """
        reports: list[StepsTaken] = []
        validations: list[ValidationEnded] = []
        for event in events:
            match event:
                case StepsTaken():
                    reports.append(event)
                    continue
                case ValidationEnded():
                    # Those on demand too: they decide nothing, but are measurements all the same.
                    validations.append(event)
                case RunStarted():
                    self._add_values(reports, validations)
                    reports, validations = [], []
                    self.restart(event.step, event.steps_per_epoch)
            self.mark_event(event)
        self._add_values(reports, validations)

    def _add_values(
        self, reports: Sequence[StepsTaken], validations: Sequence[ValidationEnded]
    ) -> None:
        for report in reports:
            self.time(report.step, report.elapsed_s)
        last_steps = [report.step for report in reports]
        all_steps = list(chain(*(range(r.step - len(r.losses) + 1, r.step + 1) for r in reports)))
        for number in CURVES:
            values = list(chain(*(number.values(report) for report in reports)))
            self._put_new(number.key, all_steps if number.is_per_step else last_steps, values)
        for name in dict.fromkeys(chain(*(report.others for report in reports))):
            having_name = [report for report in reports if name in report.others]
            steps = [s for r in having_name for s in range(r.step - len(r.losses) + 1, r.step + 1)]
            values = list(chain(*(report.others[name] for report in having_name)))
            self._put_new(f"train/{name}", steps, values)
        for name in dict.fromkeys(chain(*(event.metrics for event in validations))):
            # A validation on demand at the step of a scheduled one has measured the same weights.
            having = {e.step: e.metrics[name] for e in reversed(validations) if name in e.metrics}
            self._put_new(f"val/{name}", [*reversed(having)], [*reversed(having.values())])

    def _put_new(self, name: str, steps: list[int], values: list[float]) -> None:
        """Add the values of steps that the series does not have yet."""
        known = bisect_right(steps, self.last(name))
        self.put(name, steps[known:], values[known:])

    def mark_event(self, event: Event) -> None:
        """Add the mark that an event leaves on the plots, if it leaves one."""
        match event:
            case ValidationEnded(improved=True, on_demand=False):
                self.mark("best", event.step)
            case CheckpointSaved():
                self.mark("checkpoint", event.step)
            case CommandApplied(command="save", refused=""):
                self.mark("save", event.step)
            case Edited():
                self.mark("edit", event.step, f"{event.key} {event.old} -> {event.new}")
            case StateChanged(state="paused"):
                self.mark("pause", event.step, event.reason)
            case NonFinite():
                self.mark("nonfinite", event.step, event.what)

    def put(self, name: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Add values to a series, one for each step; all steps are later than those before."""
        if steps:
            self._series.setdefault(name, Series()).add(steps, values)
            self.version += 1

    def time(self, step: int, elapsed_s: float) -> None:
        """Record the seconds of training that had passed at a step."""
        if 0 <= elapsed_s < LATEST_S:
            self._times.add(step, elapsed_s)

    def mark(self, kind: MarkKind, step: int, text: str = "") -> None:
        """Add a mark; adding the same one again changes nothing."""
        text = text[:MOST_TEXT]
        marks = self._marks.setdefault(kind, deque(maxlen=MOST_MARKS))
        # Every resume from a checkpoint emits the edits at its step again.
        if (step, text) not in marks:
            marks.append((step, text))
            self.version += 1

    def restart(self, step: int, steps_per_epoch: int) -> None:
        """Continue from a step, and forget everything after it."""
        self.version += 1
        self._steps_per_epoch = max(steps_per_epoch, 1)
        self._times.cut(step)
        for series in self._series.values():
            series.cut(step)
        for kind, marks in self._marks.items():
            self._marks[kind] = deque((m for m in marks if m[0] <= step), maxlen=MOST_MARKS)

    def last(self, name: str) -> int:
        """Return the newest step of a series; -1 if it has none."""
        series = self._series.get(name)
        return -1 if series is None or series.last is None else series.last

    @property
    def names(self) -> Sequence[str]:
        """The series that have points, losses first."""
        names = (name for name, series in self._series.items() if series.last is not None)
        return sorted(names, key=lambda name: (not name.endswith("loss"), name))

    def curve(
        self, name: str, *, x: XAxis, window: Window, columns: int, smoothing: float
    ) -> Curve:
        """Return a series for a plot `columns` wide; an empty curve if it does not exist (yet)."""
        points = self._points(name, window)
        if not points or columns < 1:
            return Curve()
        good = points.finite()
        means = good.means()
        # Smoothed before points are joined, so that the curve does not depend on the plot's width.
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
            xs=tuple(self.x_of(step, x) for step in good.steps),
            means=tuple(means),
            lows=tuple(good.lows),
            highs=tuple(good.highs),
            smooth=tuple(smooth),
            gaps=tuple(self.x_of(step, x) for step in gaps),
        )

    def marks(self, *, x: XAxis, window: Window) -> Sequence[Mark]:
        """Return the marks in the order of steps; of those for the best, only the newest."""
        since = self._since(window) or 0
        shown_marks = [
            Mark(kind, step, self.x_of(step, x), text)
            for kind, marks in self._marks.items()
            for step, text in (list(marks)[-1:] if kind == "best" else marks)
            if step >= since
        ]
        return sorted(shown_marks, key=lambda mark: mark.step)

    def span(self, *, x: XAxis, window: Window) -> tuple[float, float]:
        """Return the first and last x of the window over all series: the plots' common axis."""
        return self.x_of(self._since(window) or 0, x), self.x_of(self.newest, x)

    def steps(self, name: str, window: Window) -> Sequence[int]:
        """Return the steps of a series that have a value; of joined ones, the last."""
        return self._points(name, window).finite().steps

    def read(self, name: str, step: int, *, window: Window, smoothing: float) -> Reading | None:
        """Return the values at the step that is nearest to `step`; None if there are none.

        A step before the window is read from the whole run.
        """
        if step < (self._since(window) or 0):
            window = "all"
        points = self._points(name, window).finite()
        if not points:
            return None
        index = _nearest(points, step)
        at, value, count = points.steps[index], points.means()[index], points.counts[index]
        smooth = smoothed(points.means()[: index + 1], smoothing)[-1]
        if count > 1 and step < at:
            at = step
        exact = self._series[name].value(at)
        if exact is not None and math.isfinite(exact):
            value, count = exact, 1
        return Reading(at, value, smooth, count)

    @property
    def newest(self) -> int:
        """The newest step of any series; 0 if there is none."""
        return max((series.last or 0 for series in self._series.values()), default=0)

    def _since(self, window: Window) -> int | None:
        """Return the first step of the window; None for the first of the run."""
        return None if window == "all" else max(self.newest - WINDOW + 1, 0)

    def _points(self, name: str, window: Window) -> Points:
        series = self._series.get(name)
        if series is None:
            return Points()
        since = self._since(window)
        return series.all() if since is None else series.since(since)

    def _borders(self, x: XAxis, window: Window, columns: int) -> list[float]:
        """Return the steps at the right ends of all columns but the last.

        Columns have round widths and begin at multiples of them. So the columns of a growing run
        keep their content, and its plot changes only at the end.
        """
        left, right = self.span(x=x, window=window)
        if columns < 2 or not right > left:
            return []
        width = _rounded_up((right - left) / (columns - 1))
        first, last = math.floor(left / width), math.ceil(right / width)
        return [self.step_at(at * width, x) for at in range(first + 1, last)]

    def x_of(self, step: int, x: XAxis) -> float:
        """Return where a step is on an axis."""
        if x == "step":
            return step
        return step / self._steps_per_epoch if x == "epoch" else self._times.seconds(step)

    def step_at(self, at: float, x: XAxis) -> float:
        """Return the step at an x, the inverse of `x_of`."""
        if x == "step":
            return at
        return at * self._steps_per_epoch if x == "epoch" else self._times.step(at)


def _nearest(points: Points, step: int) -> int:
    """Return the index of the point that contains a step, or else of the nearest one."""
    after = bisect_left(points.steps, step)
    if after == len(points):
        return after - 1
    if after == 0 or points.counts[after] > 1 or points.steps[after] == step:
        return after
    is_nearer = points.steps[after] - step < step - points.steps[after - 1]
    return after if is_nearer else after - 1


def _rounded_up(width: float) -> float:
    """Round up to one of ten widths per decade, each a quarter larger than the one before."""
    return float(10 ** (math.ceil(math.log10(width) * 10 - 1e-9) / 10))


def _ends(steps: Sequence[int], borders: Sequence[float]) -> list[int]:
    """Return the indices of the steps at which columns end; empty columns are left out."""
    ends = sorted({bisect_left(steps, border) for border in borders} | {len(steps)})
    return ends[1:] if ends[0] == 0 else ends
