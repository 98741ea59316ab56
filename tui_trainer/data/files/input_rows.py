"""`InputRows`: the rows of a table as they are written, to be repeated beside their predictions.

Layer: data. A cell is the text in the file, before numbers or gaps are looked for, or characters
are normalised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.csv import Records
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import rows_as_written


@dataclass(frozen=True, slots=True, eq=False)
class InputRows:
    """The rows of a file that was read without an error."""

    header: tuple[str, ...]
    read: Callable[[], Iterator[list[str]]]
    """Yields the cells of each row below the header; those with types have `Literal`."""
    samples: NDArray[np.int64] | None = None
    """(rows,) the sample that each row is a part of; None: each row is a sample."""


def rows_of_table(
    file: DataFile, names: Sequence[str], samples: NDArray[np.int64] | None = None
) -> InputRows:
    """Return the rows of a table; `names` are those of its columns, for one without a header."""
    if file.style.format != "csv":
        return InputRows(tuple(names), lambda: _typed_records(file, names), samples)
    if not file.style.has_header:
        return InputRows(tuple(names), lambda: _records(file), samples)
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
    as_written = replace(file, style=replace(file.style, is_normalised=False))
    # Only after the last row a line may be empty.
    return (record for _, record in Records(as_written) if record)


def _typed_records(file: DataFile, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the cells of a table that has types, as texts; empty where they have no text."""
    unchanged = replace(file, style=replace(file.style, is_normalised=False))
    for rows in rows_as_written(unchanged, names, names):
        columns = []
        for name in names:
            texts, codes = rows.distinct(name)
            columns.append([texts[code] for code in codes])
        yield from (list(cells) for cells in zip(*columns, strict=True))
