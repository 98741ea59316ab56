"""Running a session without the app: events to a printer, signals to the session.

Layer: headless. The main thread waits in short pieces, so that a signal is never later than one.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from tui_trainer.cli.printers import JsonPrinter, LinePrinter, Printer
from tui_trainer.runs.events import Event, RunEnded
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.signals import SignalHandler, leave_at_once
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream

LOOK_S = 0.1


def _shown(event: Event, printer: Printer) -> Event | None:
    """What a printer gets of an event: why a run failed is told on stderr, and once."""
    if printer.is_record or not (isinstance(event, RunEnded) and event.state == "failed"):
        return event
    # Without a directory there never was a run to tell the end of.
    return replace(event, reason="") if event.run_dir else None


def tell_early_end(reason: str, exit_code: int) -> None:
    """The record of a run that could not even be prepared, as JSON on stdout."""
    JsonPrinter().show(RunEnded(0, "failed", reason, 0, "", 0.0, exit_code))


def make_printer(log_format: str) -> Printer:
    """JSON lines, a bar on a terminal, or plain lines."""
    if log_format == "json":
        return JsonPrinter()
    if sys.stdout is not None and sys.stdout.isatty():
        from tui_trainer.cli.printers import BarPrinter

        return BarPrinter()
    return LinePrinter()


def run_headless(session: LocalSession, printer: Printer, *, debug: bool = False) -> int:
    """Start the session and show it until its end; returns the exit status."""

    def leave(code: int) -> None:
        try:
            printer.close()
        finally:
            # Also when the handler fell into the middle of a write, which cannot be entered again.
            leave_at_once(code)

    with SignalHandler(session, leave=leave) as desk:
        session.start()
        cursor = 0
        last: RunEnded | None = None
        while True:
            over = session.ended
            events, cursor = session.events(cursor)
            for event in events:
                last = event if isinstance(event, RunEnded) else last
                if shown := _shown(event, printer):
                    printer.show(shown)
            if over:
                break
            session.wait(LOOK_S)
            desk.deliver()
        session.join()
    printer.close()
    errors = error_stream()
    if last is not None and last.state == "failed":
        errors.block(f"tui-trainer: {clean(last.reason, 2000, multiline=True)}")
    if debug and (session.traceback or session.details):
        errors.block(session.traceback or session.details)
    elif session.traceback:
        errors.line("tui-trainer: this is a bug; --debug shows the traceback")
    return session.exit_code
