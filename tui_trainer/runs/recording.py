"""`Recording`: the history of a run from its files, for whoever did not see it happen.

Layer: runs. Files that are not there or torn leave gaps and are no error. What is in history.bin
is not read again: opening a run of a million steps takes as long as opening one of a thousand.
"""

from __future__ import annotations

from tui_trainer.runs.bounds import MOST_NAMES, is_count, is_text, number_or_nan
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import Event, RunStarted, ValidationEnded
from tui_trainer.runs.following import Batch, Follower, Record
from tui_trainer.runs.history import History
from tui_trainer.runs.numbers import CURVES
from tui_trainer.runs.records import event_of

_MOST_WAITING = 256


class Recording:
    """A history and how far into the files it goes; used in one thread."""

    def __init__(self, history: History | None = None) -> None:
        self.history = history or History()
        self.events_bytes = 0
        self.metrics_bytes = 0
        self.started: Record = {}
        """The newest `run_started`."""
        self._newest = self.history.last("train/loss")
        self._reached = -1
        """The newest step of an event."""
        self._validations: dict[str, dict[int, float]] = {}
        """By series, values by step that wait until the events have come as far."""

    @property
    def generation(self) -> int:
        """Of the newest start that it knows; 0 before the first."""
        found = self.started.get("generation")
        return found if isinstance(found, int) and is_count(found) else 0

    def follower(self, run: RunDirectory) -> Follower:
        """What reads on from where this ends."""
        return Follower(run, events_bytes=self.events_bytes, metrics_bytes=self.metrics_bytes)

    def take(self, batch: Batch, *, whole: bool = False) -> None:
        """Bring a batch into the history.

        Scheduled validations are in both files, those on demand in the events alone, and a series
        takes values in the order of steps; so what is in the metrics waits for the events, unless
        the batch is the `whole` of what there is.
        """
        for record in batch.events:
            self._reached = max(self._reached, record["step"])
            if (event := event_of(record)) is not None:
                self._take_event(event, record)
        self._take_lines(batch.lines)
        self._put_validations(everything=whole)
        self.events_bytes, self.metrics_bytes = batch.events_bytes, batch.metrics_bytes

    def go_back(self, step: int, steps_per_epoch: int) -> None:
        """Forget what lies after a step."""
        self.history.restart(step, steps_per_epoch)
        self._newest = min(self._newest, step)
        self._reached = step
        for values in self._validations.values():
            for later in [it for it in values if it > step]:
                del values[later]

    def _take_event(self, event: Event, record: Record) -> None:
        match event:
            case RunStarted():
                self.started = record
                self.go_back(event.step, event.steps_per_epoch)
            case ValidationEnded():
                for name, value in event.metrics.items():
                    self._validated(f"val/{name}", event.step, value)
        self.history.mark_event(event)

    def _take_lines(self, lines: list[Record]) -> None:
        kept = []
        for line in lines:
            step = line["step"]
            # Nobody writes steps that go back; somebody may have edited the file.
            if step > self._newest:
                self._newest = step
                kept.append(line)
                self.history.time(step, number_or_nan(line.get("elapsed_s")))
            for name in line if len(line) <= MOST_NAMES else ():
                if name.startswith("val/") and is_text(name):
                    self._validated(name, step, line[name])
        for name in (number.key for number in CURVES):
            having = [line for line in kept if name in line]
            steps = [line["step"] for line in having]
            self.history.put(name, steps, [number_or_nan(line[name]) for line in having])

    def _validated(self, name: str, step: int, value: object) -> None:
        # At the step of a scheduled one, one on demand measured the same weights.
        self._validations.setdefault(name, {}).setdefault(step, number_or_nan(value))

    def _put_validations(self, *, everything: bool) -> None:
        for name, values in self._validations.items():
            if not values:
                continue
            all_of_it = everything or len(values) > _MOST_WAITING
            due = sorted(step for step in values if all_of_it or step <= self._reached)
            last = self.history.last(name)
            steps = [step for step in due if step > last]
            self.history.put(name, steps, [values[step] for step in steps])
            for step in due:
                del values[step]


def read_history(run: RunDirectory, last_step: int, known: Recording | None = None) -> History:
    """The curves and marks up to a step, that one included, on top of what is known already.

    What an earlier resume set aside is not in them.
    """
    recording = known or Recording()
    batch = recording.follower(run).read()
    batch.events = [record for record in batch.events if record["step"] <= last_step]
    batch.lines = [line for line in batch.lines if line["step"] <= last_step]
    recording.take(batch, whole=True)
    if recording.history.newest > last_step:
        told = recording.started.get("steps_per_epoch")
        recording.go_back(last_step, told if isinstance(told, int) and is_count(told) else 1)
    return recording.history


def whole_recording(run: RunDirectory) -> Recording:
    """All that the files of a run say, read from their beginning."""
    recording = Recording()
    recording.take(recording.follower(run).read(), whole=True)
    return recording
