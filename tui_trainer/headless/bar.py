"""A progress bar on a terminal, with the log scrolling above it (rich).

Layer: headless. The bar is drawn from the main thread when the session has news, never from the
trainer's.
"""

from __future__ import annotations

import contextlib

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from tui_trainer.runs.describe import describe
from tui_trainer.runs.events import Event, RunEnded, RunStarted, StepsTaken, ValidationEnded
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import harmless
from tui_trainer.text.format import duration, measured, speed_text


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
