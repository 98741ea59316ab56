"""`Rows`: consecutive rows of a table, as a reader of some format yields them.

Layer: data. Every cell is a text first. What a column is can be said only after its last row, so
rows are asked for numbers or texts by whoever collects a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.csv import to_numbers


class Rows(Protocol):
    """Some rows; all have the columns that were asked for."""

    lines: NDArray[np.int64]
    """The line that each begins in."""
    share: float
    """The share of the file that has been read with them."""

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """Return the numbers of a column, NaN for missing values; None if it may have texts."""

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        """Return the texts of a column in the order in which they first occur, and their places.

        Not all texts need to be different.
        """

    def text(self, name: str, row: int) -> str:
        """Return a cell."""

    def has_point(self, name: str) -> bool:
        """Whether a cell of a column of numbers has a point."""


class RecordRows:
    """Rows as the careful reader reads them; implements `Rows`."""

    def __init__(
        self,
        lines: Sequence[int],
        columns: dict[str, tuple[str, ...]],
        marks: frozenset[str] | None,
        share: float,
    ) -> None:
        self.lines = np.array(lines, dtype=np.int64)
        self.share = share
        self._columns = columns
        self._marks = marks

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        values, foreign = to_numbers(self._columns[name], self._marks)
        return None if foreign else values

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        book: dict[str, int] = {}
        codes = [book.setdefault(text, len(book)) for text in self._columns[name]]
        return [*book], np.array(codes, dtype=np.int64)

    def text(self, name: str, row: int) -> str:
        return self._columns[name][row]

    def has_point(self, name: str) -> bool:
        return any("." in text for text in self._columns[name])
