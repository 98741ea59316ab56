"""`TextInput`: the line of text that every form, dialog and search of the app uses.

Layer: ui. Text from keys, a paste or the clipboard passes through `replace`, which cleans it. A
value set by the program may come from a file, so it is masked again when it is drawn.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.highlighter import Highlighter
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.widgets import Input

from tui_trainer.text.clean import masked, typed

EDITS = {it.action for it in Input.BINDINGS if isinstance(it, Binding)}
"""The editing actions of an input's own keys; scrolling, which it inherits, is left to the form."""


class Masked(Highlighter):
    """Draws control, escape and bidi characters as visible ones, without changing the length."""

    def highlight(self, text: Text) -> None:
        """Mask in place; Textual passes in a copy."""
        text.plain = masked(text.plain)


class TextInput(Input):
    """An `Input` that takes no invisible characters, and shows its beginning when not focused."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        max_length: int = 0,
        compact: bool = False,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            max_length=max_length,
            compact=compact,
            highlighter=Masked(),
            validate_on=(),
            id=id,
            classes=classes,
        )

    async def _on_key(self, event: events.Key) -> None:
        """Handle editing keys at once, so that they take effect in the order they were typed.

        Textual looks a key up only after it has bubbled up to the app. Letters that arrive together
        with it, as on a slow line, are in the text by then, and ctrl+u would delete them.
        """
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if binding.action in EDITS:
                event.stop()
                event.prevent_default()
                await self.run_action(binding.action)

    def replace(self, text: str, start: int, end: int) -> None:
        """Replace a range by the visible characters of `text`."""
        super().replace(typed(text), start, end)

    def watch_has_focus(self, has_focus: bool) -> None:
        """Scroll to the cursor, or to the beginning when the focus is lost."""
        super().watch_has_focus(has_focus)
        self._show_what_matters()

    def watch_selection(self) -> None:
        """Scroll again: the cursor also moves when another part of the app sets the value."""
        self._show_what_matters()

    def _show_what_matters(self) -> None:
        if not self.size:
            return
        # The cursor itself does not move: when a terminal regains the focus, typing continues
        # there.
        at = cell_len(self.value[: self.cursor_position]) if self.has_focus else 0
        self.scroll_to_region(Region(at, 0, width=1, height=1), force=True, animate=False)
