"""A run that begins detached: on the shell until it trains, then in its own output.log alone.

Layer: headless. What is wrong with a configuration or its data is told by the command that was
typed, with its exit code; only a run that trains is left to itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

from tui_trainer.cli.printers import JsonPrinter, LinePrinter
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import Event, RunStarted
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.output import OutputLimit
from tui_trainer.sessions.launcher import Tether

LOOK_S = 0.25


def leave_terminal() -> None:
    """Leave the shell's session, so that neither its end nor its keys reach the run."""
    os.setsid()
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)


class DetachedPrinter:
    """Prints; as soon as the run has started, into its directory, and the shell is free."""

    def __init__(self, runs_dir: Path, tether: Tether, *, as_json: bool = False) -> None:
        self._runs_dir = runs_dir
        self._tether = tether
        self._make: type[JsonPrinter | LinePrinter] = JsonPrinter if as_json else LinePrinter
        # A descriptor that no child inherits: 1 and 2 are the run's as soon as it starts.
        coding = getattr(sys.stdout, "encoding", None) or "utf-8"
        self._shell = os.fdopen(os.dup(1), "w", encoding=coding, errors="backslashreplace")
        self._printer: JsonPrinter | LinePrinter = self._make(self._shell)
        self._is_moved = False
        self._limit: OutputLimit | None = None
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def is_record(self) -> bool:
        return self._printer.is_record

    def move(self, event: RunStarted) -> None:
        """Have descriptors 1 and 2 lead into the run's directory.

        Called by the trainer, before it starts workers: what they inherit they keep, and the pipe
        or the terminal of a shell stays open as long as anybody has it.
        """
        if not self._is_moved:
            self._is_moved = True
            self._limit = _print_into(RunDirectory.at(self._runs_dir / event.run).output)

    def show(self, event: Event) -> None:
        if isinstance(event, RunStarted) and not self._shell.closed:
            self._leave_shell(event.run)
        self._printer.show(event)

    def _leave_shell(self, run: str) -> None:
        self._printer = self._make()
        with contextlib.suppress(OSError):
            self._shell.close()
        if self._limit is not None:
            self._keeper = threading.Thread(target=self._keep, args=(self._limit,), name="output")
            self._keeper.start()
        self._tether.name_run(run)
        self._tether.let_go()

    def close(self) -> None:
        self._printer.close()
        with contextlib.suppress(OSError):
            self._shell.close()
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self, limit: OutputLimit) -> None:
        """Beside the run, which may print whatever it likes."""
        while not self._over.wait(LOOK_S):
            limit.look()
        limit.look()


def _print_into(path: Path) -> OutputLimit | None:
    """Have descriptors 1 and 2 append to a file; to nothing where it cannot be written."""
    place = -1
    with contextlib.suppress(OSError), open_folder(path.parent, writing=True) as folder:
        place = folder.open_own(path.name, os.O_APPEND, 0o644)
    is_kept = place >= 0
    if not is_kept:
        place = os.open(os.devnull, os.O_WRONLY)
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
        os.dup2(place, number)
    os.close(place)
    return OutputLimit(1) if is_kept else None
