"""`BarPrinter`: prints the events of a run above a progress bar, on a terminal.

Layer: cli. It is imported only where a bar is drawn, because rich takes long to import.
"""

from __future__ import annotations

import contextlib

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tui_trainer.cli.printers import StageClock, measuring_text
from tui_trainer.runs.describe import describe
from tui_trainer.runs.events import (
    Event,
    MeasurementAdvanced,
    RunEnded,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import harmless
from tui_trainer.text.format import duration, measured, speed_text
from tui_trainer.text.read_progress import print_progress, progress_words


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
        self._stage = StageClock()
        self._view = RunView()
        self._gone = False
        """Whether the terminal is gone; the run then continues without printing."""
        self._progress.start()
        # The bar has it.
        print_progress(None)

    def show(self, event: Event) -> None:
        if self._gone:
            return
        try:
            self._show(event)
        except (OSError, ValueError):
            self._gone = True

    def look(self) -> None:
        """Count the seconds of a stage of the start."""
        if self._stage.words and not self._gone:
            try:
                stage = f"{progress_words() or self._stage.words} {duration(self._stage.seconds)}"
                self._progress.update(self._bar, epoch=stage, refresh=True)
            except (OSError, ValueError):
                self._gone = True

    def _show(self, event: Event) -> None:
        self._view.apply(event)
        self._stage.add(event)
        view = self._view
        if isinstance(event, RunEnded):
            self.close()
        # Print only validations that improved or were asked for: a run may have more of them than
        # the screen has lines.
        quiet = isinstance(event, ValidationEnded) and not (event.improved or event.on_demand)
        for line in () if quiet else describe(event):
            self._console.print(harmless(line), markup=False, soft_wrap=True)
        if isinstance(event, MeasurementAdvanced):
            test = view.final_test
            self._progress.update(
                self._bar,
                completed=test.done,
                total=test.total or None,
                epoch="testing",
                numbers=measuring_text(view),
                refresh=True,
            )
        if isinstance(event, StepsTaken):
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
