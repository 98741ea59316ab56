"""`DetailsScreen`: a text that is too long for its place, over the screen, to be scrolled and read.

Layer: ui. The text is a `Content`: whoever makes it has cleaned what is foreign.
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


class DetailsScreen(ModalScreen[None]):
    """Any of escape, enter, q and d closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,d,f4", "close", "Close"),
        Binding("j", "scroll('down')", "Down", show=False),
        Binding("k", "scroll('up')", "Up", show=False),
    ]
    DEFAULT_CSS = """
    DetailsScreen { align: center middle; }
    DetailsScreen VerticalScroll {
        width: 90%; max-width: 110; height: auto; max-height: 90%;
        border: round $primary; border-title-color: $text-primary; padding: 0 1;
        background: $surface; scrollbar-size-vertical: 1;
    }
    DetailsScreen.-error VerticalScroll { border: round $error; }
    DetailsScreen Static { width: 100%; height: auto; }
    """

    def __init__(self, title: str, text: Content, *, is_error: bool = False) -> None:
        super().__init__(classes="-error" if is_error else "")
        self._title = clean(title, 100)
        self._text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "esc closes"
            yield Static(self._text)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_close(self) -> None:
        """Go back to the screen beneath."""
        self.dismiss(None)

    def action_scroll(self, where: str) -> None:
        """Scroll by a line."""
        box = self.query_one(VerticalScroll)
        (box.scroll_down if where == "down" else box.scroll_up)(animate=False)
