"""`FieldsBox`: the frame of a dialog that asks for a few texts, one per row, with labels.

Layer: ui. A row is a `Horizontal` with a `Static` and an `Input`; what is wrong with a field has
the class `wrong`.
"""

from __future__ import annotations

from textual.containers import VerticalScroll
from textual.content import Content


class FieldsBox(VerticalScroll, can_focus=False):
    """A box with a title, and the keys that answer in its lower border."""

    DEFAULT_CSS = """
    FieldsBox {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; border-title-color: $text; border-subtitle-color: $foreground-muted;
        background: $surface; padding: 0 1;
    }
    FieldsBox Static { height: auto; min-height: 1; }
    FieldsBox Horizontal { height: 1; }
    FieldsBox Horizontal Static { width: 9; }
    FieldsBox Input { width: 1fr; }
    FieldsBox .wrong { color: $text-error; }
    """

    def __init__(self, title: str, keys: str) -> None:
        super().__init__()
        self.border_title = Content(title)
        self.border_subtitle = Content(keys)
