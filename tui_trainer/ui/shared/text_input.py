"""`TextInput`: the one line of text that every form, dialog and search of the app is typed into.

Layer: ui. Whatever comes in by a key, a paste or the clipboard passes `replace`; a value that was
set by the program may be of a file, so it is masked once more where it is drawn.
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
"""What a line of text does by its keys; scrolling, which its kind inherits, is the form's."""


class Masked(Highlighter):
    """Draws no control, escape or bidi mark, and as many characters as there are."""

    def highlight(self, text: Text) -> None:
        """Mask in place; what Textual highlights is a copy."""
        text.plain = masked(text.plain)


class TextInput(Input):
    """An `Input` that takes no invisible characters, and without the focus shows its beginning."""

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
        """Edit in the order of the keys.

        Textual looks a key up when it has come back up to the app. Letters that arrive in one piece
        with it, as on a slow line, are in the text by then, and ctrl+u would take them away.
        """
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if binding.action in EDITS:
                event.stop()
                event.prevent_default()
                await self.run_action(binding.action)

    def replace(self, text: str, start: int, end: int) -> None:
        """Put what can be seen of a text in the place of another."""
        super().replace(typed(text), start, end)

    def watch_has_focus(self, has_focus: bool) -> None:
        """Show the cursor, or without it the beginning."""
        super().watch_has_focus(has_focus)
        self._show_what_matters()

    def watch_selection(self) -> None:
        """A value that another part of the app sets moves the cursor too."""
        self._show_what_matters()

    def _show_what_matters(self) -> None:
        if not self.size:
            return
        # The cursor stays where it is: a terminal that lost the focus gives it back.
        at = cell_len(self.value[: self.cursor_position]) if self.has_focus else 0
        self.scroll_to_region(Region(at, 0, width=1, height=1), force=True, animate=False)
