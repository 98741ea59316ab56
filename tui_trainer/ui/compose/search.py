"""`Search`: searches in a list of presets or in the fields; `SearchBar`: the line it is typed in.

Layer: ui. A text that the list does not contain is looked for in the fields: `/lr` means a setting,
wherever the focus is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.shelf import PresetShelf
from tui_trainer.ui.shared.text_input import TextInput

FIELDS = "field"


class Search:
    """The search of one compose screen."""

    def __init__(
        self, bar: SearchBar, shelf: PresetShelf, form: Form, enter: Callable[[Widget], object]
    ) -> None:
        self._bar = bar
        self._shelf = shelf
        self._form = form
        self._enter = enter
        self._target = ""
        """The part that is searched: a kind of preset, the fields, or an empty string."""

    def begin(self) -> None:
        """Start searching in the list that had the focus last, or in the fields if they have it."""
        target = FIELDS if self._form.has_focus_within else self._shelf.kind
        if self._target != target:
            self.end()
        self._target = target
        self._bar.screen.add_class("-searching")
        self._bar.open(f"search in the {target}s")

    def look_for(self, text: str) -> None:
        """Show what matches, in the list or else in the fields."""
        if not self._target:
            return
        is_elsewhere = self._is_elsewhere(text)
        self._form.filter(text if self._target == FIELDS or is_elsewhere else "")
        where = f"search in the {self._target}s"
        if is_elsewhere:
            where = f"no {self._target} matches, but these fields do"
        elif self._target == FIELDS and text.strip() and not self._form.best_match(text):
            where = "no field matches"
        self._bar.tell(where)

    def _is_elsewhere(self, text: str) -> bool:
        """Filter the list; return whether the text matches a field and nothing in the list."""
        if self._target == FIELDS:
            return False
        found = self._shelf.pane_of(self._target).filter(text)
        return bool(not found and self._form.best_match(text))

    def go(self, text: str) -> str:
        """Go to the match; return a message if it is not in the part that was searched."""
        target, key = self._target, self._form.best_match(text)
        if not text:
            self.end()
        elif self._is_elsewhere(text):
            self.end()
            self._form.focus_field(key)
            return f"no {target} matches {clean(text, 40)}: this is the field {clean(key, 80)}"
        elif target == FIELDS and key:
            self._form.focus_field(key)
            self._bar.tell("fields, esc shows all")
        else:
            self._focus_target()
            self._bar.tell(f"{target}s, esc shows all")
        return ""

    def end(self) -> None:
        """End the search and show everything again."""
        if not self._target:
            return
        self.look_for("")
        if self._bar.has_focus or self._bar.has_focus_within:
            self._focus_target()
        self._target = ""
        self._bar.close()
        self._bar.screen.remove_class("-searching")

    def _focus_target(self) -> None:
        in_fields = self._target == FIELDS
        self._enter(self._form if in_fields else self._shelf.pane_of(self._target))


# The line in which a search is typed. It does not know what is searched: the screen that opened it
# receives every change.


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
        self.screen.set_focus(self.query_one(Input))

    def tell(self, what: str) -> None:
        """Show a label that says where the search takes place."""
        shown = Content(clean(what, 60))
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
