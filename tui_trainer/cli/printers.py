"""Events as text: one line an interval and a summary, or one JSON object a line.

Layer: headless. Data goes to stdout and diagnostics to stderr; when nobody reads stdout any more
the run goes on without it.
"""

from __future__ import annotations

import contextlib
import math
from typing import IO, Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tui_trainer.runs.describe import describe
from tui_trainer.runs.events import (
    Event,
    RunEnded,
    RunStarted,
    StepsTaken,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.numbers import CURVES, NUMBERS
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import harmless
from tui_trainer.text.console import Stream, output_stream
from tui_trainer.text.format import duration, measured, speed_text


class Printer(Protocol):
    """What shows a run's events."""

    @property
    def is_record(self) -> bool:
        """Whether a program reads it, which wants every field of every event in it."""
        ...

    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


class JsonPrinter:
    """One JSON object a line; the last one is `run_ended`."""

    is_record = True

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = Stream(out) if out is not None else output_stream()

    def show(self, event: Event) -> None:
        plain = _short(event) if isinstance(event, StepsTaken) else to_dict(event)
        self._out.json(plain)

    def close(self) -> None:
        return


def _short(event: StepsTaken) -> dict[str, Any]:
    """The newest step of an interval, in the keys of metrics.jsonl."""
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
    }


class LinePrinter:
    """One line a report, throttled, and one for whatever else happens."""

    is_record = False

    def __init__(self, out: IO[str] | None = None, *, every_s: float = 2.0) -> None:
        self._out = Stream(out) if out is not None else output_stream()
        self._every_s = every_s
        self._shown_at_s = -math.inf
        self.view = RunView()

    def show(self, event: Event) -> None:
        self.view.apply(event)
        if isinstance(event, StepsTaken):
            # By the training's own clock: lines say how the run goes, not how the reader does.
            if event.elapsed_s - self._shown_at_s >= self._every_s:
                self._shown_at_s = event.elapsed_s
                self._out.line(progress_line(self.view))
            return
        for line in describe(event):
            self._out.line(line)

    def close(self) -> None:
        return


def progress_line(view: RunView) -> str:
    """Epoch, step, loss, rate and the time that is left."""
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


# A progress bar on a terminal, with the log scrolling above it (rich).
#
# The bar is drawn from the main thread when the session has news, never from the trainer's.


class BarPrinter:
    """Epoch, step, loss, throughput and ETA in one line at the bottom."""

    is_record = False

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._progress = Progress(
            TextColumn("{task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=self._console,
            auto_refresh=False,
            transient=True,
        )
        self._bar = self._progress.add_task("", total=None, epoch="starting", numbers="")
        self._view = RunView()
        self._gone = False
        """Whether the terminal is: then the run goes on without it."""
        self._progress.start()

    def show(self, event: Event) -> None:
        if self._gone:
            return
        try:
            self._show(event)
        except (OSError, ValueError):
            self._gone = True

    def _show(self, event: Event) -> None:
        self._view.apply(event)
        view = self._view
        if isinstance(event, RunEnded):
            self.close()
        # A run has more validations than a screen has lines; the bar moves for the others.
        quiet = isinstance(event, ValidationEnded) and not (event.improved or event.on_demand)
        for line in () if quiet else describe(event):
            self._console.print(harmless(line), markup=False, soft_wrap=True)
        if isinstance(event, StepsTaken | RunStarted):
            left = "" if view.eta_s is None else f"  ETA {duration(view.eta_s)}"
            total = f"/{view.total_steps:,}" if view.total_steps else ""
            self._progress.update(
                self._bar,
                completed=view.step,
                total=view.total_steps,
                epoch=f"epoch {view.epoch}",
                numbers=f"step {view.step:,}{total}  loss {measured(view.numbers.loss)}  "
                f"{speed_text(view.numbers.samples_per_s)} samples/s{left}",
                refresh=True,
            )

    def close(self) -> None:
        """Take the bar away and give the cursor back; safe to call twice."""
        with contextlib.suppress(OSError, ValueError):
            self._progress.stop()
