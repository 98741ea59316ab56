"""Describes the events of a run in words, the same for every front end.

Layer: runs. An event may have been read from a file, so its texts are cleaned here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.drafts.values import argument_text
from tui_trainer.config.sections.metrics import metrics_text
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
    Stage,
    StateChanged,
    ValidationEnded,
)
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.format import duration, parameters_text, size_text

Level = Literal["detail", "note", "warning", "error"]
"""How much an entry matters. Details are what happens again and again: validations that bring no
improvement, saves, and what the program prints."""

STAGE_WORDS: dict[Stage, str] = {
    "import torch": "importing torch",
    "read the checkpoint": "reading the checkpoint",
    "read the data": "reading the data",
    "build the model": "building the model",
    "try a step": "trying a step with your code",
    "first step": "taking the first step",
}
"""What a run is doing in each stage of its start."""


def describe(event: Event) -> list[str]:
    """Describe an event in lines for people; no lines for what is shown elsewhere."""
    match event:
        case RunStarted():
            until = f" of {event.total_steps:,}" if event.total_steps else ""
            begin = f" from step {event.step:,}{until}" if event.step else ""
            device = clean(event.device, 80)
            size = parameters_text(event.parameters, event.trained_parameters)
            split = f" {clean(event.split)}" if event.split else ""
            steps = f"{event.steps_per_epoch:,} steps per epoch{begin}"
            samples = f"{event.samples:,} samples{split}"
            lines = [f"{clean(event.run)}: {size} on {device}, {samples}, {steps}"]
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
            return [f"{clean(event.command, 40)}: requested by {clean(event.origin)}"]
        case CommandApplied() if event.refused:
            return [f"{clean(event.command, 40)}: refused: {clean(event.refused)}"]
        case Notice():
            return [f"{event.level}: {clean(event.text)}"]
        case RunEnded():
            return _summary(event)
        case _:
            return []


def _state(event: StateChanged) -> str:
    if event.state == "testing":
        return f"testing on {clean(event.reason)}"
    return f"{event.state}{': ' + clean(event.reason) if event.reason else ''}"


def _summary(event: RunEnded) -> list[str]:
    after = f" after {duration(event.elapsed_s)}" if event.has_begun else ""
    lines = [ending_text(event, after)]
    if event.best:
        best = event.best
        value = metrics_text({best["metric"]: best["value"]})
        lines.append(f"best: {value} at step {best['step']:,} (epoch {best['epoch']:,})")
    if event.test:
        lines.append(f"test: {metrics_text(event.test)}")
    for name, metrics in (event.baseline or {}).items():
        lines.append(f"  baseline {clean(name, 40).replace('_', ' ')}: {metrics_text(metrics)}")
    if event.run_dir and event.has_begun:
        lines.append(f"run: {clean(event.run_dir)}")
    return lines


def ending_text(event: RunEnded, after: str = "") -> str:
    """Return the state of a run that ended, followed by `after`, and the reason."""
    if not event.reason:
        return f"{event.state}{after}"
    reason, by = clean(event.reason, 1000), f"{event.state} by "
    if reason.startswith(by):
        # As `stopped by you, saved at step 8`: the state is not said twice.
        return f"{event.state}{after} by {reason.removeprefix(by)}"
    return f"{event.state}{after}: {reason}"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of the log, and its Unix time in seconds, 0 if unknown."""

    text: str
    level: Level = "note"
    at_s: float = 0.0
    step: int = 0
    saves: int = 0
    """The number of saves that it reports; consecutive ones are one entry."""
    is_validation: bool = False


def level_of(event: Event) -> Level:
    """Return how much an event matters."""
    match event:
        case ValidationEnded():
            return "note" if event.improved or event.on_demand else "detail"
        case CheckpointSaved():
            return "detail"
        case CommandApplied():
            return "warning" if event.refused else "note"
        case SaveFailed() | NonFinite():
            return "error"
        case RunEnded():
            return "error" if event.state in ("failed", "crashed") else "note"
        case Notice():
            return event.level
        case _:
            return "note"


def saves_text(saves: int, step: int) -> str:
    """Describe several saves, the last of them at a step."""
    return f"{saves:,} checkpoints saved, last at step {step:,}"


def entries_of(event: Event, steps_per_epoch: int) -> list[LogEntry]:
    """Return the entries for an event in the log of the run screen; none if shown elsewhere.

    They are those of `describe`, except where the screen needs fewer or other words.
    """
    level = level_of(event)
    match event:
        case ValidationEnded():
            marks = ", best so far" if event.improved else ""
            marks += ", on demand" if event.on_demand else ""
            ends_epoch = not steps_per_epoch or event.step % steps_per_epoch == 0
            where = f"epoch {event.epoch:,}" if ends_epoch else f"step {event.step:,}"
            text = f"{where}: val {metrics_text(event.metrics)}{marks}"
            return [LogEntry(text, level, step=event.step, is_validation=True)]
        case CheckpointSaved():
            best = " of the best" if event.best else ""
            size = size_text(event.size_bytes)
            text = f"checkpoint{best} saved at step {event.step:,} ({size})"
            return [LogEntry(text, level, step=event.step, saves=1)]
        case Edited():
            change = f"{clean(event.key, 60)} {value_text(event.old)} -> {value_text(event.new)}"
            return [
                LogEntry(f"{change} by {clean(event.origin, 40)}, from step {event.step + 1:,}")
            ]
        case CommandAccepted() if event.origin == "you":
            # The screen has already answered the key.
            return []
        case CommandAccepted() if event.command == "set":
            # The edit, or its refusal, has its own entry with the name.
            return []
        case CommandApplied() if event.refused:
            return [LogEntry(refusal_text(event), level)]
        case SaveFailed() | NonFinite():
            return [LogEntry(f"error: {clean(line, 1000)}", level) for line in describe(event)]
        case Notice():
            prefix = "" if event.level == "note" else f"{event.level}: "
            return [LogEntry(prefix + clean(event.text), level)]
        case RunEnded():
            return [LogEntry(ending_text(event), level)]
        case StateChanged() if event.state == "pausing":
            return []
        case _:
            return [LogEntry(clean(line.strip(), 1000)) for line in describe(event)]


def refusal_text(event: CommandApplied) -> str:
    """Say that a command was refused, as for someone who has pressed its key."""
    what = "change" if event.command == "set" else clean(event.command, 40)
    return f"{what} refused: {clean(event.refused, 1000)}"


def value_text(value: object, limit: int = 60) -> str:
    """Write a setting's value as people do; `none` for a limit that is not set."""
    return "none" if value is None else clean(argument_text(value), limit)


def left_line(view: RunView) -> str:
    """Describe a run that another process holds, for someone who stops watching it."""
    name = clean(view.name)
    goes_on = (
        " and continues without you" if view.state in ("starting", "running", "testing") else ""
    )
    again = view.run.command("attach")
    return f"{name}: {clean(view.state, 20)} at step {view.step:,}{goes_on}; {again} reopens it"
