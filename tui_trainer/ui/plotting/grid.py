"""Which panels are shown, and where: all at once where there is room, one where there is not.

Layer: ui, pure functions of the room and of the panels.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_SMALL = 4
LEAST_WIDTH = 60
"""Of a grid; with less, there is one panel at a time."""
NARROWEST_SMALL, LOWEST_SMALL, LOWEST_LARGE = 30, 8, 10


@dataclass(frozen=True, slots=True)
class Grid:
    """The panels that are shown, the first one over the whole width, the others in rows below."""

    shown: tuple[int, ...]
    columns: int = 1
    rows: int = 0

    def span(self, index: int) -> int:
        """How many columns a panel takes; a last row that is not full is filled by its last."""
        if index == self.shown[0]:
            return self.columns
        spare = self.columns * self.rows - len(self.shown) + 1
        return 1 + spare if index == self.shown[-1] else 1


def grid_for(width: int, height: int, panels: int, chosen: int) -> Grid:
    """The first panel large and up to four small, the chosen one among them; or that one alone."""
    columns = width // NARROWEST_SMALL
    rows = (height - LOWEST_LARGE) // LOWEST_SMALL
    most = min(MOST_SMALL, columns * rows) if width >= LEAST_WIDTH and rows > 0 else 0
    small = list(range(1, panels))[:most]
    if not small:
        return Grid((chosen,))
    small[-1] = max(small[-1], chosen)
    columns = min(columns, len(small))
    return Grid((0, *small), columns, -(-len(small) // columns))
