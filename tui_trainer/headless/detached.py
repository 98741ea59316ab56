"""A run that begins detached: on the shell until it trains, then in its own output.log alone.

Layer: headless. What is wrong with a configuration or its data is told by the command that was
typed, with its exit code; only a run that trains is left to itself.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from tui_trainer.headless.printer import JsonPrinter, LinePrinter
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.events import Event, RunStarted
from tui_trainer.runs.printed import Limit
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
        self._printer = JsonPrinter() if as_json else LinePrinter()
        self._is_free = False
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def is_record(self) -> bool:
        return self._printer.is_record

    def show(self, event: Event) -> None:
        if isinstance(event, RunStarted) and not self._is_free:
            self._is_free = True
            limit = _print_into(RunDirectory(self._runs_dir / event.run).output)
            if limit is not None:
                self._keeper = threading.Thread(target=self._keep, args=(limit,), name="output")
                self._keeper.start()
            self._tether.name_run(event.run)
            self._tether.let_go()
        self._printer.show(event)

    def close(self) -> None:
        self._printer.close()
        self._over.set()
        if self._keeper is not None:
            self._keeper.join()

    def _keep(self, limit: Limit) -> None:
        """Beside the run, which may print whatever it likes."""
        while not self._over.wait(LOOK_S):
            limit.look()
        limit.look()


def _print_into(path: Path) -> Limit | None:
    """Have descriptors 1 and 2 append to a file; to nothing where it cannot be written."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    place = -1
    with contextlib.suppress(OSError):
        place = os.open(path, flags, 0o644)
    is_kept = place >= 0
    if not is_kept:
        place = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(place, number)
    os.close(place)
    return Limit(1) if is_kept else None
