"""`tui-trainer attach --no-ui`: prints the events of another process's run until it ends.

Layer: cli. An interrupt ends the printing, not the run.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.cli.printers import Printer
from tui_trainer.runs.describe import left_line
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import Event, RunStarted
from tui_trainer.sessions.attached import AttachedSession
from tui_trainer.sessions.signals import InterruptFlag
from tui_trainer.text.console import output_stream
from tui_trainer.text.errors import ExitCode

LOOK_S = 0.2
SHOWN_BEFORE = 10
"""How many events from before the start are printed as text; JSON has all of them."""


def follow(run: RunDirectory, printer: Printer) -> int:
    """Print the events of a run until it ends, or until an interrupt."""
    session = AttachedSession(run)
    session.start()
    with InterruptFlag() as leaving:
        _print(session, printer, leaving, run)
    if leaving.is_asked and not printer.is_record:
        # The run belongs to another process, and goes on.
        output_stream().line(left_line(session.view))
    printer.close()
    session.close()
    return ExitCode.OK


def _print(
    session: AttachedSession, printer: Printer, leaving: InterruptFlag, run: RunDirectory
) -> None:
    cursor = 0
    is_first = True
    while not leaving.is_asked:
        # Read before the events, so that those that came with the end are still printed.
        over = session.ended
        session.refresh()
        events, cursor = session.events(cursor)
        shown: Sequence[Event] = events
        if is_first and events:
            is_first = False
            shown = _begin(session, printer, run, events)
        for event in shown:
            printer.show(event)
        if over:
            return
        printer.look()
        session.wait(LOOK_S)


def _begin(
    session: AttachedSession, printer: Printer, run: RunDirectory, events: Sequence[Event]
) -> Sequence[Event]:
    """Print what comes before the newest of the first events, and return those.

    A program gets all events of the run. People get the newest start, and how to read the rest.
    """
    if printer.is_record:
        for event in session.earlier.events() if session.earlier is not None else ():
            printer.show(event)
        return events
    started, newest = _newest(events)
    for event in started:
        printer.show(event)
    if len(events) > len(started) + len(newest):
        output_stream().line(f"... ({run.command('logs')} prints what came before)")
    return newest


def _newest(events: Sequence[Event]) -> tuple[Sequence[Event], Sequence[Event]]:
    """Return the newest start of the run, if there is one, and the newest events after it."""
    starts = [index for index, event in enumerate(events) if isinstance(event, RunStarted)]
    begin = starts[-1] + 1 if starts else 0
    return events[max(begin - 1, 0) : begin], events[begin:][-SHOWN_BEFORE:]
