"""`Search`: searches in a list of presets or in the fields.

Layer: ui. A text that the list does not contain is looked for in the fields: `/lr` means a setting,
wherever the focus is.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from tui_trainer.text.clean import clean
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.shelf import PresetShelf
from tui_trainer.ui.shared.search_bar import SearchBar

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
            self._bar.tell("fields that match; esc shows all")
        else:
            self._focus_target()
            self._bar.tell(f"{target}s that match; esc shows all")
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
