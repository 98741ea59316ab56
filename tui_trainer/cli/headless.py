"""Running a session without the app: passes events to a printer and signals to the session.

Layer: cli. The main thread waits in short intervals, so that a signal waits for one at most.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli.printers import JsonPrinter, LinePrinter, Printer
from tui_trainer.runs.events import Event, RunEnded, to_dict
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.signals import SignalHandler, leave_at_once
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream, output_stream

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.sessions.requests import RunRequest

LOOK_S = 0.1


def _shown(event: Event, printer: Printer) -> Event | None:
    """Return the event as the printer gets it: text output has the reason of a failure removed.

    `run_headless` prints that reason once, on stderr.
    """
    if printer.is_record or not (isinstance(event, RunEnded) and event.state == "failed"):
        return event
    return replace(event, reason="") if event.has_begun else None


def tell_early_end(reason: str, exit_code: int, *, is_new: bool) -> None:
    """Print the `run_ended` of a run that could not even be prepared, as JSON on stdout.

    Nothing is trained of a run that `is_new`; how far another one has come is not known here.
    """
    end = to_dict(RunEnded(0, "failed", reason, 0, None, 0.0, exit_code, has_begun=False))
    unknown = {} if is_new else dict.fromkeys(("step", "epoch", "elapsed_s"))
    output_stream().json({**end, **unknown})


def make_printer(log_format: str) -> Printer:
    """Return a printer of JSON lines if asked for, else of a bar on a terminal or plain lines."""
    if log_format == "json":
        return JsonPrinter()
    if sys.stdout is not None and sys.stdout.isatty():
        from tui_trainer.cli.bar_printer import BarPrinter

        return BarPrinter()
    return LinePrinter()


def train_headless(
    arguments: argparse.Namespace, request: RunRequest, runs_dir: Path, library: PresetLibrary
) -> int:
    """Train the run that is requested, and print its events; leave the shell if that is asked."""
    from tui_trainer.sessions.requested_run import prepare

    work = partial(prepare, request, runs_dir, arguments.argv, library)
    if arguments.tether is None:
        session, printer = LocalSession(work), make_printer(arguments.log_format)
        return run_headless(session, printer, debug=arguments.debug)
    from tui_trainer.cli.detached import DetachedPrinter, leave_terminal

    leave_terminal()
    as_json = arguments.log_format == "json"
    leaving = DetachedPrinter(runs_dir, arguments.tether, as_json=as_json)
    session = LocalSession(work, started=leaving.move)
    return run_headless(session, leaving, debug=arguments.debug)


def run_headless(session: LocalSession, printer: Printer, *, debug: bool = False) -> int:
    """Start the session and print its events until it ends; return the exit status."""

    def leave(code: int) -> None:
        try:
            printer.close()
        finally:
            # Also if the signal interrupted a write, in which case `close` may raise because a
            # stream cannot be entered again.
            leave_at_once(code)

    with SignalHandler(session, leave=leave) as desk:
        session.start()
        cursor = 0
        last: RunEnded | None = None
        while True:
            # Read before the events, so that those that came with the end are still printed.
            over = session.ended
            events, cursor = session.events(cursor)
            for event in events:
                last = event if isinstance(event, RunEnded) else last
                if shown := _shown(event, printer):
                    printer.show(shown)
            if over:
                break
            if session.is_cancelled and not session.wait(LOOK_S) and not session.ended:
                # Its thread is in a stage of the start that takes as long as it takes.
                session.undo_start()
                leave(session.exit_code)
            printer.look()
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
