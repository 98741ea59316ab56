"""`FinalTestLine`: the progress of the test at the end of a run, shown below that of the training.

Layer: ui. Like the line above it, it moves with the run and is never animated.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from tui_trainer.runs.view import FinalTest, RunView
from tui_trainer.text.cells import cut_end
from tui_trainer.text.clean import clean
from tui_trainer.ui.run.state_label import bar

LEAST_BAR = 10


def what_is_measured(test: FinalTest) -> str:
    """Say what is measured now, how much of it there is, and what comes after it."""
    if not test.part:
        return ""
    size = f", {test.total:,} {clean(test.unit, 20)}" if test.total else ""
    then = f", {clean(test.following, 80)}" if test.following else ""
    return f"{clean(test.part, 80)}{size}{then}"


class FinalTestLine(Static):
    """One line, only during the test: the bar of what is measured now, what it is, what follows."""

    DEFAULT_CSS = """
    FinalTestLine { height: 1; padding: 0 1; display: none; }
    FinalTestLine.-testing { display: block; }
    """

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__("", markup=False)
        self._plain = plain
        self._view = RunView()
        self._shown: tuple[object, ...] = ()

    def look(self, view: RunView) -> None:
        """Show the progress, or nothing if the run is not testing."""
        self._view = view
        is_testing = view.state == "testing"
        self.set_class(is_testing, "-testing")
        width = self.content_size.width
        test = view.final_test
        shown = (test.part, test.done, test.elapsed_s, width)
        if not is_testing or shown == self._shown:
            return
        self._shown = shown
        share = "" if test.share is None else f" {test.share * 100:3.0f} %"
        label = "testing "
        room = width - cell_len(label + share) - 2
        text = cut_end(what_is_measured(test), max(room - LEAST_BAR, 0))
        parts = [(label, "$foreground-muted")]
        if test.share is not None:
            done, rest = bar(test.share, room - cell_len(text), plain=self._plain)
            parts += [(done, "$primary"), (rest, "$foreground-muted")]
        self.update(Content.assemble(*parts, share, "  ", text), layout=False)

    def on_resize(self) -> None:
        self.look(self._view)
