"""`Search`: a text looked for in a list of presets or in the fields, from the line it is typed in.

Layer: ui. What a list does not have is looked for in the fields: who types `/lr` means a setting,
wherever the focus is.
"""

from __future__ import annotations

from collections.abc import Callable

from textual.widget import Widget

from tui_trainer.text.clean import clean
from tui_trainer.ui.widgets.form import Form
from tui_trainer.ui.widgets.search import SearchBar
from tui_trainer.ui.widgets.shelf import PresetShelf

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
        """What is searched: a kind of preset, the fields, or nothing."""

    def begin(self) -> None:
        """Search in the list or in the fields, wherever the focus is."""
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
            where = f"no {self._target} matches, these fields do"
        elif self._target == FIELDS and text.strip() and not self._form.best_match(text):
            where = "no field matches"
        self._bar.tell(where)

    def _is_elsewhere(self, text: str) -> bool:
        """Filter the list; whether the text is of a field and of nothing in it."""
        if self._target == FIELDS:
            return False
        found = self._shelf.pane_of(self._target).filter(text)
        return bool(not found and self._form.best_match(text))

    def go(self, text: str) -> str:
        """Go to what was found; what to tell where it is not what was searched."""
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
        """Show everything again."""
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
