"""`RunPages`: reads the pages of the list of runs from their folder; `RunQuery`: what is wanted.

Layer: ui. Folders and files are read in a thread, one at a time: more threads would only take time
from the screen.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tui_trainer.runs.config_file import settings_of
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.filters import Term, parse_filter, select
from tui_trainer.runs.index import ORDERS, RunSummary, list_runs, sort_runs
from tui_trainer.runs.recording import open_recording
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted
from tui_trainer.ui.runs.compared import Portrait
from tui_trainer.ui.runs.run_list import Page, page_of


class _OutdatedError(Exception):
    """The page that is being read is no longer wanted."""


class RunPages:
    """Reads a folder repeatedly; a run's files are read again only when the run has progressed."""

    def __init__(self, folder: Path, *, plain: bool) -> None:
        self._folder = folder
        self._plain = plain
        self._settings: dict[str, tuple[RunSummary, Mapping[str, Any]]] = {}
        self._portraits: dict[str, Portrait] = {}
        self._is_outdated = threading.Event()

    def outdate(self) -> None:
        """Abandon the reading in progress, if there is any: something else is wanted."""
        self._is_outdated.set()

    def renew(self) -> None:
        """Begin a reading that is wanted."""
        self._is_outdated.clear()

    @property
    def is_outdated(self) -> bool:
        """Whether something else is wanted than the reading that was begun last."""
        return self._is_outdated.is_set()

    def read(
        self, terms: Sequence[Term], order: str, width: int, without: Collection[str]
    ) -> Page | None:
        """Return the runs that match a filter, in an order, except those named in `without`.

        None if the reading was abandoned; settings that it has read are kept.
        """
        runs = [run for run in list_runs(self._folder) if run.name not in without]
        try:
            kept = select(runs, terms, self._settings_in_time)
        except _OutdatedError:
            return None
        except BadInput as error:
            return page_of(runs, runs, width, str(error), plain=self._plain)
        if order:
            kept = sort_runs(kept, order)
        return page_of(runs, kept, width, plain=self._plain)

    def portrait(self, run: RunSummary) -> Portrait:
        """Return a run with its settings and curves."""
        known = self._portraits.get(run.name)
        if known is None or known.summary != run:
            history = open_recording(RunDirectory(run.path)).history
            known = self._portraits[run.name] = Portrait(run, self._settings_of(run), history)
        return known

    def _settings_in_time(self, run: RunSummary) -> Mapping[str, Any]:
        if self.is_outdated:
            raise _OutdatedError
        return self._settings_of(run)

    def _settings_of(self, run: RunSummary) -> Mapping[str, Any]:
        known = self._settings.get(run.name)
        if known is None or known[0] != run:
            known = self._settings[run.name] = (run, settings_of(RunDirectory(run.path)))
        return known[1]


# The filter and the order of the list. A filter that is incomplete is not applied: all runs match.


class RunQuery:
    """Holds the filter and the order; it does not read anything itself."""

    def __init__(self) -> None:
        self.terms: list[Term] = []
        self.order = ""
        """One of `ORDERS`, or empty for the list's original order."""
        self.typo = ""
        """The filter's syntax error, which does not depend on the runs."""

    def type(self, text: str) -> None:
        """Take the filter as typed so far."""
        self.terms, self.typo = [], ""
        try:
            self.terms = parse_filter(text)
        except BadInput as error:
            self.typo = str(error)

    def turn_order(self) -> None:
        """Order by the next column; after the last one, return to the original order."""
        orders = ["", *ORDERS]
        self.order = orders[(orders.index(self.order) + 1) % len(orders)]

    def told(self, runs: Sequence[RunSummary], kept: Sequence[RunSummary], wrong: str) -> str:
        """Say how many runs there are, how many match, and their order; if `wrong`, count all."""
        live = sum(run.is_live for run in runs)
        told = f"{counted(len(runs), 'run')}, {live} live"
        if self.terms and not wrong:
            told = f"{len(kept)} of {told}"
        return f"{told}  by {self.order}" if self.order else told
