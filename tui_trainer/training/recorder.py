"""Reading the numbers of the steps taken, and turning them into lines and events.

Layer: training. The only place on the hot path that waits for the device; it comes before every
validation and every save, so that nothing bad is ever saved or called the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tui_trainer.runs.events import StepsTaken
from tui_trainer.runs.journal import encode
from tui_trainer.training.context import Context
from tui_trainer.training.step_buffer import StepNumbers

FULL_RESOLUTION = 4096
MOST_OVERFLOWS = 50
"""Steps in a row that a loss scaler may leave out; it halves the scale each time."""


class Diverged(Exception):
    """A loss or gradient was not finite at a step that was already taken."""

    def __init__(self, step: int, epoch: int, what: str, rows: tuple[int, ...]) -> None:
        super().__init__(f"{what} at step {step:,}")
        self.step = step
        self.epoch = epoch
        self.what = what
        self.rows = rows


def is_logged(step: int, every: int | None) -> bool:
    """Whether a step gets a line; a function of the step alone, so that every resume agrees.

    Without `every`: each step up to 4096, then every 2nd up to 8192, every 4th up to 16384, and so
    on, which keeps a million steps in some 20,000 lines.
    """
    if every is not None:
        return step % every == 0
    return step % (1 << max(0, (step - 1).bit_length() - FULL_RESOLUTION.bit_length() + 1)) == 0


def report_due(t: Context) -> bool:
    """Whether it is time to read the numbers."""
    due_s = t.reported_at_s + t.experiment.logging.every_seconds
    return t.numbers.full or t.watch.elapsed_s() >= due_s


def report(t: Context) -> None:
    """Read the numbers, write their lines, emit them; raises Diverged at the first bad step.

    The line of the newest step is held back, since a validation may still join it.
    """
    now_s = t.watch.elapsed_s()
    steps = t.numbers.read()
    if not steps:
        return
    span_s = max(now_s - t.reported_at_s, 1e-9)
    rate = t.samples / span_s
    lines = [_line(entry, rate) for entry in steps if _wanted(t, entry)]
    bad = _first_bad(t, steps)
    t.emit(
        StepsTaken(
            step=steps[-1].mark.step,
            epoch=steps[-1].mark.epoch,
            elapsed_s=now_s,
            losses=tuple(entry.loss for entry in steps),
            grad_norms=tuple(entry.grad_norm for entry in steps),
            lrs=tuple(entry.mark.lr for entry in steps),
            samples_per_s=rate,
            waiting_share=min(t.waiting_s / span_s, 1.0),
            logged=tuple(lines),
        )
    )
    t.reported_at_s, t.samples, t.waiting_s = now_s, 0, 0.0
    newest = lines.pop() if lines and lines[-1]["step"] == t.progress.step else None
    release_line(t)
    write_lines(t, lines)
    t.progress.held_line = newest
    if bad is not None:
        release_line(t)
        raise _diverged(t, bad)


def _first_bad(t: Context, steps: list[StepNumbers]) -> StepNumbers | None:
    """The first step that cannot be gone on from.

    Under a loss scaler a gradient that overflows is expected: the step was left out and the scale
    halved. Only when that goes on and on is it a fault.
    """
    if not t.state.scaled:
        return next((entry for entry in steps if entry.fault), None)
    left_out = []
    for entry in steps:
        if not math.isfinite(entry.loss):
            return entry
        if math.isfinite(entry.grad_norm):
            t.overflows = 0
            continue
        t.overflows += 1
        left_out.append(entry.mark.step)
        if t.overflows >= MOST_OVERFLOWS:
            return entry
    if left_out:
        t.note(
            f"fp16: the gradients of {_counted(left_out)} overflowed; not used, and the scale of "
            "the loss is halved"
        )
    return None


def _counted(steps: list[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps from {steps[0]} on"


def release_line(t: Context, more: Mapping[str, Any] | None = None) -> None:
    """Write the line that was held back, joined by the metrics of a validation if there are any."""
    line = t.progress.held_line
    t.progress.held_line = None
    if line is None and more:
        line = {
            "step": t.progress.step,
            "epoch": t.progress.shown_epoch,
            "elapsed_s": round(t.watch.elapsed_s(), 4),
        }
    if line is not None:
        write_lines(t, [{**line, **(more or {})}])


def write_lines(t: Context, lines: list[dict[str, Any]]) -> None:
    """Hand lines to the writer, and count their bytes for the next checkpoint."""
    if lines:
        data = encode(lines)
        t.progress.metrics_bytes += len(data)
        t.writer.lines(data)


def _wanted(t: Context, entry: StepNumbers) -> bool:
    return is_logged(entry.mark.step, t.experiment.logging.every_steps)


def _line(entry: StepNumbers, samples_per_s: float) -> dict[str, Any]:
    return {
        "step": entry.mark.step,
        "epoch": entry.mark.epoch,
        "elapsed_s": round(entry.mark.elapsed_s, 4),
        "train/loss": entry.loss,
        "lr": entry.mark.lr,
        "grad_norm": entry.grad_norm,
        "samples_per_s": round(samples_per_s, 1) if math.isfinite(samples_per_s) else None,
    }


def _diverged(t: Context, bad: StepNumbers) -> Diverged:
    """The fault with the rows of the data file that the step was taken on."""
    mark = bad.mark
    size = t.experiment.training.grad_accumulation
    group = range(mark.batch, min(mark.batch + size, t.task.batches.per_epoch))
    rows = [row for index in group for row in t.task.batches.rows(mark.epoch - 1, index)]
    return Diverged(mark.step, mark.epoch, bad.fault, tuple(rows))
