"""`RunReader`: what the directory of a run says, look by look.

Layer: sessions. It knows no thread and keeps no picture: a look returns what is new, and whoever
holds the picture brings it in. The clocks of two hosts need not agree, so that a heartbeat is
timed by the reader's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, cast

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import (
    FINAL_STATES,
    Event,
    Notice,
    RunEnded,
    RunStarted,
    RunState,
    StepsTaken,
)
from tui_trainer.runs.folder import is_folder, opened_facts
from tui_trainer.runs.following import Batch, Follower, records_before
from tui_trainer.runs.status import conclude, read_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.opening import EVENT_TAIL_BYTES, Opened, events_of, open_run, steps_taken
from tui_trainer.sessions.silence import Silence
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import ExitCode

MOST_LINES = 2000
"""Lines of metrics that are brought into the curves at once; of more, every n-th."""
BEATS_S = 2.0
"""How long a heartbeat is believed without asking the system for the process."""
ASK_S = 1.0

GONE = frozenset({"deleted", "unreachable"})


@dataclass(slots=True)
class Look:
    """What was new. With `opened` all of it is in there, but for the events, to be told."""

    events: list[Event] = field(default_factory=list)
    batch: Batch | None = None
    opened: Opened | None = None
    status: RunView | None = None
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
        self._status: RunView | None = None
        self._stamp: tuple[int, int] | None = None
        self._beat_at_s = self._asked_at_s = clock()
        self._silence = Silence()
        self._believed = ""
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
            look.events += [*steps_taken(batch.lines), *events_of(batch.events)]
            if any(isinstance(event, RunStarted) for event in look.events):
                # Another life of the run: what the one before it said of its state is over.
                look.events = [it for it in look.events if not isinstance(it, StepsTaken)]
                self._reopen(look)
            else:
                look.batch = batch

    def _reopen(self, look: Look) -> None:
        look.opened = open_run(self._run)
        self._follower = look.opened.recording.follower(self._run)
        look.events += self._told_before()
        look.batch = None
        view, status = look.opened.tracked.view, look.opened.status
        if view.ending is None and status is not None and status.state in FINAL_STATES:
            ending = self._ending(status, status.state, status.message)
            view.apply(ending)
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
        return events_of(records_before(self._run.events, end, most_bytes)) if most_bytes else []

    def _look_at_status(self, look: Look) -> None:
        now_s = self._clock()
        stamp = _stamp(self._run)
        if stamp is None and not is_folder(self._run.path):
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

    def _crash(self, status: RunView) -> RunEnded:
        host = clean(status.process.host, 80)
        saved = status.saved.step
        resume = f"tui-trainer resume {self._run.path.name} goes on from step {saved or 0:,}"
        reason = f"process {status.process.pid} on {host} is gone without a word; {resume}"
        return self._ending(status, "crashed", reason)

    def _ending(self, status: RunView, state: str, reason: str) -> RunEnded:
        """An end that no event tells."""
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


def _beat(status: RunView) -> tuple[int, int, str, int]:
    return status.process.heartbeat, status.generation, status.state, status.process.pid


def _stamp(run: RunDirectory) -> tuple[int, int] | None:
    """Which file status.json is now; it is replaced, so another has another number."""
    facts = opened_facts(run.status)
    return None if facts is None else (facts.st_ino, facts.st_mtime_ns)
