"""`DraftLine`: one line about a draft, as what was changed, or the command that does the same.

Layer: ui. What it says is a function of the draft; it paints only when that is something else.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content
from textual.widgets import Static

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.text.clean import clean
from tui_trainer.ui.widgets.details import changes_line


def changes_of(draft: Draft) -> Content:
    """The experiment that a draft began from, and what was changed since."""
    changes = draft.changes
    base = (clean(draft.base, 60), "bold")
    state = f"  modified: {changes_line(changes)}" if changes else "  as the preset has it"
    return Content.assemble("Experiment ", base, (state, "$foreground-muted"))


def command_of(draft: Draft) -> Content:
    """The command line that starts the same."""
    return Content.assemble(("$ ", "$foreground-muted"), clean(draft.command(), 2000))


class DraftLine(Static):
    """A line as wide as the screen; what is too long ends in dots."""

    DEFAULT_CSS = """
    DraftLine {
        width: 100%; height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """

    def __init__(self, text_of: Callable[[Draft], Content], *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._text_of = text_of

    def show(self, draft: Draft) -> None:
        """Say it of this draft."""
        text = self._text_of(draft)
        if self.content != text:
            self.update(text, layout=False)
