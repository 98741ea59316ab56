"""Events as text: one line an interval and a summary, or one JSON object a line.

Layer: headless. Data goes to stdout and diagnostics to stderr; when nobody reads stdout any more
the run goes on without it.
"""

from __future__ import annotations

import math
from typing import IO, Any, Protocol

from tui_trainer.config.entries import argument_text
from tui_trainer.runs.bounds import LATEST_S
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandAccepted,
    CommandApplied,
    Edited,
    Event,
    NonFinite,
    Notice,
    RunEnded,
    RunStarted,
    SaveFailed,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    to_dict,
)
from tui_trainer.sessions.session import Latest, fold
from tui_trainer.text.clean import clean
from tui_trainer.text.console import Stream, output_stream
from tui_trainer.text.figures import measured, metrics_text, rate_text, speed_text
from tui_trainer.text.format import size_text


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
        "train/loss": event.losses[-1],
        "grad_norm": event.grad_norms[-1],
        "lr": event.lrs[-1],
        "samples_per_s": round(event.samples_per_s, 1),
    }


class LinePrinter:
    """One line a report, throttled, and one for whatever else happens."""

    is_record = False

    def __init__(self, out: IO[str] | None = None, *, every_s: float = 2.0) -> None:
        self._out = Stream(out) if out is not None else output_stream()
        self._every_s = every_s
        self._shown_at_s = -math.inf
        self.latest = Latest()

    def show(self, event: Event) -> None:
        fold(self.latest, event)
        if isinstance(event, StepsTaken):
            # By the training's own clock: lines say how the run goes, not how the reader does.
            if event.elapsed_s - self._shown_at_s >= self._every_s:
                self._shown_at_s = event.elapsed_s
                self._out.line(progress_line(self.latest))
            return
        for line in describe(event):
            self._out.line(line)

    def close(self) -> None:
        return


def progress_line(latest: Latest) -> str:
    """Epoch, step, loss, rate and the time that is left."""
    parts = [
        f"epoch {latest.epoch}",
        f"step {latest.step:,}" + (f"/{latest.total_steps:,}" if latest.total_steps else ""),
        f"loss {measured(latest.loss)}",
        f"lr {rate_text(latest.lr)}",
        f"{speed_text(latest.samples_per_s)} samples/s",
    ]
    if latest.eta_s is not None:
        parts.append(f"ETA {duration(latest.eta_s)}")
    return "  ".join(parts)


def describe(event: Event) -> list[str]:
    """What happened, in lines for a person; nothing for what is shown elsewhere."""
    match event:
        case RunStarted():
            until = f" of {event.total_steps:,}" if event.total_steps else ""
            begin = f" from step {event.step:,}{until}" if event.step else ""
            device = clean(event.device, 80)
            lines = [
                f"{clean(event.run)}: {event.parameters:,} parameters on {device}, "
                f"{event.samples:,} samples, {event.steps_per_epoch:,} steps an epoch{begin}"
            ]
            return lines + [f"  {clean(note)}" for note in event.notes]
        case StateChanged():
            return [] if event.state == "running" and not event.reason else [_state(event)]
        case ValidationEnded():
            marks = ", best so far" if event.improved else ""
            marks += ", on demand" if event.on_demand else ""
            return [f"step {event.step:,}: validation {metrics_text(event.metrics)}{marks}"]
        case CheckpointSaved():
            size = size_text(event.size_bytes)
            return [f"step {event.step:,}: checkpoint saved ({size}, {clean(event.file)})"]
        case SaveFailed():
            return [f"step {event.step:,}: NOT saved: {clean(event.reason)}"]
        case Edited():
            change = f"{clean(event.key, 80)} {value_text(event.old)} -> {value_text(event.new)}"
            return [f"step {event.step:,}: {change} by {clean(event.origin)}"]
        case NonFinite():
            rows = ", ".join(map(str, event.rows[:8])) + (" ..." if len(event.rows) > 8 else "")
            batch = f"; the batch had rows {rows}" if rows else ""
            return [f"step {event.step:,}: {clean(event.what)}{batch}"]
        case CommandAccepted():
            return [f"{clean(event.command, 40)}: asked for by {clean(event.origin)}"]
        case CommandApplied() if event.refused:
            return [f"{clean(event.command, 40)}: refused: {clean(event.refused)}"]
        case Notice():
            return [f"{event.level}: {clean(event.text)}"]
        case RunEnded():
            return _summary(event)
        case _:
            return []


def _state(event: StateChanged) -> str:
    return f"{event.state}{': ' + clean(event.reason) if event.reason else ''}"


def _summary(event: RunEnded) -> list[str]:
    reason = f": {clean(event.reason, 1000)}" if event.reason else ""
    lines = [f"{event.state} after {duration(event.elapsed_s)}{reason}"]
    if event.best:
        best = event.best
        value = metrics_text({best["metric"]: best["value"]})
        lines.append(f"best: {value} at step {best['step']:,} (epoch {best['epoch']})")
    if event.test:
        lines.append(f"test: {metrics_text(event.test)}")
    for name, metrics in (event.baseline or {}).items():
        lines.append(f"  baseline {clean(name, 40).replace('_', ' ')}: {metrics_text(metrics)}")
    if event.run_dir:
        lines.append(f"run: {clean(event.run_dir)}")
    return lines


def left_line(latest: Latest) -> str:
    """What becomes of a run that another process holds, for who stops looking at it."""
    name = clean(latest.run)
    goes_on = " and goes on without you" if latest.state in ("starting", "running") else ""
    again = f"tui-trainer attach {name} comes back to it"
    return f"{name}: {clean(latest.state, 20)} at step {latest.step:,}{goes_on}; {again}"


def value_text(value: object) -> str:
    """A setting's value as a person writes it; `none` for a limit that is not set."""
    return "none" if value is None else clean(argument_text(value), 60)


def duration(seconds: float) -> str:
    """`3.2 s`, `4:05`, `1:02:03`; `-` of what is no duration, or is longer than any run."""
    if not 0 <= seconds < LATEST_S:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
