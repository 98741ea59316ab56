"""`--detach`: prints to the shell until training starts, and then only to the run's output.log.

Layer: cli. Errors in the configuration or the data still appear in the shell, with the exit code of
the command; only a run that has started training is detached.
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
    """Leave the shell's session, so that neither its end nor its keys send signals to the run."""
    os.setsid()
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)


class DetachedPrinter:
    """Prints to the shell; once the run has started, to its directory, and frees the shell."""

    def __init__(self, runs_dir: Path, tether: Tether, *, as_json: bool = False) -> None:
        self._runs_dir = runs_dir
        self._tether = tether
        self._make: type[JsonPrinter | LinePrinter] = JsonPrinter if as_json else LinePrinter
        # A copy that no child inherits, because 1 and 2 lead into the run's directory once it
        # starts.
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
        """Redirect descriptors 1 and 2 into the run's directory.

        Called in the trainer thread before it starts workers. They keep what they inherit, and a
        shell's pipe or terminal stays open as long as any process has it open.
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
        self._tether.name_run(RunDirectory.at(self._runs_dir / run).reference)
        self._tether.let_go()

    def look(self) -> None:
        self._printer.look()

    def close(self) -> None:
        self._printer.close()
        with contextlib.suppress(OSError):
            self._shell.close()
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self, limit: OutputLimit) -> None:
        """Keep output.log within its limit, in a thread of its own, until the run is over."""
        while not self._over.wait(LOOK_S):
            limit.look()
        limit.look()


def _print_into(path: Path) -> OutputLimit | None:
    """Make descriptors 1 and 2 append to a file, or to /dev/null if it cannot be written."""
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
