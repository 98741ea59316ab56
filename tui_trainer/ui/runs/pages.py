"""`RunPages`: what a list of runs shows, read from their folder.

Layer: ui. Folders and files are read in a thread, one at a time: more of them would only take the
screen's time.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import settings_of
from tui_trainer.runs.filters import Term, parse_filter, select
from tui_trainer.runs.index import ORDERS, RunSummary, list_runs, sort_runs
from tui_trainer.runs.recording import open_recording
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted
from tui_trainer.ui.runs.compared import Portrait
from tui_trainer.ui.runs.lines import run_lines


@dataclass(frozen=True, slots=True)
class Page:
    """What there is, what is shown of it, and how."""

    runs: list[RunSummary]
    kept: list[RunSummary]
    titles: str
    lines: list[str]
    """Of those that are kept, none marked."""
    wrong: str = ""
    """What is wrong with the filter."""


def page_of(runs: list[RunSummary], kept: list[RunSummary], width: int, wrong: str = "") -> Page:
    """The runs as lines of a width; needs no file."""
    titles, lines = run_lines(kept, width, datetime.now(timezone.utc))
    return Page(runs, kept, titles, lines, wrong)


class _OutdatedError(Exception):
    """What is being read is not what is wanted any more."""


class RunPages:
    """Reads a folder again and again; a run's files only when it has gone on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._settings: dict[str, tuple[RunSummary, Mapping[str, Any]]] = {}
        self._portraits: dict[str, Portrait] = {}
        self._is_outdated = threading.Event()

    def outdate(self) -> None:
        """Something else is wanted than what is being read, if anything is."""
        self._is_outdated.set()

    def renew(self) -> None:
        """What is read from now on is wanted."""
        self._is_outdated.clear()

    def read(
        self, terms: Sequence[Term], order: str, width: int, without: Collection[str]
    ) -> Page | None:
        """The runs that fit a filter, in an order, but for those named in `without`.

        None when it was outdated meanwhile; settings that were read are kept.
        """
        runs = [run for run in list_runs(self._folder) if run.name not in without]
        try:
            kept = select(runs, terms, self._settings_in_time)
        except _OutdatedError:
            return None
        except BadInput as error:
            return page_of(runs, runs, width, str(error))
        if order:
            kept = sort_runs(kept, order)
        page = page_of(runs, kept, width)
        return None if self._is_outdated.is_set() else page

    def portrait(self, run: RunSummary) -> Portrait:
        """A run with its settings and curves."""
        known = self._portraits.get(run.name)
        if known is None or known.summary != run:
            history = open_recording(RunDirectory(run.path)).history
            known = self._portraits[run.name] = Portrait(run, self._settings_of(run), history)
        return known

    def _settings_in_time(self, run: RunSummary) -> Mapping[str, Any]:
        if self._is_outdated.is_set():
            raise _OutdatedError
        return self._settings_of(run)

    def _settings_of(self, run: RunSummary) -> Mapping[str, Any]:
        known = self._settings.get(run.name)
        if known is None or known[0] != run:
            known = self._settings[run.name] = (run, settings_of(RunDirectory(run.path)))
        return known[1]


# `RunQuery`: what is wanted of a folder's runs: those that fit a filter, in an order.
#
# A filter that is half typed is no filter yet: all runs fit it.


class RunQuery:
    """Holds what was typed and chosen; reading a folder by it is somebody else's."""

    def __init__(self) -> None:
        self.terms: list[Term] = []
        self.order = ""
        """One of `ORDERS`, or empty as the list is at first."""
        self.typo = ""
        """What is wrong with the filter, whatever runs there are."""

    def type(self, text: str) -> None:
        """Take a filter as it was typed so far."""
        self.terms, self.typo = [], ""
        try:
            self.terms = parse_filter(text)
        except BadInput as error:
            self.typo = str(error)

    def turn_order(self) -> None:
        """Order by the next column, then as at first."""
        orders = ["", *ORDERS]
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]

    def told(self, runs: Sequence[RunSummary], kept: Sequence[RunSummary], wrong: str) -> str:
        """How many runs there are and fit, and their order; a `wrong` filter fits nothing."""
        live = sum(run.is_live for run in runs)
        told = f"{counted(len(runs), 'run')}, {live} live"
        if self.terms and not wrong:
            told = f"{len(kept)} of {told}"
        return f"{told}  by {self.order}" if self.order else told
