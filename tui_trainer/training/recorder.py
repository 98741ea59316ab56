"""`Recorder`: turns the numbers of steps into lines of metrics.jsonl and into events.

Layer: training. The only place on the hot path that waits for the device. It also reads the numbers
before every validation and every save, so that a state with non-finite numbers is never saved or
called the best.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tui_trainer.data.base.split import Batches
from tui_trainer.runs.events import StepsTaken
from tui_trainer.runs.journal import encode_line, encode_rows
from tui_trainer.text.format import counted
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.state import State
from tui_trainer.training.step_buffer import MeasuredStep, StepBuffer, StepRecord
from tui_trainer.training.writer import Writer

FULL_RESOLUTION = 4096
MOST_OVERFLOWS = 50
"""Steps in a row that a loss scaler may skip. It halves the scale each time."""


class Diverged(Exception):
    """Raised when the loss or gradient of a step that was already taken is not finite."""

    def __init__(self, step: int, epoch: int, what: str, rows: tuple[int, ...]) -> None:
        super().__init__(f"{what} at step {step:,}")
        self.step = step
        self.epoch = epoch
        self.what = what
        self.rows = rows


def is_logged(step: int, every: int | None) -> bool:
    """Whether a step gets a line; depends on the step alone, so that every resume agrees.

    Without `every`, each step up to 4096 gets one, then every 2nd up to 8192, every 4th up to
    16384, and so on, which keeps a million steps in some 20,000 lines.
    """
    return step % _steps_per_line(step, every) == 0


def _steps_per_line(step: int, every: int | None) -> int:
    if every is not None:
        return every
    return 1 << max(0, (step - 1).bit_length() - FULL_RESOLUTION.bit_length() + 1)


def _logged(steps: list[MeasuredStep], every: int | None) -> list[MeasuredStep]:
    """Return those of some steps, in their order, that get a line."""
    if _steps_per_line(steps[-1].record.step, every) == 1:
        return list(steps)
    return [entry for entry in steps if is_logged(entry.record.step, every)]


class Recorder(Part):
    """Collects the numbers of steps, and reports them a few times per second."""

    def __init__(
        self,
        shared: Shared,
        buffer: StepBuffer,
        batches: Batches,
        writer: Writer,
        state: State,
    ) -> None:
        super().__init__(shared)
        self._buffer = buffer
        self._batches = batches
        self._writer = writer
        self._state = state
        self._overflows = 0
        """Steps in a row that a loss scaler skipped."""
        self._samples = 0
        """Samples since the numbers were read."""
        self.read_at_s = shared.progress.elapsed_s
        """When the numbers were last read, in seconds of training."""
        self._unreported: list[MeasuredStep] = []
        """Steps that have their lines, but are in no event yet."""
        self._unreported_samples = 0
        self._waiting_s = 0.0
        """How long the steps since the last report waited for samples."""
        self._reported_at_s = shared.progress.elapsed_s
        self._validated_at_s = -math.inf
        """When the last validation asked for a report."""

    def record(
        self,
        step: StepRecord,
        loss: Tensor,
        grad_norm: Tensor,
        samples: int,
        waiting_s: float,
        others: Mapping[str, Tensor],
    ) -> None:
        """Keep the numbers of a step; the tensors are scalars that stay on the device.

        `waiting_s` is how long the step waited for its `samples` samples.
        """
        self._samples += samples
        self._waiting_s += waiting_s
        self._buffer.record(step, loss, grad_norm, others)

    def count_skipped(self) -> None:
        """Count the last step if its gradients overflowed and so it changed nothing.

        Waits for the device only if there is a loss scaler.
        """
        self._progress.skipped_steps += self._state.take_skipped()

    @property
    def is_due(self) -> bool:
        """Whether it is time to read the numbers."""
        return self._buffer.full or self._watch.elapsed_s() >= self.due_s

    @property
    def due_s(self) -> float:
        """When the numbers are to be read, in seconds of training."""
        return self._reported_at_s + self._settings.experiment.logging.every_seconds

    @property
    def room(self) -> int:
        """After how many more steps the numbers have to be read."""
        return self._buffer.room

    def report(self, *, may_emit_later: bool = False) -> None:
        """Read the numbers from the device, write their lines, and emit `StepsTaken`.

        Raises:
            Diverged: a number is not finite; raised after the steps were reported.
        """
        bad = self._read()
        if bad is not None or not may_emit_later:
            self._emit()
        if bad is not None:
            # No validation of this step will follow and write it.
            self.write_held_line()
            raise self._diverged(bad)

    def report_before_validation(self) -> None:
        """Like `report`, but of validations that follow each other fast, only some emit events.

        A small model validates hundreds of times per second, and whoever receives events needs a
        few of them. Before a validation that may take long, the steps so far are always reported.
        """
        now_s = self._watch.elapsed_s()
        recent_s = now_s - self._settings.experiment.logging.every_seconds
        is_soon_again = self._validated_at_s > recent_s
        self._validated_at_s = now_s
        self.report(may_emit_later=is_soon_again and not self.is_due)

    def _read(self) -> MeasuredStep | None:
        """Read the numbers and write their lines; return a step that the training cannot survive.

        The line of the newest step is held back, because a validation of this step may add its
        metrics to it.
        """
        now_s = self._watch.elapsed_s()
        steps = self._buffer.read()
        self.count_skipped()
        # The device was just waited for, so that this is a good moment: no wait is added.
        self._state.look_at_copies()
        if not steps:
            return None
        rate = self._samples / max(now_s - self.read_at_s, 1e-9)
        every = self._settings.experiment.logging.every_steps
        logged = _logged(steps, every)
        bad = self._first_bad(steps)
        self._unreported += steps
        self._unreported_samples += self._samples
        self.read_at_s, self._samples = now_s, 0
        # The line held so far belongs to an earlier step by now, and goes first to keep the order.
        newest = logged.pop() if logged and logged[-1].record.step == self._progress.step else None
        self.write_held_line()
        if logged:
            self._write(encode_rows(_names(logged[0]), _rows(logged, rate)))
        if newest is not None:
            self._progress.held_line = line_of(newest, rate)
        return bad

    def _emit(self) -> None:
        """Emit the steps that are in no event yet, as one."""
        steps = self._unreported
        if not steps:
            return
        now_s = self._watch.elapsed_s()
        span_s = max(now_s - self._reported_at_s, 1e-9)
        self._events.emit(
            StepsTaken(
                step=steps[-1].record.step,
                epoch=steps[-1].record.epoch,
                elapsed_s=now_s,
                losses=tuple(entry.loss for entry in steps),
                grad_norms=tuple(entry.grad_norm for entry in steps),
                lrs=tuple(entry.record.lr for entry in steps),
                samples_per_s=self._unreported_samples / span_s,
                waiting_share=min(self._waiting_s / span_s, 1.0),
                others={
                    name: tuple(entry.others[name] for entry in steps) for name in steps[-1].others
                },
            )
        )
        self._unreported = []
        self._unreported_samples = 0
        self._reported_at_s, self._waiting_s = now_s, 0.0

    def write_held_line(self, more: Mapping[str, Any] | None = None) -> None:
        """Write the line that was held back, together with `more`, the metrics of a validation."""
        line = self._progress.held_line
        self._progress.held_line = None
        if line is None and more:
            line = {
                "step": self._progress.step,
                "epoch": self._progress.shown_epoch,
                "elapsed_s": round(self._watch.elapsed_s(), 4),
            }
        if line is not None:
            self._write(encode_line({**line, **(more or {})}))

    def _write(self, lines: bytes) -> None:
        """Hand lines to the writer, and count their bytes for the next checkpoint."""
        self._progress.metrics_bytes += len(lines)
        self._writer.lines(lines)

    def _first_bad(self, steps: list[MeasuredStep]) -> MeasuredStep | None:
        """Return the first step that the training cannot recover from, or None.

        With a loss scaler, a gradient that overflows is expected: the step was skipped and the
        scale halved. Only `MOST_OVERFLOWS` of them in a row are a fault.
        """
        if not self._state.scaled:
            # One sum for all steps. If finite numbers overflow in it, each is looked at after all.
            if math.isfinite(sum([entry.loss + entry.grad_norm for entry in steps])):
                steps = [entry for entry in steps if entry.others]
            return next((entry for entry in steps if entry.fault), None)
        skipped = []
        for entry in steps:
            if not math.isfinite(entry.loss):
                # The loss is recorded before it is scaled, so no scale would have saved it.
                return entry
            if math.isfinite(entry.grad_norm):
                self._overflows = 0
                continue
            self._overflows += 1
            skipped.append(entry.record.step)
            if self._overflows >= MOST_OVERFLOWS:
                return entry
        if skipped:
            self._events.note(
                f"fp16: the gradients of {_listed(skipped)} overflowed; they were not used, the "
                "loss scale was halved, and the learning-rate schedule did not advance "
                f"({counted(self._progress.skipped_steps, 'step')} skipped so far)"
            )
        return None

    def _diverged(self, bad: MeasuredStep) -> Diverged:
        """Return the error to raise, with the data rows that the bad step was trained on."""
        record = bad.record
        size = self._settings.experiment.training.grad_accumulation
        group = range(record.batch, min(record.batch + size, self._batches.per_epoch))
        rows = [row for index in group for row in self._batches.rows(record.epoch - 1, index)]
        return Diverged(record.step, record.epoch, bad.fault, tuple(rows))


def _listed(steps: list[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"{len(steps)} steps from step {steps[0]} on"


def line_of(entry: MeasuredStep, samples_per_s: float) -> dict[str, Any]:
    """Return the line of a step in metrics.jsonl."""
    (row,) = _rows([entry], samples_per_s)
    return dict(zip(_names(entry), row, strict=True))


def _names(entry: MeasuredStep) -> list[str]:
    """Return the names of the numbers of a line, in their order."""
    others = [f"train/{name}" for name in entry.others]
    names = ["step", "epoch", "elapsed_s", "train/loss", *others]
    return [*names, "lr", "grad_norm", "samples_per_s"]


def _rows(entries: list[MeasuredStep], samples_per_s: float) -> list[tuple[float, ...]]:
    """Return the numbers of a line for each step, in the order of `_names`."""
    rate = round(samples_per_s, 1)
    return [
        (step, epoch, round(elapsed_s, 4), loss, *others.values(), lr, grad_norm, rate)
        for (step, epoch, _, lr, elapsed_s), loss, grad_norm, others in entries
    ]
