"""`Confirm`: asks one question before something that cannot be undone.

Layer: ui. Keys that are pressed by habit give the harmless answer: only `y` says yes.
"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_trainer.text.clean import clean


class Confirm(ModalScreen[bool]):
    """Returns True for `y`; enter, escape and `n` change nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter", "answer(False)", "No"),
    ]
    DEFAULT_CSS = """
    Confirm { align: center middle; }
    Confirm > VerticalScroll {
        width: 72; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; background: $surface; padding: 0 1;
    }
    Confirm Static { height: auto; }
    """

    def __init__(self, title: str, text: str, yes: str, no: str = "keep it") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True) as box:
            box.border_title = Content(clean(self._title, 66))
            yield Static(clean(self._text, 1000, multiline=True), markup=False)
            yield Static(Content.assemble(("y   ", "bold"), self._yes))
            yield Static(Content.assemble(("esc ", "bold"), self._no))

    def action_answer(self, answer: bool) -> None:
        """Close the dialog with an answer."""
        self.dismiss(answer)
