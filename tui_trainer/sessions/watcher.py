"""The watcher thread: mailbox, events.jsonl, heartbeat and history.bin, four times per second.

Layer: sessions. It writes the files that others read, so that the trainer never waits for them. A
file that cannot be written is tried again the next time.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Protocol

import psutil

from tui_trainer.machine.usage import Usage, UsageMeter
from tui_trainer.runs.commands import HERE, Command, Stop, origin_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import (
    UNLOGGED,
    Event,
    Notice,
    RunEnded,
    StateChanged,
    ValidationEnded,
    ValidationStarted,
    to_dict,
)
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.mailbox import Mailbox
from tui_trainer.runs.paths import exists, size_of
from tui_trainer.runs.recording import Recording, open_recording, write_recording
from tui_trainer.runs.status import LOOK_EVERY_S, this_process, write_status
from tui_trainer.runs.view import RunView
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError
from tui_trainer.text.format import size_text

STATUS_EVERY = 4
"""Rounds between two heartbeats."""
CURVES_EVERY_S = 10.0
MOST_BEHIND_BYTES = 128 * 1024
"""The most that a reader has to read on its own: that takes some milliseconds."""


class WatchedSession(Protocol):
    """The session that trains, as the watcher sees it."""

    usage: Usage | None

    def emit(self, event: Event) -> None: ...

    def send(self, command: Command) -> None: ...

    def events(self, cursor: int) -> tuple[list[Event], int]: ...


class Watcher:
    """Serves the run directory of a session in a thread of its own until `finish`."""

    def __init__(
        self,
        session: WatchedSession,
        run: RunDirectory,
        lock: RunLock,
        view: RunView,
        meter: UsageMeter,
    ) -> None:
        self._session = session
        self._run = run
        self._lock = lock
        self._view = view
        view.process = this_process()
        self._meter = meter
        self._mailbox = Mailbox(run.control)
        self._journal = Journal(run.events)
        self._keeper = CurveKeeper(run)
        self._origin = origin_of("app")
        self._cursor = 0
        self._unwritten: list[dict[str, Any]] = []
        self._fault = ""
        self.taken_by = ""
        """The process that has taken the run over; from then on nothing is read or written here."""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watcher")

    @property
    def events_bytes(self) -> int:
        """The length of events.jsonl; before `start`, what earlier starts of the run wrote."""
        return self._journal.length

    def start(self) -> None:
        """Write the first status and start the thread."""
        self._write_status()
        self._thread.start()

    def use_meter(self, meter: UsageMeter) -> None:
        """Measure with another meter, because the device is known now."""
        self._meter = meter

    def finish(self) -> None:
        """Write the rest, including the last status, and end."""
        self._done.set()
        self._thread.join()
        if not self._is_lost():
            self._look(last=True)
            self._keeper.write(self._journal.length)
        self._journal.close()

    def _work(self) -> None:
        looks = 0
        while not self._done.wait(LOOK_EVERY_S):
            looks += 1
            try:
                if self._is_lost():
                    self._session.send(Stop(save=False, origin=self.taken_by))
                    return
                self._serve(looks)
            except Exception as error:
                # Without this thread the run could not be steered, and would look dead.
                self._tell_fault(error)

    def _serve(self, looks: int) -> None:
        changed = self._look()
        if changed or looks % STATUS_EVERY == 0:
            self._write_status()
        if looks % STATUS_EVERY == 1:
            self._mailbox.refresh()
            with contextlib.suppress(OSError, psutil.Error):
                self._session.usage = self._meter.read()
        self._keeper.look(self._journal.length)

    def _tell_fault(self, error: Exception) -> None:
        """Report an error once, however often it occurs."""
        fault = clean(f"{type(error).__name__}: {error}", 400)
        if fault != self._fault:
            self._fault = fault
            text = f"the run's files could not be updated: {fault}; this is a bug, training goes on"
            self._session.emit(Notice(self._view.step, text, "error"))

    def _is_lost(self) -> bool:
        """Whether another process has taken the run over, and with it the mailbox and the files."""
        self.taken_by = self.taken_by or self._lock.taken_by()
        return bool(self.taken_by)

    def _look(self, *, last: bool = False) -> bool:
        """Read the mailbox and write the events; returns whether the state of the run changed."""
        if not last:
            mail = self._mailbox.take()
            for text in mail.rejected:
                self._session.emit(Notice(self._view.step, text, "warning"))
            for command in mail.commands:
                self._session.send(command)
        before = self._cursor
        events, self._cursor = self._session.events(before)
        self._keeper.add(events, missed=self._cursor - before - len(events))
        self._unwritten += [self._line(event) for event in logged_events(events)]
        for event in events:
            self._view.apply(event)
            if isinstance(event, StateChanged) and event.freed_bytes:
                self._tell_what_stays(event.step)
        try:
            # First, because it raises if another process has the run by now, whose files we must
            # leave alone.
            self._lock.renew()
            if not exists(self._run.events):
                self._journal.reopen()
            # From here on the journal holds them until the disk takes them.
            records, self._unwritten = self._unwritten, []
            self._journal.append(records)
            if last:
                self._journal.sync()
        except (OSError, TrainerError):
            pass  # Tried again next time.
        if last:
            self._write_status()
        return any(isinstance(event, StateChanged | RunEnded) for event in events)

    def _line(self, event: Event) -> dict[str, Any]:
        """Return an event as a record for readers elsewhere, with the origin spelled out."""
        line = to_dict(event)
        if line.get("origin") == HERE:
            line["origin"] = self._origin
        return line

    def _tell_what_stays(self, step: int) -> None:
        """Report the GPU memory that a run still holds after giving back what it could."""
        with contextlib.suppress(OSError, psutil.Error):
            self._session.usage = usage = self._meter.read()
            if usage.gpu is not None and usage.gpu.own_bytes:
                kept = size_text(usage.gpu.own_bytes)
                text = f"{kept} of GPU memory stay with the CUDA context until the run ends"
                self._session.emit(Notice(step, text))

    def _write_status(self) -> None:
        process, usage = self._view.process, self._session.usage
        process.heartbeat += 1
        process.usage = asdict(usage) if usage is not None else None
        with contextlib.suppress(TrainerError):
            write_status(self._run.status, self._view)


def logged_events(events: Sequence[Event]) -> list[Event]:
    """Return the events for events.jsonl: not the frequent ones, and of validations only the end.

    That a validation has begun matters only while it runs. A small model validates hundreds of
    times per second, and the file would be twice as long.
    """
    ends = [at for at, event in enumerate(events) if isinstance(event, ValidationEnded)]
    over = ends[-1] if ends else -1
    return [
        event
        for at, event in enumerate(events)
        if not (isinstance(event, UNLOGGED) or (isinstance(event, ValidationStarted) and at < over))
    ]


class CurveKeeper:
    """Keeps history.bin close to the end of the files that it summarizes; watcher thread only.

    It takes the numbers from the events of the run, which are in memory: to read the lines again
    that the trainer writes would cost several times as much.
    """

    def __init__(self, run: RunDirectory, clock: Callable[[], float] = time.monotonic) -> None:
        self._run = run
        self._clock = clock
        # A new run has no history; that of a resumed one is read when it is first needed.
        self._recording = None if exists(run.metrics) else Recording()
        self._events: list[Event] = []
        """Those that are not in the recording yet."""
        self._covered_bytes = 0
        """The bytes of events.jsonl and metrics.jsonl that the file on the disk covers."""
        self._updated_at_s = clock()

    def add(self, events: Sequence[Event], *, missed: int = 0) -> None:
        """Take the next events of the run.

        `missed` is the number of events before these that are no longer kept by the session, as
        after a disk has kept this thread waiting. The files have them.
        """
        if missed:
            self._recording = None
            self._events.clear()
        self._events += events

    def look(self, events_bytes: int) -> None:
        """Write the file if it is far behind, at most once per `CURVES_EVERY_S`.

        `events_bytes` is the length of events.jsonl.
        """
        now_s = self._clock()
        if now_s - self._updated_at_s < CURVES_EVERY_S:
            return
        self._updated_at_s = now_s
        recording = self._update(events_bytes)
        if abs(events_bytes + size_of(self._run.metrics) - self._covered_bytes) > MOST_BEHIND_BYTES:
            self._write(recording)

    def write(self, events_bytes: int) -> None:
        """Bring the file up to date."""
        self._write(self._update(events_bytes))

    def _update(self, events_bytes: int) -> Recording:
        """Bring the recording up to date, so that few events wait in the memory."""
        recording = self._recording or open_recording(self._run)
        recording.add(self._run, self._events, events_bytes)
        self._recording = recording
        self._events.clear()
        return recording

    def _write(self, recording: Recording) -> None:
        with contextlib.suppress(OSError):
            write_recording(self._run, recording)
            self._covered_bytes = recording.events_bytes + recording.metrics_bytes
