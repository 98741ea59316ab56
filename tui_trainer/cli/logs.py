"""`tui-trainer logs`: prints the events and the output of a run as lines.

Layer: cli. Events have a time. Output has none: it follows the events that are there already, or,
with --follow, appears as it is written.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from tui_trainer.cli import argument_values
from tui_trainer.runs.describe import Level, describe, level_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import ENDED_STATES, CommandApplied
from tui_trainer.runs.log import Filter, passes
from tui_trainer.runs.outcome import way_on
from tui_trainer.runs.paths import is_folder, size_of
from tui_trainer.runs.status import (
    ASK_EVERY_S,
    CRASHED_AFTER_S,
    LOOK_EVERY_S,
    conclude,
    read_status,
)
from tui_trainer.runs.tail import is_another, records_from, whole_lines
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.signals import InterruptFlag
from tui_trainer.text.clean import clean
from tui_trainer.text.console import Stream, output_stream
from tui_trainer.text.errors import BadInput, ExitCode

HELD_LOOKS = 3
_END_BYTES = 64 * 1024
"""What is read of the end of events.jsonl for the newest lines, before more is."""
MOST_TOLD = 100_000
"""How many event lines are remembered in order to recognise them in the output."""


class LogLine(NamedTuple):
    """A line that can be printed: its time or `output`, and its text."""

    mark: str
    text: str
    level: Level


class Tail:
    """Reads the new lines of a run at each look.

    A run without a terminal prints its events into output.log too; those are shown only once, with
    their time. The newest output may be ahead of events.jsonl, so it is held for a few looks.
    """

    def __init__(self, run: RunDirectory, level: Filter = "all", grep: str | None = None) -> None:
        """Read a run; of its lines, return those whose level passes and whose text matches."""
        self._run = run
        self._level = level
        self._pattern = _pattern_of(grep)
        self._events_bytes = 0
        self._output_bytes = 0
        self._told: Counter[str] = Counter()
        self._held: list[tuple[int, str]] = []
        """Output that is no known event so far, each line with the number of the look."""
        self._looks = 0

    def lines(self, *, whole: bool = True) -> list[str]:
        """Return new events, then new output; without `whole`, possible events are held back."""
        if is_another(self._run.events, self._events_bytes):
            # The directory was deleted and created again.
            self._events_bytes = self._output_bytes = 0
        return self._lines_from(self._events_bytes, whole=whole)

    def newest(self, count: int) -> list[str]:
        """Return the newest lines of what there is; a long events.jsonl is read from its end.

        With output all is read: it may repeat events that are old.
        """
        most = size_of(self._run.events)
        if not size_of(self._run.output):
            most = min(most, _END_BYTES)
        while True:
            start = max(size_of(self._run.events) - most, 0)
            lines = self._lines_from(start, whole=True)
            if len(lines) >= count or not start:
                return lines[-count:] if count else []
            most *= 4
            self._told.clear()
            self._output_bytes = 0

    def _lines_from(self, start: int, *, whole: bool) -> list[str]:
        """Return the lines of the events from an offset on, and of the output that follows."""
        records, self._events_bytes = records_from(self._run.events, start)
        printed, self._output_bytes = whole_lines(self._run.output, self._output_bytes)
        events = [line for record in records for line in _event_lines(record)]
        self._told.update(line.text for line in events)
        texts = (clean(line.decode("utf-8", "replace"), 10_000) for line in printed)
        self._held += [(self._looks, text) for text in texts]
        is_over = any(record.get("event") == "run_ended" for record in records)
        earlier, new = self._released(whole or is_over)
        self._looks += 1
        lines = (*earlier, *events, *new)
        return [f"{line.mark:<19}  {line.text}" for line in lines if self._is_wanted(line)]

    def _is_wanted(self, line: LogLine) -> bool:
        is_found = self._pattern is None or self._pattern.search(line.text)
        return passes(line.level, self._level) and bool(is_found)

    def _released(self, whole: bool) -> tuple[list[LogLine], list[LogLine]]:
        """Return the output that is no event, from before this look and from this look."""
        earlier: list[LogLine] = []
        new: list[LogLine] = []
        held = []
        for look, text in self._held:
            if self._told[text] > 0:
                self._told[text] -= 1
            elif whole or self._looks - look >= HELD_LOOKS:
                (new if look == self._looks else earlier).append(LogLine("output", text, "detail"))
            else:
                held.append((look, text))
        self._held = held
        if len(self._told) > MOST_TOLD:
            self._told.clear()
        return earlier, new


def logs(arguments: argparse.Namespace) -> int:
    """Print the log of the run that the arguments name."""
    if arguments.lines is not None and arguments.lines < 0:
        raise BadInput(
            f"-n {arguments.lines}: should be at least 0, the number of newest lines to print"
        )
    run = argument_values.find_run(arguments)
    return print_logs(
        run,
        follow=arguments.follow,
        newest=arguments.lines,
        level=arguments.level,
        grep=arguments.grep,
    )


def print_logs(
    run: RunDirectory,
    *,
    follow: bool = False,
    newest: int | None = None,
    level: Filter = "all",
    grep: str | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Print the lines of a run; with `follow`, until the run ends or an interrupt.

    `newest` counts the lines that pass `level` and contain the pattern `grep`.
    """
    out = output_stream()
    tail = Tail(run, level, grep)
    _print(out, tail.lines() if newest is None else tail.newest(newest))
    ending = _Ending(run)
    with InterruptFlag() as leaving:
        while follow and not out.closed and not leaving.is_asked and is_folder(run.path):
            state = ending.look()
            _print(out, tail.lines(whole=state in ENDED_STATES))
            if state == "crashed":
                _print(out, [f"{'':<19}  {_crash(run)}"])
            if state in ENDED_STATES:
                break
            sleep(LOOK_EVERY_S)
        if follow and not leaving.is_asked and not is_folder(run.path):
            _print(out, [f"{'':<19}  the directory of the run is gone: {clean(str(run.path))}"])
    return ExitCode.OK


def _crash(run: RunDirectory) -> str:
    """Return the line about a crash, for which the process had no time to write an event."""
    on = way_on(run, read_status(run.status) or RunView(), "crashed")
    return f"crashed: its process is gone and left no reason; {on}"


class _Ending:
    """Watches for the end of a run, without looking at the system too often."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._beat: tuple[int, int] | None = None
        self._beat_at_s = time.monotonic()
        self._asked_at_s = 0.0

    def look(self) -> str:
        """Return the state of the run as seen from outside; empty if not checked or not known."""
        now_s = time.monotonic()
        if now_s - self._asked_at_s < ASK_EVERY_S:
            return ""
        self._asked_at_s = now_s
        status = read_status(self._run.status)
        if status is None:
            return "crashed" if now_s - self._beat_at_s > CRASHED_AFTER_S else ""
        beat = status.generation, status.process.heartbeat
        if beat != self._beat:
            self._beat, self._beat_at_s = beat, now_s
        return conclude(self._run, status, now_s - self._beat_at_s)


def _event_lines(record: dict[str, Any]) -> list[LogLine]:
    """Return the lines of an event, the first with its time; none for events without a text."""
    event = event_of(record)
    if event is None:
        return []
    lines = describe(event)
    if isinstance(event, CommandApplied) and not event.refused:
        lines = [f"{clean(event.command, 40)}: applied at step {event.step:,}"]
    time_text = _time(event.at_s)
    level = level_of(event)
    return [LogLine("" if number else time_text, text, level) for number, text in enumerate(lines)]


def _pattern_of(grep: str | None) -> re.Pattern[str] | None:
    """Return the pattern that lines must contain; case counts if it has an upper-case letter.

    Raises:
        BadInput: it is no regular expression.
    """
    if grep is None:
        return None
    try:
        return re.compile(grep, 0 if any(map(str.isupper, grep)) else re.IGNORECASE)
    except re.error as error:
        raise BadInput(
            f"--grep: {clean(grep, 80)!r} is not a regular expression: {error}"
        ) from error


def _time(at_s: float) -> str:
    """Return the local time to the second, or a dash if there is none."""
    return f"{datetime.fromtimestamp(at_s):%Y-%m-%d %H:%M:%S}" if at_s else "-"


def _print(out: Stream, lines: Iterable[str]) -> None:
    for line in lines:
        out.line(clean(line, 10_100))
