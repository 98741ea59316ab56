"""Text lines that fit their width: `Heading`, a screen's top line, and `Hanging`, wrapped lists.

Layer: ui. When there is too little room, the left side of a heading is cut in its middle, so that
both the beginning of a name and the state after it can still be read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui_trainer.runs.states import ColourRole
from tui_trainer.text.cells import cut_end, cut_middle
from tui_trainer.text.clean import clean

FEWEST_ON_THE_LEFT = 20


def colour_of(role: ColourRole) -> str:
    """Return the theme's colour for a role, a different one for each.

    The accent of several themes is their warning or their success.
    """
    return "$text-primary" if role == "accent" else f"$text-{role}"


class Heading(Widget):
    """One line; both texts are cleaned, and never interpreted as markup."""

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
        self._role: ColourRole | None = None

    def show(self, left: str, right: str, role: ColourRole | None = None) -> None:
        """Show new texts; redraw only if they differ. `role` colours the sign that comes first."""
        shown = (clean(left), clean(right), role)
        if shown != (self.left, self.right, self._role):
            self.left, self.right, self._role = shown
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        left, right = fitted(self.left, self.right, width)
        gap = " " * max(0, width - cell_len(left) - cell_len(right))
        text = Content.assemble((left, "bold $text-primary"), gap, right)
        return text if self._role is None else text.stylize(f"bold {colour_of(self._role)}", 0, 1)


def fitted(left: str, right: str, width: int) -> tuple[str, str]:
    """Cut both texts so that they fit into `width` cells with two cells between them."""
    room = max(0, width - cell_len(right) - 2) if right else width
    left = cut_middle(left, max(room, min(FEWEST_ON_THE_LEFT, width)))
    return left, cut_end(right, max(0, width - cell_len(left) - 2))


# Lists of a word and its meaning: further rows of a line are indented to the meaning.


Line = tuple[Content, Content]
"""The word in front, and the text that is wrapped."""
FEWEST_CELLS = 8
"""The text gets at least so many cells per row, however narrow the widget is."""


def hanging(head: Content, text: Content, width: int) -> list[Content]:
    """Wrap a line into rows of `width` cells."""
    indent = head.cell_length
    rows = text.wrap(max(width - indent, FEWEST_CELLS)) or [Content("")]
    below = Content(" " * indent)
    return [(head if index == 0 else below) + row for index, row in enumerate(rows)]


class Hanging(Widget):
    """Lines that are wrapped to the current width."""

    DEFAULT_CSS = "Hanging { width: 100%; height: auto; }"

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self._lines = lines

    def show(self, lines: Sequence[Line]) -> None:
        """Show other lines."""
        self._lines = lines
        self.refresh(layout=True)

    def _rows(self, width: int) -> list[Content]:
        return [row for head, text in self._lines for row in hanging(head, text, width)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self._rows(width))

    def render(self) -> Content:
        return Content("\n").join(self._rows(self.content_size.width))
