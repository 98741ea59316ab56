"""Printers of events: plain lines, JSON lines, or a progress bar.

Layer: cli. Data goes to stdout and diagnostics to stderr. If the reader of stdout goes away, the
run continues without printing.
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
    """Shows the events of a run."""

    @property
    def is_record(self) -> bool:
        """Whether the output is for a program, which needs every field of every event."""
        ...

    def show(self, event: Event) -> None: ...

    def close(self) -> None: ...


class JsonPrinter:
    """Prints one JSON object per line; the last one is `run_ended`."""

    is_record = True

    def __init__(self, out: IO[str] | None = None) -> None:
        self._out = Stream(out) if out is not None else output_stream()

    def show(self, event: Event) -> None:
        plain = _short(event) if isinstance(event, StepsTaken) else to_dict(event)
        self._out.json(plain)

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
    }


class LinePrinter:
    """Prints progress lines, at most one per `every_s`, and lines for all other events."""

    is_record = False

    def __init__(self, out: IO[str] | None = None, *, every_s: float = 2.0) -> None:
        self._out = Stream(out) if out is not None else output_stream()
        self._every_s = every_s
        self._shown_at_s = -math.inf
        self.view = RunView()

    def show(self, event: Event) -> None:
        self.view.apply(event)
        if isinstance(event, StepsTaken):
            # Throttled by the training's own clock, so that the lines do not depend on when they
            # are read.
            if event.elapsed_s - self._shown_at_s >= self._every_s:
                self._shown_at_s = event.elapsed_s
                self._out.line(progress_line(self.view))
            return
        for line in describe(event):
            self._out.line(line)

    def close(self) -> None:
        return


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


class BarPrinter:
    """Draws a progress bar at the bottom of the terminal, with the log scrolling above it (rich).

    It is drawn by the main thread when the session has news, never by the trainer thread.
    """

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
        """Whether the terminal is gone; the run then continues without printing."""
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
        # Print only validations that improved or were asked for: a run may have more of them than
        # the screen has lines.
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
        """Remove the bar and show the cursor again; safe to call twice."""
        with contextlib.suppress(OSError, ValueError):
            self._progress.stop()
