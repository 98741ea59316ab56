"""`StartingPanel`: the stages of a start with their seconds, and what is known about its run.

Layer: ui. It stands in place of the plots until the first step's numbers are there. Its clock runs
only meanwhile, so it costs a training nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.events import Event, FactFound, RunEnded, Stage, StageStarted, Topic
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted, duration
from tui_trainer.ui.shared.lines import hanging

TICK_S = 0.2
BESIDE = 100
"""From this width on, what is known stands beside the stages, otherwise below them."""
_LEFT_WIDTH = 36
_TITLE_WIDTH = 25
_ORDER: tuple[Stage, ...] = (
    *("import torch", "read the checkpoint", "read the data", "build the model", "try a step"),
    "first step",
)
_MOST_CHANGES = 8
"""The most settings that are listed as differing from the preset."""
_ALWAYS: tuple[Stage, ...] = ("read the data", "build the model", "first step")
"""Stages of every start, shown before they begin."""
_TITLES: dict[Topic, str] = {
    "changes": "differs from the preset",
    "data": "data",
    "model": "model",
    "layers": "layers",
    "device": "device",
}


class Stages:
    """The stages of the newest start, and the facts about its run; pure data.

    Times are those of the events, so that a run of another process shows the same seconds.
    """

    def __init__(self) -> None:
        self._begun: list[StageStarted] = []
        self._facts: dict[Topic, list[str]] = {}

    def _forget(self) -> None:
        self._begun.clear()
        self._facts.clear()

    def add(self, event: Event) -> None:
        """Take an event."""
        match event:
            case StageStarted():
                if self._begun and _place(event) <= _place(self._begun[-1]):
                    # Another start of the run, after one that has left no end.
                    self._forget()
                self._begun.append(event)
            case FactFound():
                self._facts.setdefault(event.topic, []).append(clean(event.text, 200))
            case RunEnded():
                self._forget()

    def seconds(self, now_s: float) -> list[tuple[Stage, float | None, bool]]:
        """Return each stage, its seconds (None before it begins), and whether it is over."""
        ends = [event.at_s for event in self._begun[1:]]
        rows: list[tuple[Stage, float | None, bool]] = [
            (event.stage, max(end_s - event.at_s, 0.0), True)
            for event, end_s in zip(self._begun, ends, strict=False)
        ]
        if self._begun:
            newest = self._begun[-1]
            rows.append((newest.stage, max(now_s - newest.at_s, 0.0), False))
        begun = {stage for stage, _, _ in rows}
        last = _place(self._begun[-1]) if self._begun else -1
        return rows + [
            (stage, None, False)
            for stage in _ALWAYS
            if stage not in begun and _ORDER.index(stage) > last
        ]

    def elapsed_s(self, now_s: float) -> float | None:
        """Return the seconds since the first stage began; None before that."""
        return max(now_s - self._begun[0].at_s, 0.0) if self._begun else None

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The facts with their titles, in the order of the titles; a title is not repeated."""
        known = dict(self._facts)
        if more := known.get("changes", [])[_MOST_CHANGES:]:
            known["changes"] = [*known["changes"][:_MOST_CHANGES], f"and {len(more)} more"]
        return [
            (title if number == 0 else "", text)
            for topic, title in _TITLES.items()
            for number, text in enumerate(known.get(topic, ()))
        ]


def _place(event: StageStarted) -> int:
    return _ORDER.index(event.stage)


def first_step_facts(experiment: Experiment | None) -> list[tuple[str, str]]:
    """Return what makes the first step longer than the others."""
    if experiment is None:
        return []
    facts = []
    if workers := experiment.loader.num_workers:
        facts.append(f"starts {counted(workers, 'worker')}")
    if experiment.training.compile:
        facts.append("compiles the model, which may take minutes")
    return [("first step" if number == 0 else "", text) for number, text in enumerate(facts)]


class StartingPanel(Static):
    """Shows `Stages`; `ticked` is called whenever its seconds count up."""

    DEFAULT_CSS = """
    StartingPanel { width: 1fr; height: 1fr; padding: 1 1; display: none; }
    """

    def __init__(
        self,
        ticked: Callable[[], object],
        *,
        plain: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__("", markup=False)
        self._ticked = ticked
        self._plain = plain
        self._clock = clock
        self._stages = Stages()
        self._ticks: Timer | None = None
        self._experiment: Experiment | None = None

    @property
    def elapsed(self) -> str:
        """The duration of the start so far, as `3.1 s`; empty before its first stage."""
        elapsed_s = self._stages.elapsed_s(self._clock())
        return "" if elapsed_s is None else duration(elapsed_s)

    def on_mount(self) -> None:
        self._ticks = self.set_interval(TICK_S, self._tick, pause=True)

    def add(self, event: Event) -> None:
        """Take an event of the run."""
        self._stages.add(event)

    def look(self, experiment: Experiment | None, *, is_starting: bool) -> None:
        """Show the stages and count their seconds while the run is starting."""
        self._experiment = experiment
        if self._ticks is not None:
            (self._ticks.resume if is_starting else self._ticks.pause)()
        if is_starting:
            self._draw()

    def _tick(self) -> None:
        self._draw()
        self._ticked()

    def _draw(self) -> None:
        if self.size:
            self.update(self._content(self.content_size.width), layout=False)

    def on_resize(self) -> None:
        self._draw()

    def _content(self, width: int) -> Content:
        stages = [self._row(*row) for row in self._stages.seconds(self._clock())]
        if width < BESIDE:
            return Content("\n").join([*stages, Content(""), *self._known(width)])
        known = self._known(width - _LEFT_WIDTH)
        rows = max(len(stages), len(known))
        left = [*stages, *[Content("")] * (rows - len(stages))]
        right = [*known, *[Content("")] * (rows - len(known))]
        return Content("\n").join(
            one.pad_right(max(_LEFT_WIDTH - one.cell_length, 0)) + other
            for one, other in zip(left, right, strict=True)
        )

    def _row(self, stage: Stage, seconds: float | None, is_over: bool) -> Content:
        if seconds is None:
            return Content.styled(f"  {stage}", "$foreground-muted")
        signs = (("+", "$text-success"), (">", "$text-accent"))
        if not self._plain:
            signs = (("✓", "$text-success"), ("●", "$text-accent"))
        return Content.assemble(signs[0 if is_over else 1], f" {stage:<20} {duration(seconds):>8}")

    def _known(self, width: int) -> Sequence[Content]:
        return [
            row
            for title, text in [*self._stages.facts, *first_step_facts(self._experiment)]
            for row in hanging(
                Content.styled(title.ljust(_TITLE_WIDTH), "$foreground-muted"), Content(text), width
            )
        ]
