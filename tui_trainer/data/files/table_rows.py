"""`Rows`: consecutive rows of a table, as a reader of some format yields them.

Layer: data. Every cell is a text first. What a column is can be said only after its last row, so
rows are asked for numbers or texts by whoever collects a column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cell_values import to_numbers
from tui_trainer.data.files.disk import DataFile

EXACT = 2.0**53
"""Whole numbers of at least this size may not be the ones that float64 holds."""


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


class TableReader(Protocol):
    """Reads some columns of a file."""

    def rows(self) -> Iterator[Rows]:
        """Yield the rows; BadInput names the line of what cannot be read."""


class RecordRows:
    """Rows as texts of Python; implements `Rows`."""

    def __init__(
        self,
        lines: Sequence[int],
        columns: dict[str, tuple[str, ...]],
        file: DataFile,
        share: float,
    ) -> None:
        self.lines = np.array(lines, dtype=np.int64)
        self.share = share
        self._columns = columns
        self._file = file

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        texts = self._columns[name]
        values, foreign = to_numbers(texts, self._file.style.marks)
        return None if foreign else values

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        book: dict[str, int] = {}
        codes = [book.setdefault(text, len(book)) for text in self._columns[name]]
        return [*book], np.array(codes, dtype=np.int64)

    def text(self, name: str, row: int) -> str:
        return self._columns[name][row]

    def has_point(self, name: str) -> bool:
        return any("." in text for text in self._columns[name])
