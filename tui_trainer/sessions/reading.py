"""`RunReader`: what the directory of a run says, look by look.

Layer: sessions. It knows no thread and keeps no picture: a look returns what is new, and whoever
holds the picture brings it in. The clocks of two hosts need not agree, so that a heartbeat is
timed by the reader's own.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from tui_trainer.config.errors import ExitCode, TrainerError
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.text import clean
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import in_force, read_edits
from tui_trainer.runs.events import (
    FINAL_STATES,
    Event,
    Notice,
    RunEnded,
    RunStarted,
    RunState,
    StepsTaken,
)
from tui_trainer.runs.following import Batch, Follower, Record, records_before
from tui_trainer.runs.history_file import open_recording
from tui_trainer.runs.recorded import Recording
from tui_trainer.runs.records import event_of
from tui_trainer.runs.status import Status, conclude, read_status
from tui_trainer.sessions.launch import read_config
from tui_trainer.sessions.session import Latest, Picture, fold
from tui_trainer.sessions.silence import Silence

EVENT_TAIL_BYTES = 256 * 1024
METRICS_TAIL_BYTES = 64 * 1024
MOST_LINES = 2000
"""Lines of metrics that are brought into the curves at once; of more, every n-th."""
BEATS_S = 2.0
"""How long a heartbeat is believed without asking the system for the process."""
ASK_S = 1.0

GONE = frozenset({"deleted", "unreachable"})


@dataclass(slots=True)
class Opened:
    """A picture of all that there is."""

    picture: Picture
    recording: Recording
    status: Status | None


@dataclass(slots=True)
class Look:
    """What was new. With `opened` all of it is in there, but for the events, to be told."""

    events: list[Event] = field(default_factory=list)
    batch: Batch | None = None
    opened: Opened | None = None
    status: Status | None = None
    """The newest, where it has changed."""
    state: str | None = None
    """What is to be believed in the place of what the run says; "" for its own word."""

    def __bool__(self) -> bool:
        found = (self.batch, self.opened, self.status, self.events)
        return self.state is not None or any(found)


class RunReader:
    """Looks at the directory of a run; used in one thread."""

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        self._follower: Follower | None = None
        self._status: Status | None = None
        self._stamp: tuple[int, int] | None = None
        self._beat_at_s = self._asked_at_s = clock()
        self._silence = Silence()
        self._believed = ""
        self._experiment: Experiment | None = None
        self._told_bytes: int | None = None
        """How far events have been returned."""

    @property
    def step(self) -> int:
        return self._status.step if self._status is not None else 0

    @property
    def state(self) -> str:
        """The state, as far as status.json and the system say."""
        return self._believed or (self._status.state if self._status is not None else "starting")

    def look(self) -> Look:
        """What is new since the last look; all that there is at the first."""
        if self._follower is None:
            look = Look()
            self._reopen(look)
            self._look_at_status(look)
        else:
            look = Look()
            self._look_at_status(look)
            if self._believed not in GONE:
                self._read_on(self._follower, look)
        return look

    def _read_on(self, follower: Follower, look: Look) -> None:
        batch = follower.read(MOST_LINES)
        if batch:
            self._told_bytes = batch.events_bytes
            # Lines come before the events that may end them.
            look.events += [*steps_taken(batch.lines), *_events(batch.events)]
            if any(isinstance(event, RunStarted) for event in look.events):
                # Another life of the run: what the one before it said of its state is over.
                look.events = [it for it in look.events if not isinstance(it, StepsTaken)]
                self._reopen(look)
            else:
                look.batch = batch

    def _reopen(self, look: Look) -> None:
        look.opened = self._open()
        look.events += self._told_before()
        look.batch = None
        latest, status = look.opened.picture.latest, look.opened.status
        if latest.ending is None and status is not None and status.state in FINAL_STATES:
            ending = self._ending(status, status.state, status.message)
            fold(latest, ending)
            look.events.append(ending)
        if self._believed:
            self._believed = look.state = ""

    def _told_before(self) -> list[Event]:
        """Events that the picture has and nobody was told of; at first the newest of all."""
        assert self._follower is not None
        end = self._follower.events_bytes
        told = self._told_bytes
        most_bytes = EVENT_TAIL_BYTES if told is None else max(end - told, 0)
        self._told_bytes = end
        return _events(records_before(self._run.events, end, most_bytes)) if most_bytes else []

    def _look_at_status(self, look: Look) -> None:
        now_s = self._clock()
        stamp = _stamp(self._run)
        if stamp is None and not os.path.isdir(self._run.path):
            self._look_for_directory(look)
            return
        if self._believed in GONE:
            look.events.append(self._notice("the directory of the run is there again", "note"))
            self._believe("", look)
        if stamp != self._stamp:
            self._stamp = stamp
            status, before = read_status(self._run.status), self._status
            if status is not None:
                self._status = look.status = status
                if before is None or _beat(before) != _beat(status):
                    self._beat_at_s = now_s
                    self._hear(look, 0.0)
                if before is None:
                    self._ask(now_s, look)
        if now_s - self._beat_at_s < BEATS_S:
            if self._believed not in ("", "crashed") and look.status is not None:
                self._believe("", look)
            elif self._believed == "crashed" and look.status is not None:
                # Of a run on another host: it lives after all.
                self._reopen(look)
        elif now_s - self._asked_at_s >= ASK_S:
            self._ask(now_s, look)

    def _ask(self, now_s: float, look: Look) -> None:
        """Ask the system for the process; of one on another host, the heartbeat."""
        self._asked_at_s = now_s
        if self._status is None or self._believed == "crashed":
            return
        status = self._status
        found = conclude(self._run, status, now_s - self._beat_at_s)
        believed = "" if found == status.state else found
        if believed in FINAL_STATES:
            believed = ""  # It has just ended, which its events will say.
        self._believe(believed, look)
        if believed == "crashed":
            look.events.append(self._crash(status))
        elif not believed and found not in FINAL_STATES:
            self._hear(look, now_s - self._beat_at_s)

    def _hear(self, look: Look, unheard_s: float) -> None:
        if text := self._silence.look(unheard_s, lives=not self._believed):
            level: Literal["note", "warning"] = "warning" if unheard_s else "note"
            look.events.append(Notice(self.step, text, level))

    def _believe(self, state: str, look: Look) -> None:
        if state != self._believed:
            self._believed = look.state = state

    def _look_for_directory(self, look: Look) -> None:
        state = "deleted" if os.path.isdir(self._run.path.parent) else "unreachable"
        if state != self._believed:
            where = clean(str(self._run.path), 400)
            why = "was deleted" if state == "deleted" else "cannot be reached"
            look.events.append(self._notice(f"the directory of the run {why}: {where}", "error"))
            self._believe(state, look)

    def _notice(self, text: str, level: str) -> Notice:
        return Notice(self.step, text, "error" if level == "error" else "note")

    def _crash(self, status: Status) -> RunEnded:
        host = clean(status.host, 80)
        saved = status.saved_step
        resume = f"tui-trainer resume {self._run.path.name} goes on from step {saved or 0:,}"
        reason = f"process {status.pid} on {host} is gone without a word; {resume}"
        return self._ending(status, "crashed", reason)

    def _ending(self, status: Status, state: str, reason: str) -> RunEnded:
        """An end that no event tells."""
        return RunEnded(
            step=status.step,
            state=cast(RunState, state),
            reason=clean(reason, 400),
            epoch=status.epoch,
            run_dir=str(self._run.path),
            elapsed_s=status.elapsed_s,
            exit_code=ExitCode.FAILED if state in ("crashed", "failed") else ExitCode.OK,
            test=status.test,
        )

    def _open(self) -> Opened:
        """Read what there is."""
        run = self._run
        status = read_status(run.status)
        recording = open_recording(run, status.generation if status else None)
        self._follower = recording.follower(run)
        records = records_before(run.events, recording.events_bytes, EVENT_TAIL_BYTES)
        latest = _latest(run, status, recording, _events(_of_this_life(records, recording)))
        for event in steps_taken(self._newest_lines(recording)):
            fold_steps(latest, event)
        if status is not None:
            take_status(latest, status)
        picture = Picture(self._in_force(latest.step))
        picture.latest, picture.history = latest, recording.history
        if picture.experiment is not None:
            latest.max_seconds = picture.experiment.training.max_seconds
        return Opened(picture, recording, status)

    def _newest_lines(self, recording: Recording) -> list[Record]:
        """The newest lines of this life of the run."""
        end = recording.metrics_bytes
        lines = records_before(self._run.metrics, end, METRICS_TAIL_BYTES)
        begin = recording.started.get("step", 0)
        return [line for line in lines if line["step"] > begin] or lines[-1:]

    def _in_force(self, step: int) -> Experiment | None:
        """The configuration at a step; None where it cannot be read, as without its plugins."""
        try:
            self._experiment = self._experiment or read_config(self._run)
            edits = [it for it in read_edits(self._run.edits) if it.apply_at_step <= step]
            return in_force(self._experiment, edits)
        except (TrainerError, OSError):
            return None


def fold_steps(latest: Latest, event: StepsTaken) -> None:
    """Bring the numbers of steps into a picture that has the state already."""
    latest.step = max(latest.step, event.step)
    latest.loss, latest.lr = event.losses[-1], event.lrs[-1]
    latest.grad_norm, latest.samples_per_s = event.grad_norms[-1], event.samples_per_s
    latest.elapsed_s = max(latest.elapsed_s, event.elapsed_s)
    latest.speed.add(event.step, event.elapsed_s)


def take_status(latest: Latest, status: Status) -> None:
    """Bring a status into the picture; one of another life of the run says nothing of this."""
    if latest.generation != status.generation:
        return
    if status.step >= latest.step:
        latest.step, latest.epoch = status.step, max(status.epoch, latest.epoch)
        latest.loss = latest.loss if status.loss is None else status.loss
        if status.elapsed_s > latest.elapsed_s:
            latest.elapsed_s = status.elapsed_s
            latest.speed.add(status.step, status.elapsed_s)
        if status.samples_per_s is not None:
            latest.samples_per_s = status.samples_per_s
    if status.waiting_share is not None:
        latest.waiting_share = status.waiting_share


def steps_taken(lines: Sequence[Record]) -> list[StepsTaken]:
    """Lines of metrics as one event; one for each stretch of many, so that a speed can be told."""
    found = []
    # A validation of an old step may have a line of its own.
    lines = [line for line in lines if "train/loss" in line]
    for part in (lines[: len(lines) // 2], lines[len(lines) // 2 :]):
        event = _steps(part) if part else None
        if event is not None:
            found.append(event)
    return found


def _steps(lines: Sequence[Record]) -> StepsTaken | None:
    def column(name: str) -> tuple[float, ...]:
        values = (line.get(name) for line in lines)
        return tuple(float(v) if isinstance(v, int | float) else math.nan for v in values)

    try:
        return StepsTaken(
            step=lines[-1]["step"],
            epoch=int(lines[-1].get("epoch") or 0),
            elapsed_s=column("elapsed_s")[-1],
            losses=column("train/loss"),
            grad_norms=column("grad_norm"),
            lrs=column("lr"),
            samples_per_s=column("samples_per_s")[-1],
            waiting_share=math.nan,
        )
    except (TypeError, ValueError, OverflowError):
        return None


def _latest(
    run: RunDirectory, status: Status | None, recording: Recording, events: Sequence[Event]
) -> Latest:
    """The state from the last status, on top of it what events have said since the start."""
    latest = Latest(run=run.path.name, run_dir=str(run.path))
    started = event_of(recording.started)
    if status is not None:
        latest.state, latest.device, latest.epoch = status.state, status.device, status.epoch
        latest.validation, latest.best_step = dict(status.validation), status.best_step
        latest.best = dict(status.best) if status.best is not None else None
        latest.test, latest.saved_step = status.test, status.saved_step
    picture = Picture()
    picture.latest = latest
    if isinstance(started, RunStarted):
        picture.tell(started)
        latest.run = run.path.name
    for event in events:
        picture.tell(event)
    if status is not None:
        if not recording.started:
            latest.generation = status.generation
        if latest.generation == status.generation and status.total_steps is not None:
            latest.total_steps = status.total_steps
        if status.generation > latest.generation and status.state not in FINAL_STATES:
            # Another life of the run is about to start; the end was that of the one before.
            latest.ending, latest.state = None, status.state
    latest.run_dir = str(run.path)
    return latest


def _of_this_life(records: Sequence[Record], recording: Recording) -> list[Record]:
    """The records after the newest start, which itself is known."""
    starts = [n for n, record in enumerate(records) if record == recording.started]
    return list(records[starts[-1] + 1 :] if starts else records)


def _events(records: Sequence[Record]) -> list[Event]:
    return [event for record in records if (event := event_of(record)) is not None]


def _beat(status: Status) -> tuple[int, int, str, int]:
    return status.heartbeat, status.generation, status.state, status.pid


def _stamp(run: RunDirectory) -> tuple[int, int] | None:
    """Which file status.json is now; it is replaced, so another has another number."""
    try:
        descriptor = os.open(run.status, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        facts = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return facts.st_ino, facts.st_mtime_ns
