"""Reads the columns of a CSV table with a header, each as numbers or as codes of texts.

Layer: data. The file is read twice: the kind of a column is certain only after its last row, and
keeping a million rows as Python strings until then would take ten times the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.csv import Chunk, is_missing, read_chunks, to_numbers
from tui_trainer.data.files.disk import DataFile
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

Kind = Literal["number", "category"]
RequestedKind = Kind | Literal["auto", "auto_target"]
"""`auto`: numbers if every value is one. `auto_target`: so too, but two numbers are categories."""

MOSTLY = 0.9
"""A column with at least this share of numbers is numeric, and any text in it an error."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """A column of finite numbers; NaN where a value is missing."""

    values: NDArray[np.float64]

    @property
    def kind(self) -> Kind:
        return "number"

    @property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.values)

    def take(self, rows: NDArray[np.int64]) -> NumberColumn:
        return NumberColumn(self.values[rows])


@dataclass(frozen=True, slots=True)
class TextColumn:
    """A column of texts as codes: positions in `texts`, -1 where a value is missing."""

    codes: NDArray[np.int64]
    texts: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        return "category"

    @property
    def missing(self) -> NDArray[np.bool_]:
        return self.codes < 0

    def take(self, rows: NDArray[np.int64]) -> TextColumn:
        """Return some rows, with only the texts that occur in them."""
        used, codes = np.unique(self.codes[rows], return_inverse=True)
        offset = int(len(used) > 0 and used[0] < 0)
        texts = tuple(self.texts[code] for code in used[offset:])
        return TextColumn(codes.astype(np.int64) - offset, texts)


Column = NumberColumn | TextColumn


@dataclass(frozen=True, slots=True)
class Table:
    """The requested columns, and the line each row begins in."""

    columns: dict[str, Column]
    lines: NDArray[np.int64]
    notes: tuple[str, ...]


def read_table(
    file: DataFile, header: Sequence[str], requested: Mapping[str, RequestedKind]
) -> Table:
    """Read the requested columns.

    Raises:
        BadInput: a text among numbers or infinity, with its line; a column without values; a
            table without rows.
    """
    surveys = {
        name: _Survey(is_target=kind == "auto_target")
        for name, kind in requested.items()
        if kind in ("auto", "auto_target")
    }
    lines: list[int] = []
    for chunk, texts in _chunks(file, header):
        lines += chunk.lines
        for name, survey in surveys.items():
            survey.add(texts[name], chunk.lines)
    if not lines:
        raise BadInput(f"{file.name}: a header but no rows")
    kinds: dict[str, Kind] = {
        name: surveys[name].decide(file, name) if name in surveys else kind  # type: ignore[misc]
        for name, kind in requested.items()
    }
    columns = _collect(file, header, kinds)
    notes = []
    for name, survey in surveys.items():
        column = columns[name]
        if not isinstance(column, TextColumn) or not survey.numbers:
            continue
        shown = clean(name, 80)
        if survey.texts:
            notes.append(
                f"{shown}: read as categories, because line {survey.line} has "
                f"{clean(survey.text, 40)!r}; {survey.numbers} of its values are numbers"
            )
        else:
            columns[name] = column = _of_numbers(column)
            notes.append(
                f"{shown} is predicted as a class, because it has two values "
                f"({clean(', '.join(column.texts), 40)}); problem=regression predicts a number"
            )
    return Table(columns, np.array(lines, dtype=np.int64), tuple(notes))


def _chunks(
    file: DataFile, header: Sequence[str]
) -> Iterator[tuple[Chunk, dict[str, tuple[str, ...]]]]:
    """Yield the chunks of a file, each with its columns by name."""
    expectation = f"but the header has {len(header)}"
    for chunk in read_chunks(file, len(header), expectation, header=True):
        columns = zip(*chunk.records, strict=True)
        yield chunk, dict(zip(header, columns, strict=True))


@dataclass(slots=True)
class _Survey:
    """Counts the numbers and texts of a column over all rows, and notes the first text."""

    is_target: bool = False
    distinct: set[float] = field(default_factory=set)
    """Of a target, some of its different numbers: all if they are two."""
    numbers: int = 0
    texts: int = 0
    line: int = 0
    text: str = field(default="")

    def add(self, texts: Sequence[str], lines: Sequence[int]) -> None:
        numbers, foreign = to_numbers(texts)
        self.numbers += int(np.count_nonzero(~np.isnan(numbers)))
        self.texts += len(foreign)
        if self.is_target and len(self.distinct) < 3:
            self.distinct.update(np.unique(numbers[~np.isnan(numbers)])[:3].tolist())
        if foreign and not self.line:
            self.line, self.text = lines[foreign[0]], texts[foreign[0]]

    def decide(self, file: DataFile, name: str) -> Kind:
        shown = clean(name, 80)
        if self.numbers + self.texts == 0:
            raise BadInput(
                f"{file.name}: column '{shown}' has no values at all; add it to dataset.drop"
            )
        if self.texts == 0:
            return "category" if len(self.distinct) == 2 else "number"
        if self.numbers >= MOSTLY * (self.numbers + self.texts):
            raise BadInput(
                f"{file.name}:{self.line}: column '{shown}' has {clean(self.text, 40)!r} among "
                "numbers; correct it, leave it empty, or name the column in dataset.categorical"
            )
        return "category"


def _collect(file: DataFile, header: Sequence[str], kinds: Mapping[str, Kind]) -> dict[str, Column]:
    parts: dict[str, list[NDArray[np.float64]]] = {n: [] for n, k in kinds.items() if k == "number"}
    codes: dict[str, list[int]] = {n: [] for n, k in kinds.items() if k == "category"}
    books: dict[str, dict[str, int]] = {name: {} for name in codes}
    for chunk, texts in _chunks(file, header):
        for name, blocks in parts.items():
            blocks.append(_finite_numbers(file, name, chunk, texts[name]))
        for name, book in books.items():
            values = [text.strip() for text in texts[name]]
            codes[name] += [book.setdefault(value, len(book)) for value in values]
    columns: dict[str, Column] = {}
    for name, kind in kinds.items():
        if kind == "number":
            columns[name] = NumberColumn(np.concatenate(parts[name]))
        else:
            columns[name] = _text_column(codes[name], books[name])
    return columns


def _finite_numbers(
    file: DataFile, name: str, chunk: Chunk, texts: Sequence[str]
) -> NDArray[np.float64]:
    numbers, foreign = to_numbers(texts)
    not_finite = [*foreign[:1], *np.flatnonzero(np.isinf(numbers))[:1].tolist()]
    if not_finite:
        position = min(not_finite)
        raise BadInput(
            f"{file.name}:{chunk.lines[position]}: column '{clean(name, 80)}' has "
            f"{clean(texts[position], 40)!r}, which is not a finite number"
        )
    return numbers


def _of_numbers(column: TextColumn) -> TextColumn:
    """Return a column of numbers as texts, in which 1 and 1.0 are one text."""
    numbers, _ = to_numbers(column.texts)
    _, first, merged = np.unique(numbers, return_index=True, return_inverse=True)
    codes = np.append(merged.astype(np.int64), -1)[column.codes]
    return TextColumn(codes, tuple(column.texts[place] for place in first))


def _text_column(codes: list[int], book: Mapping[str, int]) -> TextColumn:
    """Renumber codes so that missing values become -1."""
    renumbered = np.full(len(book), -1, dtype=np.int64)
    present = [text for text in book if not is_missing(text)]
    for position, text in enumerate(present):
        renumbered[book[text]] = position
    return TextColumn(renumbered[np.array(codes, dtype=np.int64)], tuple(present))
