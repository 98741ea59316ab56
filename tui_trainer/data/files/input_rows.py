"""`InputRows`: the rows of a table as they are written, to be repeated beside their predictions.

Layer: data. A cell is the text in the file, before numbers or gaps are looked for, or characters
are normalised.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.content import decoded_lines
from tui_trainer.data.files.disk import DataFile


@dataclass(frozen=True, slots=True, eq=False)
class InputRows:
    """The rows of a file that was read without an error."""

    header: tuple[str, ...]
    read: Callable[[], Iterator[list[str]]]
    """Yields the cells of each row below the header."""
    samples: NDArray[np.int64] | None = None
    """(rows,) the sample that each row is a part of; None: each row is a sample."""


def rows_of_table(file: DataFile, samples: NDArray[np.int64] | None = None) -> InputRows:
    """Return the rows of a table that begins with a header."""
    header = tuple(next(_records(file)))

    def read() -> Iterator[list[str]]:
        records = _records(file)
        next(records)
        return records

    return InputRows(header, read, samples)


def rows_without_header(file: DataFile, header: tuple[str, ...]) -> InputRows:
    """Return the rows of a file that has no header, under names that are given."""
    return InputRows(header, lambda: _records(file))


def _records(file: DataFile) -> Iterator[list[str]]:
    reader = csv.reader(decoded_lines(file.content), strict=True, delimiter=file.style.separator)
    # Only after the last row a line may be empty.
    return (record for record in reader if record)
