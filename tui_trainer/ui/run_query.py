"""`RunQuery`: what is wanted of a folder's runs: those that fit a filter, in an order.

Layer: ui, without Textual. A filter that is half typed is no filter yet: all runs fit it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.runs.filters import Term, parse_filter
from tui_trainer.runs.index import ORDERS, RunSummary
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted


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
