"""`RunReader`: polls the directory of a run, and returns what is new in it.

Layer: sessions. It starts no thread and keeps no view of the run: the caller applies the updates.
The clocks of two hosts need not agree, so a heartbeat is timed by the reader's own clock.
`read_run` takes the curves from history.bin, and the view from status.json plus the newest lines
and events; of metrics.jsonl and events.jsonl only the ends are read, however long they are.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from tui_trainer.config.experiment import Experiment
from tui_trainer.runs.bounds import is_count, number_or_nan
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import in_force, read_edits
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import (
    FINAL_STATES,
    Event,
    Notice,
    RunEnded,
    RunStarted,
    RunState,
    StepsTaken,
)
from tui_trainer.runs.outcome import way_on
from tui_trainer.runs.paths import is_folder, opened_facts
from tui_trainer.runs.recording import Recording, open_recording
from tui_trainer.runs.status import ASK_EVERY_S, LOST_AFTER_S, conclude, read_status
from tui_trainer.runs.step_numbers import NUMBERS, StepNumber, other_keys
from tui_trainer.runs.tail import Follower, NewLines, Record, line_begin, records_before
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.session import TrackedRun
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ExitCode, TrainerError

EVENT_TAIL_BYTES = 256 * 1024
METRICS_TAIL_BYTES = 64 * 1024


@dataclass(slots=True)
class RunSnapshot:
    """A run as read from its files, and the status that the view is based on."""

    tracked: TrackedRun
    recording: Recording
    status: RunView | None


def read_run(run: RunDirectory) -> RunSnapshot:
    """Read a run; missing or damaged files leave gaps and raise nothing."""
    status = read_status(run.status)
    recording = open_recording(run, status.generation if status else None)
    view = _view_of(run, status, recording)
    tracked = TrackedRun(_in_force(run, view.step))
    tracked.view, tracked.history = view, recording.history
    if tracked.experiment is not None:
        view.max_seconds = tracked.experiment.training.max_seconds
    return RunSnapshot(tracked, recording, status)


def events_of(records: Sequence[Record], run: RunDirectory) -> list[Event]:
    """Return the events in lines of events.jsonl; anything else is left out.

    An end names the directory where the run is now: it may have been moved since.
    """
    events = [event for record in records if (event := event_of(record)) is not None]
    return [
        replace(event, run_dir=str(run.path)) if isinstance(event, RunEnded) else event
        for event in events
    ]


def steps_taken(lines: Sequence[Record]) -> list[StepsTaken]:
    """Return lines of metrics as at most two events, because a speed needs two."""
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
        others=_others(lines),
        **numbers,
    )


def _others(lines: Sequence[Record]) -> dict[str, tuple[float, ...]]:
    """Return the further numbers of steps that all of these lines have."""
    return {
        name.partition("/")[2]: tuple(number_or_nan(line[name]) for line in lines)
        for name in other_keys(lines[-1])
        if all(name in line for line in lines)
    }


def _view_of(run: RunDirectory, status: RunView | None, recording: Recording) -> RunView:
    """Apply the newest lines and events of this start of the run to its last status."""
    view = copy.deepcopy(status) if status is not None else RunView()
    started = event_of(recording.started)
    if isinstance(started, RunStarted):
        view.apply(started)
        if status is not None and status.generation == started.generation:
            # The status is later than this start, which forgets a best that came after it.
            view.scores = copy.deepcopy(status.scores)
    records = records_before(run.events, recording.events_bytes, EVENT_TAIL_BYTES)
    # Events after the lines: the end of the run is later than its last line.
    lines = steps_taken(_newest_lines(run, recording))
    for event in (*lines, *events_of(_of_this_life(records, recording), run)):
        view.apply(event)
    if status is not None:
        if view.generation == status.generation and status.total_steps is not None:
            view.total_steps = status.total_steps
        if status.generation > view.generation and status.state not in FINAL_STATES:
            # Another start of the run is about to begin; the end belonged to the previous one.
            view.ending, view.state, view.reason = None, status.state, status.reason
        view.update(status)
    view.name, view.run_dir = run.path.name, str(run.path)
    return view


def _of_this_life(records: Sequence[Record], recording: Recording) -> list[Record]:
    """Return the records after the newest start; the start itself is already applied."""
    starts = [n for n, record in enumerate(records) if record == recording.started]
    return list(records[starts[-1] + 1 :] if starts else records)


def _newest_lines(run: RunDirectory, recording: Recording) -> list[Record]:
    """Return the newest lines of metrics of this start of the run."""
    lines = records_before(run.metrics, recording.metrics_bytes, METRICS_TAIL_BYTES)
    begin = recording.started.get("step", 0)
    return [line for line in lines if line["step"] > begin] or lines[-1:]


def _in_force(run: RunDirectory, step: int) -> Experiment | None:
    """Return the configuration at a step; None if it cannot be read, as without its plugins."""
    try:
        edits = [edit for edit in read_edits(run.edits) if edit.apply_at_step <= step]
        return in_force(read_config(run), edits)
    except (TrainerError, OSError):
        return None


MOST_LINES = 2000
"""Lines of metrics that are added to the curves at a time; of more, every n-th."""
BEATS_S = 2.0
"""How long a heartbeat is trusted without asking the system about the process."""

GONE = frozenset({"deleted", "unreachable"})


class Silence:
    """Reports once that a live run writes nothing, and once that it writes again.

    On a full disk a run continues to train, but cannot report anything.
    """

    def __init__(self) -> None:
        self._is_told = False

    def check(self, unheard_s: float, *, lives: bool) -> str:
        """Return a text for the log, or an empty string.

        `lives`: the process exists and is not suspended, as far as the system knows.
        """
        if lives and unheard_s >= LOST_AFTER_S and not self._is_told:
            self._is_told = True
            return (
                f"the run is alive but has written nothing for {unheard_s:.0f} s: "
                "is its disk full? What is shown may be out of date"
            )
        if unheard_s == 0 and self._is_told:
            self._is_told = False
            return "the run is writing again"
        return ""


@dataclass(slots=True)
class Update:
    """The news of a poll. A snapshot holds everything; events beside it are only for display."""

    events: list[Event] = field(default_factory=list)
    batch: NewLines | None = None
    snapshot: RunSnapshot | None = None
    status: RunView | None = None
    """The newest status, if it has changed."""
    state: str | None = None
    """The state to assume instead of the one the run reports; "" means the run's own word."""

    def __bool__(self) -> bool:
        news = (self.batch, self.snapshot, self.status, self.events)
        return self.state is not None or any(news)


class RunReader:
    """Polls the directory of a run; used from one thread."""

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._follower: Follower | None = None
        self._status: RunView | None = None
        self._stamp: tuple[int, int] | None = None
        self._beat_at_s = self._asked_at_s = clock()
        self._silence = Silence()
        self._believed = ""
        self.first_told_bytes = 0
        """The offset of the first event that was returned."""
        self._told_bytes: int | None = None
        """The offset up to which events have been returned."""

    @property
    def step(self) -> int:
        return self._status.step if self._status is not None else 0

    @property
    def state(self) -> str:
        """The state according to status.json and the system."""
        return self._believed or (self._status.state if self._status is not None else "starting")

    def poll(self) -> Update:
        """Return what is new since the last poll; the first time, everything."""
        if self._follower is None:
            update = Update()
            self._reopen(update)
            self._read_status(update)
        else:
            update = Update()
            self._read_status(update)
            if self._believed not in GONE:
                self._read_on(self._follower, update)
        return update

    def _read_on(self, follower: Follower, update: Update) -> None:
        batch = follower.read(MOST_LINES)
        if batch:
            self._told_bytes = batch.events_bytes
            # Lines first, because an event may end the run.
            update.events += [*steps_taken(batch.lines), *events_of(batch.events, self._run)]
            if any(isinstance(event, RunStarted) for event in update.events):
                # The run was started again; reports of the previous start no longer hold.
                update.events = [
                    event for event in update.events if not isinstance(event, StepsTaken)
                ]
                self._reopen(update)
            else:
                update.batch = batch

    def _reopen(self, update: Update) -> None:
        update.snapshot = read_run(self._run)
        self._follower = update.snapshot.recording.follower(self._run)
        update.events += self._told_before()
        update.batch = None
        view, status = update.snapshot.tracked.view, update.snapshot.status
        if view.ending is None and status is not None and status.state in FINAL_STATES:
            ending = self._ending(status, status.state, status.message)
            view.apply(ending)
            update.events.append(ending)
        if self._believed:
            self._believed = update.state = ""

    def _told_before(self) -> list[Event]:
        """Return events of the snapshot that were never returned; at first only the newest ones."""
        assert self._follower is not None
        end = self._follower.events_bytes
        told_bytes = self._told_bytes
        most_bytes = EVENT_TAIL_BYTES if told_bytes is None else max(end - told_bytes, 0)
        if told_bytes is None:
            start = max(end - most_bytes, 0)
            self.first_told_bytes = line_begin(self._run.events, start) if start else 0
        self._told_bytes = end
        records = records_before(self._run.events, end, most_bytes) if most_bytes else []
        return events_of(records, self._run)

    def _read_status(self, update: Update) -> None:
        now_s = self._clock()
        stamp = _stamp(self._run)
        if stamp is None and not is_folder(self._run.path):
            self._report_missing_directory(update)
            return
        if self._believed in GONE:
            update.events.append(Notice(self.step, "the directory of the run is back"))
            self._believe("", update)
        # News of the run refutes what was believed before, not what is concluded from it.
        believed = self._believed
        if stamp != self._stamp:
            self._stamp = stamp
            status, before = read_status(self._run.status), self._status
            if status is not None:
                self._status = update.status = status
                if before is not None and _has_advanced(before, status):
                    # Such events are in no file, as there are too many of them.
                    update.events.append(status.final_test.event(status.step))
                if before is None or _beat(before) != _beat(status):
                    self._beat_at_s = now_s
                    self._hear(update, 0.0)
                if before is None:
                    self._ask(now_s, update)
        if now_s - self._beat_at_s < BEATS_S:
            if believed not in ("", "crashed") and update.status is not None:
                self._believe("", update)
            elif believed == "crashed" and update.status is not None:
                # A run on another host: it is alive after all.
                self._reopen(update)
        elif now_s - self._asked_at_s >= ASK_EVERY_S:
            self._ask(now_s, update)

    def _ask(self, now_s: float, update: Update) -> None:
        """Ask the system about the process; for one on another host, judge by the heartbeat."""
        self._asked_at_s = now_s
        if self._status is None or self._believed == "crashed":
            return
        status = self._status
        concluded = conclude(self._run, status, now_s - self._beat_at_s)
        believed = "" if concluded == status.state else concluded
        if believed in FINAL_STATES:
            believed = ""  # It has just ended, as its events will say.
        self._believe(believed, update)
        if believed == "crashed":
            update.events.append(self._crash(status))
        elif not believed and concluded not in FINAL_STATES:
            self._hear(update, now_s - self._beat_at_s)

    def _hear(self, update: Update, unheard_s: float) -> None:
        if text := self._silence.check(unheard_s, lives=not self._believed):
            level: Literal["note", "warning"] = "warning" if unheard_s else "note"
            update.events.append(Notice(self.step, text, level))

    def _believe(self, state: str, update: Update) -> None:
        if state != self._believed:
            self._believed = update.state = state

    def _report_missing_directory(self, update: Update) -> None:
        state = "deleted" if os.path.isdir(self._run.path.parent) else "unreachable"
        if state != self._believed:
            where = clean(str(self._run.path), 400)
            why = "was deleted" if state == "deleted" else "cannot be reached"
            text = f"the directory of the run {why}: {where}"
            update.events.append(Notice(self.step, text, "error"))
            self._believe(state, update)

    def _crash(self, status: RunView) -> RunEnded:
        host = clean(status.process.host, 80)
        on = way_on(self._run, status, "crashed")
        reason = f"process {status.process.pid} on {host} has died without a report; {on}"
        return self._ending(status, "crashed", reason)

    def _ending(self, status: RunView, state: str, reason: str) -> RunEnded:
        """Make an end of the run that no event reports."""
        return RunEnded(
            step=status.step,
            state=cast(RunState, state),
            reason=clean(reason, 400),
            epoch=status.epoch,
            run_dir=str(self._run.path),
            elapsed_s=status.elapsed_s,
            exit_code=ExitCode.FAILED if state in ("crashed", "failed") else ExitCode.OK,
            test=status.scores.test,
        )


def _has_advanced(before: RunView, status: RunView) -> bool:
    """Whether the test at the end of the run has advanced."""
    return status.state == "testing" and before.final_test != status.final_test


def _beat(status: RunView) -> tuple[int, int, str, int]:
    return status.process.heartbeat, status.generation, status.state, status.process.pid


def _stamp(run: RunDirectory) -> tuple[int, int] | None:
    """Identify the current status.json: it is replaced, so a new file has a new number."""
    facts = opened_facts(run.status)
    return None if facts is None else (facts.st_ino, facts.st_mtime_ns)
