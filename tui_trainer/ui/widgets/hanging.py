"""`Hanging`: lines whose later rows stand below their text, not below the margin.

Layer: ui. For lists of a word and what it means, where the meaning needs more than one row.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

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
