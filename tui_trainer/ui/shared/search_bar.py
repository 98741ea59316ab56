"""`SearchBar`: the line in which a search or a filter is typed.

Layer: ui. It does not know what is searched: the screen that opened it receives every change.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui_trainer.text.clean import clean
from tui_trainer.ui.shared.text_input import TextInput


class SearchBar(Horizontal):
    """Hidden until it is opened; enter leaves it with its text still applied."""

    DEFAULT_CSS = """
    SearchBar { height: 1; padding: 0 1; display: none; }
    SearchBar .what { width: auto; margin-right: 1; color: $text-primary; }
    SearchBar Input { width: 1fr; }
    """

    @dataclass
    class Searched(Message):
        """Posted when the text has changed; an empty text matches everything."""

        text: str

    @dataclass
    class Left(Message):
        """Posted when enter was pressed: the focus should move to what was found."""

        text: str

    def __init__(self, hint: str = "type a word; enter goes there, esc ends the search") -> None:
        super().__init__()
        self._hint = hint

    def compose(self) -> ComposeResult:
        yield Static(classes="what", markup=False)
        line = TextInput(compact=True, placeholder=self._hint)
        # Otherwise text typed before the focus arrived would be selected, and replaced by the rest.
        line.select_on_focus = False
        yield line

    def open(self, what: str) -> None:
        """Open the line with a label such as `search in the models`."""
        self.tell(what)
        # Immediately, not after the next message: keys typed from now on belong to the search.
        self.display = True
        line = self.query_one(Input)
        self.screen.set_focus(line)
        # The text of a search that was left is replaced by the next one.
        line.select_all()

    def tell(self, what: str) -> None:
        """Show a label that says where the search takes place."""
        shown = Content(f"{clean(what, 60)}:")
        line = self.query_one(Static)
        if line.content != shown:
            line.update(shown)

    def close(self) -> None:
        """Clear the text and hide the line."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Searched(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left(event.value.strip()))
