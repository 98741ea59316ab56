"""`Heading`: the top line of a screen, with what it is on the left and where it is on the right.

Layer: ui. Where there is too little room the left side is cut in its middle, so that both the
beginning of a name and the state behind it can still be read.
"""

from __future__ import annotations

from rich.cells import cell_len, chop_cells
from textual.content import Content
from textual.widget import Widget

from tui_trainer.config.text import clean

FEWEST_ON_THE_LEFT = 20


class Heading(Widget):
    """One line; both texts are cleaned and shown as they are, never as markup."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    Heading {
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $foreground;
    }
    """

    def __init__(self, left: str = "", right: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.left = clean(left)
        self.right = clean(right)

    def show(self, left: str, right: str) -> None:
        """Show other texts; nothing is drawn when they are the same."""
        texts = (clean(left), clean(right))
        if texts != (self.left, self.right):
            self.left, self.right = texts
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        left, right = fitted(self.left, self.right, width)
        gap = " " * max(0, width - cell_len(left) - cell_len(right))
        return Content.assemble((left, "bold $text-primary"), gap, right)


def fitted(left: str, right: str, width: int) -> tuple[str, str]:
    """Both texts cut so that they stand in `width` cells with two cells between them."""
    room = max(0, width - cell_len(right) - 2) if right else width
    left = cut_middle(left, max(room, min(FEWEST_ON_THE_LEFT, width)))
    return left, cut_end(right, max(0, width - cell_len(left) - 2))


def cut_end(text: str, width: int) -> str:
    """The text in at most `width` cells, with an ellipsis at its end where it was cut."""
    if cell_len(text) <= width:
        return text
    return _first_cells(text, width - 1) + "…" if width > 0 else ""


def cut_middle(text: str, width: int) -> str:
    """The text in at most `width` cells, with an ellipsis in its middle where it was cut."""
    if cell_len(text) <= width:
        return text
    if width < 5:
        return cut_end(text, width)
    tail = _first_cells(text[::-1], (width - 1) // 2)[::-1]
    return _first_cells(text, width - 1 - cell_len(tail)) + "…" + tail


def _first_cells(text: str, width: int) -> str:
    """As many first characters as fit in `width` cells."""
    if width < 1:
        return ""
    # Of a wide character that does not fit, chop_cells makes a piece of its own.
    first = chop_cells(text, width)[0] if text else ""
    return first if cell_len(first) <= width else ""
