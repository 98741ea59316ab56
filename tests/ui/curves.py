"""A history of given curves, one bucket for so many points, for the tests of the plots."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_trainer.runs.history import Curve, History, Mark, MarkKind, Reading, Window, XAxis

PER_STEP: dict[XAxis, float] = {"step": 1.0, "epoch": 0.05, "time": 0.5}
RECENT = 50


class FakeHistory(History):
    """Series of (steps, values); an epoch is 20 steps, a step takes half a second."""

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[str, tuple[list[int], list[float]]] = {}
        self.happened: list[tuple[MarkKind, int]] = []
        self.asked: list[tuple[str, float]] = []
        """Names and smoothings of the curves that were asked for."""

    def have(self, name: str, values: Sequence[float], every: int = 1) -> None:
        """Let a series have these values, one at each `every` steps."""
        self.given[name] = ([every * (i + 1) for i in range(len(values))], list(values))
        self.version += 1

    @property
    def names(self) -> Sequence[str]:
        return list(self.given)

    def _steps(self, window: Window) -> tuple[int, int]:
        steps = [step for xs, _ in self.given.values() for step in xs]
        last = max(steps, default=0)
        return (max(last - RECENT, 0) if window == "recent" else min(steps, default=0)), last

    def span(self, *, x: XAxis, window: Window) -> tuple[float, float]:
        first, last = self._steps(window)
        return first * PER_STEP[x], last * PER_STEP[x]

    def curve(
        self, name: str, *, x: XAxis, window: Window, columns: int, smoothing: float
    ) -> Curve:
        self.asked.append((name, smoothing))
        if name not in self.given:
            return Curve()
        first = self._steps(window)[0]
        points = [
            (step * PER_STEP[x], value)
            for step, value in zip(*self.given[name], strict=True)
            if step >= first
        ]
        finite = [(at, value) for at, value in points if math.isfinite(value)]
        size = max(-(-len(finite) // max(columns, 1)), 1)
        buckets = [finite[i : i + size] for i in range(0, len(finite), size)]
        values = [[value for _, value in bucket] for bucket in buckets]
        means = tuple(sum(v / len(bucket) for v in bucket) for bucket in values)
        return Curve(
            xs=tuple(bucket[-1][0] for bucket in buckets),
            means=means,
            lows=tuple(min(bucket) for bucket in values),
            highs=tuple(max(bucket) for bucket in values),
            smooth=means,
            gaps=tuple(at for at, value in points if not math.isfinite(value)),
        )

    def marks(self, *, x: XAxis, window: Window) -> Sequence[Mark]:
        first = self._steps(window)[0]
        return [
            Mark(kind, step, step * PER_STEP[x]) for kind, step in self.happened if step >= first
        ]

    def steps(self, name: str, window: Window) -> Sequence[int]:
        first = self._steps(window)[0]
        steps, values = self.given.get(name, ([], []))
        pairs = zip(steps, values, strict=True)
        return [step for step, value in pairs if step >= first and math.isfinite(value)]

    def x_of(self, step: int, x: XAxis) -> float:
        return step * PER_STEP[x]

    def step_at(self, at: float, x: XAxis) -> float:
        return at / PER_STEP[x]

    def read(self, name: str, step: int, *, window: Window, smoothing: float) -> Reading | None:
        steps, values = self.given.get(name, ([], []))
        if not steps:
            return None
        index = min(range(len(steps)), key=lambda i: abs(steps[i] - step))
        value = values[index]
        return Reading(steps[index], value, value / 2 if smoothing else value)


def falling(steps: int = 60) -> FakeHistory:
    """A run with losses, an accuracy and what the loop measures."""
    history = FakeHistory()
    history.have("train/loss", [2.0 / (1 + i / 10) for i in range(steps)])
    history.have("val/loss", [2.1 / (1 + i) for i in range(steps // 10)], every=10)
    history.have("val/accuracy", [1 - 0.5 / (1 + i) for i in range(steps // 10)], every=10)
    history.have("lr", [1e-3] * steps)
    history.have("grad_norm", [0.5 + i % 3 for i in range(steps)])
    history.have("samples_per_s", [12000.0 + i for i in range(steps)])
    return history
