"""`Heading`: the top line of a screen, with what it is on the left and where it is on the right.

Layer: ui. Where there is too little room the left side is cut in its middle, so that both the
beginning of a name and the state behind it can still be read.
"""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from tui_trainer.text.cells import cut_end, cut_middle
from tui_trainer.text.clean import clean

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
