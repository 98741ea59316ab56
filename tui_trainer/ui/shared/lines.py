"""`Heading`: the top line of a screen, with what it is on the left and where it is on the right.

Layer: ui. Where there is too little room the left side is cut in its middle, so that both the
beginning of a name and the state behind it can still be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Size
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


# `Hanging`: lines whose later rows stand below their text, not below the margin.
#
# For lists of a word and what it means, where the meaning needs more than one row.


Line = tuple[Content, Content]
"""What stands in front, once; and the text, which is wrapped."""
FEWEST_CELLS = 8
"""Of the text in a row, however narrow it is."""


def hanging(head: Content, text: Content, width: int) -> list[Content]:
    """A line in rows of a width."""
    indent = head.cell_length
    rows = text.wrap(max(width - indent, FEWEST_CELLS)) or [Content("")]
    below = Content(" " * indent)
    return [(head if index == 0 else below) + row for index, row in enumerate(rows)]


class Hanging(Widget):
    """Lines that are wrapped anew at each width."""

    DEFAULT_CSS = "Hanging { width: 100%; height: auto; }"

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines

    def _rows(self, width: int) -> list[Content]:
        return [row for head, text in self._lines for row in hanging(head, text, width)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def render(self) -> Content:
        return Content("\n").join(self._rows(self.content_size.width))
