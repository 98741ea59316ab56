"""`read_run`: reads what the files of a run know of it.

Layer: sessions. Curves come from history.bin, the view from status.json and, on top of it, from
the newest lines and events; of metrics.jsonl and events.jsonl only the ends are read, however
long they are.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.bounds import is_count, number_or_nan
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import in_force, read_edits
from tui_trainer.runs.events import FINAL_STATES, Event, RunStarted, StepsTaken
from tui_trainer.runs.following import Record, records_before
from tui_trainer.runs.history_file import open_recording
from tui_trainer.runs.numbers import NUMBERS, StepNumber
from tui_trainer.runs.recording import Recording
from tui_trainer.runs.records import event_of
from tui_trainer.runs.status import read_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.launch import read_config
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.text.errors import TrainerError

EVENT_TAIL_BYTES = 256 * 1024
METRICS_TAIL_BYTES = 64 * 1024


@dataclass(slots=True)
class RunSnapshot:
    """A run as its files have it, and the status that the view began with."""

    tracked: TrackedRun
    recording: Recording
    status: RunView | None


def read_run(run: RunDirectory) -> RunSnapshot:
    """Read a run; files that are missing or damaged leave gaps and raise nothing."""
    status = read_status(run.status)
    recording = open_recording(run, status.generation if status else None)
    view = _view_of(run, status, recording)
    tracked = TrackedRun(_in_force(run, view.step))
    tracked.view, tracked.history = view, recording.history
    if tracked.experiment is not None:
        view.max_seconds = tracked.experiment.training.max_seconds
    return RunSnapshot(tracked, recording, status)


def events_of(records: Sequence[Record]) -> list[Event]:
    """Return the events in lines of events.jsonl; lines that are none are left out."""
    return [event for record in records if (event := event_of(record)) is not None]


def steps_taken(lines: Sequence[Record]) -> list[StepsTaken]:
    """Return lines of metrics as at most two events: a speed needs two."""
    # A validation of an old step may have a line of its own.
    lines = [line for line in lines if "train/loss" in line]
    parts = (lines[: len(lines) // 2], lines[len(lines) // 2 :])
    return [_steps(part) for part in parts if part]


def _steps(lines: Sequence[Record]) -> StepsTaken:
    def values_of(number: StepNumber) -> tuple[float, ...] | float:
        values = tuple(number_or_nan(line.get(number.key)) for line in lines)
        return values if number.is_per_step else values[-1]

    epoch = lines[-1].get("epoch")
    numbers: dict[str, Any] = {number.source: values_of(number) for number in NUMBERS}
    return StepsTaken(
        step=lines[-1]["step"],
        epoch=epoch if isinstance(epoch, int) and is_count(epoch) else 0,
        elapsed_s=number_or_nan(lines[-1].get("elapsed_s")),
        **numbers,
    )


def _view_of(run: RunDirectory, status: RunView | None, recording: Recording) -> RunView:
    """Apply the lines and events of this start of the run to the last status."""
    view = copy.deepcopy(status) if status is not None else RunView()
    started = event_of(recording.started)
    if isinstance(started, RunStarted):
        view.apply(started)
    records = records_before(run.events, recording.events_bytes, EVENT_TAIL_BYTES)
    # Events after the lines: the time of the end is later than that of the last line.
    lines = steps_taken(_newest_lines(run, recording))
    for event in (*lines, *events_of(_of_this_life(records, recording))):
        view.apply(event)
    if status is not None:
        if view.generation == status.generation and status.total_steps is not None:
            view.total_steps = status.total_steps
        if status.generation > view.generation and status.state not in FINAL_STATES:
            # Another start of the run is about to begin; the end was that of the one before.
            view.ending, view.state, view.reason = None, status.state, status.reason
        view.update(status)
    view.name, view.run_dir = run.path.name, str(run.path)
    return view


def _of_this_life(records: Sequence[Record], recording: Recording) -> list[Record]:
    """The records after the newest start, which itself is known."""
    starts = [n for n, record in enumerate(records) if record == recording.started]
    return list(records[starts[-1] + 1 :] if starts else records)


def _newest_lines(run: RunDirectory, recording: Recording) -> list[Record]:
    """The newest lines of this life of the run."""
    lines = records_before(run.metrics, recording.metrics_bytes, METRICS_TAIL_BYTES)
    begin = recording.started.get("step", 0)
    return [line for line in lines if line["step"] > begin] or lines[-1:]


def _in_force(run: RunDirectory, step: int) -> Experiment | None:
    """The configuration at a step; None where it cannot be read, as without its plugins."""
    try:
        edits = [it for it in read_edits(run.edits) if it.apply_at_step <= step]
        return in_force(read_config(run), edits)
    except (TrainerError, OSError):
        return None
