"""`RunTable`: the titles and lines of the runs, or why there are none.

Layer: ui. It shows pages that were read elsewhere.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.widgets import Static

from tui_trainer.ui.runs.run_list import Page, RunList

FIRST_WORDS = "no runs here yet; start one in compose, or with tui-trainer train"


class RunTable(Container):
    """Its list is `runs`, which should have the focus; it is empty until the first page."""

    DEFAULT_CSS = """
    RunTable { height: 1fr; }
    RunTable #titles { height: 1; padding: 0 1; color: $text-muted; }
    RunTable #none { padding: 1 2; height: auto; display: none; }
    RunTable OptionList { height: 1fr; padding: 0 1; background: $background; }
    RunTable OptionList, RunTable OptionList:focus { border: none; text-wrap: nowrap; }
    """

    def __init__(self, *, plain: bool) -> None:
        super().__init__()
        self.runs = RunList(plain=plain)

    def compose(self) -> ComposeResult:
        yield Static(id="titles", markup=False)
        yield Static(id="none", markup=False)
        # Never hidden: the focus could not move from the filter line to a hidden list.
        yield self.runs

    def show(self, page: Page) -> None:
        """Show a page; the cursor and the marks stay on their runs."""
        self.runs.show(page)
        self.query_one("#titles", Static).update(Content(page.titles))
        none = self.query_one("#none", Static)
        none.display = not page.kept
        none.update(Content("no run matches; esc shows all" if page.runs else FIRST_WORDS))
