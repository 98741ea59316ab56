"""`SearchBar`: the line in which the search for presets or fields is typed.

Layer: ui. It knows nothing of what is searched: whoever opened it hears every change.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from tui_trainer.text.clean import clean
from tui_trainer.ui.widgets.text_input import TextInput


class SearchBar(Horizontal):
    """Hidden until it is opened; enter leaves it with its text in force."""

    DEFAULT_CSS = """
    SearchBar { height: 1; padding: 0 1; display: none; }
    SearchBar .what { width: auto; margin-right: 1; color: $text-primary; }
    SearchBar Input { width: 1fr; }
    """

    @dataclass
    class Searched(Message):
        """Another text is searched for; an empty one finds everything."""

        text: str

    @dataclass
    class Left(Message):
        """Enter was pressed: the focus should go to what was found."""

        text: str

    def __init__(self, hint: str = "type a word; enter goes there, esc ends the search") -> None:
        super().__init__()
        self._hint = hint

    def compose(self) -> ComposeResult:
        yield Static(classes="what", markup=False)
        line = TextInput(compact=True, placeholder=self._hint)
        # What was typed faster than the focus came would be selected, and replaced by the rest.
        line.select_on_focus = False
        yield line

    def open(self, what: str) -> None:
        """Let the user type, as `search in the models`."""
        self.tell(what)
        # At once, and not when the next message is done: what is typed on is for the search.
        self.display = True
        self.screen.set_focus(self.query_one(Input))

    def tell(self, what: str) -> None:
        """Say where it is searched."""
        shown = Content(clean(what, 60))
        line = self.query_one(Static)
        if line.content != shown:
            line.update(shown)

    def close(self) -> None:
        """Forget the text, and go away."""
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Searched(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Left(event.value.strip()))
