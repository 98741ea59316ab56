"""Printers of events: plain lines or JSON lines; that of a progress bar is in `bar_printer`.

Layer: cli. Data goes to stdout and diagnostics to stderr. If the reader of stdout goes away, the
run continues without printing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import IO, Any, Protocol

from tui_trainer.runs.describe import STAGE_WORDS, describe
from tui_trainer.runs.events import (
    Event,
    MeasurementAdvanced,
    RunEnded,
    StageStarted,
    StateChanged,
    StepsTaken,
    to_dict,
)
from tui_trainer.runs.step_numbers import CURVES, NUMBERS
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.console import Stream, output_stream
from tui_trainer.text.format import duration


class Printer(Protocol):
    """Shows the events of a run."""

    @property
    def is_record(self) -> bool:
        """Whether the output is for a program, which needs every field of every event."""
        ...

    def show(self, event: Event) -> None: ...

    def look(self) -> None:
        """Show what only the passing of time has changed; called a few times per second."""
        ...

    def close(self) -> None: ...


class JsonPrinter:
    """Prints one JSON object per line; the last one is `run_ended`."""

    is_record = True

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = Stream(out) if out is not None else output_stream()

    def show(self, event: Event) -> None:
        plain = _short(event) if isinstance(event, StepsTaken) else to_dict(event)
        self._out.json(plain)

    def look(self) -> None:
        return

    def close(self) -> None:
        return


def _short(event: StepsTaken) -> dict[str, Any]:
    """Return the newest step of a report, with the keys of metrics.jsonl."""
    return {
        "event": "steps_taken",
        "step": event.step,
        "epoch": event.epoch,
        "elapsed_s": round(event.elapsed_s, 3),
        "steps": len(event.losses),
        **{
            number.key: value if number.digits is None else round(value, number.digits)
            for number in CURVES
            for value in number.values(event)[-1:]
        },
        **{f"train/{name}": values[-1] for name, values in event.others.items()},
    }


class StageClock:
    """Times the stage of a start that is under way."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._begun: StageStarted | None = None
        self.is_told = False
        """Whether the stage was mentioned."""

    def add(self, event: Event) -> None:
        """Take an event; the first numbers or the end of the run end the last stage."""
        if isinstance(event, StageStarted):
            self._begun, self.is_told = event, False
        elif isinstance(event, StepsTaken | StateChanged | RunEnded):
            self._begun = None

    @property
    def words(self) -> str:
        """The current stage of the start in words; empty if the run is not starting."""
        return "" if self._begun is None else STAGE_WORDS[self._begun.stage]

    @property
    def seconds(self) -> float:
        """The seconds since the stage began; 0 if there is none."""
        return max(self._clock() - self._begun.at_s, 0.0) if self._begun is not None else 0.0


LONG_STAGE_S = 0.8
"""A stage of a start that takes longer has a line."""


class LinePrinter:
    """Prints progress lines, at most one per `every_s`, and lines for all other events."""

    is_record = False

    def __init__(
        self,
        out: IO[str] | None = None,
        *,
        every_s: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._out = Stream(out) if out is not None else output_stream()
        self._every_s = every_s
        self._shown_at_s = -math.inf
        self._stage = StageClock(clock)
        self._part = ""
        self._tested_s = 0.0
        """The time within this part of the test that the newest line was about."""
        self.view = RunView()

    def look(self) -> None:
        if not self._stage.is_told and self._stage.seconds >= LONG_STAGE_S:
            self._stage.is_told = True
            self._out.line(f"{self._stage.words} ...")

    def show(self, event: Event) -> None:
        self.view.apply(event)
        self._stage.add(event)
        if isinstance(event, StepsTaken):
            # Throttled by the training's own clock, so that the lines do not depend on when they
            # are read.
            if event.elapsed_s - self._shown_at_s >= self._every_s:
                self._shown_at_s = event.elapsed_s
                self._out.line(progress_line(self.view))
            return
        if isinstance(event, MeasurementAdvanced):
            if event.part != self._part:
                self._part, self._tested_s = event.part, 0.0
            if event.elapsed_s - self._tested_s >= self._every_s:
                self._tested_s = event.elapsed_s
                self._out.line(f"testing  {measuring_text(self.view)}")
            return
        for line in describe(event):
            self._out.line(line)

    def close(self) -> None:
        return


def measuring_text(view: RunView) -> str:
    """Say what is measured now, how far it is, and how much longer it takes."""
    test = view.final_test
    parts = [clean(test.part, 80)]
    if test.total:
        parts.append(f"{test.done:,}/{test.total:,} {clean(test.unit, 20)}")
    if view.eta_s is not None:
        parts.append(f"ETA {duration(view.eta_s)}")
    if test.following:
        parts.append(clean(test.following, 80))
    return "  ".join(parts)


def progress_line(view: RunView) -> str:
    """Return a line with epoch, step, the current numbers and the time that is left."""
    parts = [
        f"epoch {view.epoch}",
        f"step {view.step:,}" + (f"/{view.total_steps:,}" if view.total_steps else ""),
        *(
            number.line.format(number.text(getattr(view.numbers, number.name)))
            for number in NUMBERS
            if number.line
        ),
    ]
    if view.eta_s is not None:
        parts.append(f"ETA {duration(view.eta_s)}")
    return "  ".join(parts)
