"""Reads the columns of a CSV table with a header, each as numbers or as codes of texts.

Layer: data. The file is read twice: the kind of a column is certain only after its last row, and
keeping a million rows as Python strings until then would take ten times the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.csv import Chunk, is_missing, read_chunks, to_numbers
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.number_forms import (
    COMMA_THOUSANDS,
    DECIMAL_COMMA,
    FORMS,
    FormSurvey,
    NumberForm,
)
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
    form: str = ""
    """The name of the form in which they are written, if not as in Python."""

    @property
    def kind(self) -> Kind:
        return "number"

    @property
    def missing(self) -> NDArray[np.bool_]:
        return np.isnan(self.values)

    def take(self, rows: NDArray[np.int64]) -> NumberColumn:
        return NumberColumn(self.values[rows], self.form)


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
    file: DataFile,
    header: Sequence[str],
    requested: Mapping[str, RequestedKind],
    *,
    classes: str = "",
    forms: Mapping[str, NumberForm] | None = None,
) -> Table:
    """Read the requested columns.

    Args:
        file: the table, and how it is written.
        header: the names of all columns.
        requested: the kinds of those that are wanted.
        classes: a column in which NA may be a class.
        forms: of columns whose numbers are known to have one.

    Raises:
        BadInput: a text among numbers or infinity, with its line; a column without values; a
            table without rows.
    """
    stated = forms or {}
    surveys = {
        name: _Survey(is_target=kind == "auto_target")
        for name, kind in requested.items()
        if kind != "category"
    }
    lines: list[int] = []
    for chunk, texts in _chunks(file, header):
        lines += chunk.lines
        for name, survey in surveys.items():
            survey.add(texts[name], chunk.lines, file.style.marks)
    if not lines:
        raise BadInput(f"{file.name}: a header but no rows")
    known = {
        name: stated.get(name) or survey.form_of(file, name) for name, survey in surveys.items()
    }
    kinds = {
        name: surveys[name].decide(file, name, known[name])
        if kind in ("auto", "auto_target")
        else cast(Kind, kind)
        for name, kind in requested.items()
    }
    columns, notes = _collect(file, header, kinds, known, classes)
    for name, survey in surveys.items():
        column = columns[name]
        if isinstance(column, TextColumn) and survey.numbers and not survey.texts:
            columns[name] = column = _of_numbers(column)
        if name not in stated:
            notes += survey.notes(clean(name, 80), column)
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
    forms: FormSurvey = field(default_factory=FormSurvey)

    def add(self, texts: Sequence[str], lines: Sequence[int], marks: frozenset[str] | None) -> None:
        numbers, foreign = to_numbers(texts, marks)
        self.numbers += int(np.count_nonzero(~np.isnan(numbers)))
        self.texts += len(foreign)
        if self.is_target and len(self.distinct) < 3:
            self.distinct.update(np.unique(numbers[~np.isnan(numbers)])[:3].tolist())
        self.forms.add(texts, foreign, lines)
        if foreign and not self.line:
            self.line, self.text = lines[foreign[0]], texts[foreign[0]]

    def form_of(self, file: DataFile, name: str) -> NumberForm | None:
        """Return the form of the numbers, None if they are as Python writes them, or none.

        Raises:
            BadInput: they may be two different numbers each.
        """
        style = file.style
        if not self.texts:
            return DECIMAL_COMMA if style.decimal == "comma" and self.numbers else None
        if not self.forms.possible:
            return None
        form = self.forms.decide(style.separator, style.decimal, style.thousands)
        if form is None and style.decimal == style.thousands == "auto":
            text = clean(self.forms.example, 40)
            shapes = (COMMA_THOUSANDS, DECIMAL_COMMA)
            one, other = (shape.plain(self.forms.example) for shape in shapes)
            raise BadInput(
                f"{file.name}:{self.forms.line}: column '{clean(name, 80)}' has {text!r}, which "
                f"may be {one} or {other}; set dataset.thousands=comma or dataset.decimal=comma"
            )
        return form

    def notes(self, shown: str, column: Column) -> list[str]:
        """Return a note if a column is not read as its first look suggests; `shown` names it."""
        if isinstance(column, NumberColumn):
            return [f"{shown}: {self._read_as(FORMS[column.form])}"] if column.form else []
        if not self.numbers:
            return []
        if self.texts:
            return [
                f"{shown}: read as categories, because line {self.line} has "
                f"{clean(self.text, 40)!r}; {self.numbers} of its values are numbers"
            ]
        return [
            f"{shown} is predicted as a class, because it has two values "
            f"({clean(', '.join(column.texts), 40)}); problem=regression predicts a number"
        ]

    def _read_as(self, form: NumberForm) -> str:
        text = self.forms.example or "numbers"
        plain = form.plain(text)
        example = f"{clean(text, 40)!r} in line {self.forms.line} is read as {plain}"
        return f"{example}: {form.description}" if plain else form.description

    def decide(self, file: DataFile, name: str, form: NumberForm | None) -> Kind:
        shown = clean(name, 80)
        if form is not None:
            return "number"
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


def _collect(
    file: DataFile,
    header: Sequence[str],
    kinds: Mapping[str, Kind],
    forms: Mapping[str, NumberForm | None],
    classes: str,
) -> tuple[dict[str, Column], list[str]]:
    """Return the columns, and a note if a text that may stand for a missing value is a class."""
    parts: dict[str, list[NDArray[np.float64]]] = {n: [] for n, k in kinds.items() if k == "number"}
    codes: dict[str, list[int]] = {n: [] for n, k in kinds.items() if k == "category"}
    books: dict[str, dict[str, int]] = {name: {} for name in codes}
    for chunk, texts in _chunks(file, header):
        for name, blocks in parts.items():
            blocks.append(_finite_numbers(file, name, chunk, texts[name], forms.get(name)))
        for name, book in books.items():
            values = [text.strip() for text in texts[name]]
            codes[name] += [book.setdefault(value, len(book)) for value in values]
    columns: dict[str, Column] = {}
    notes: list[str] = []
    for name, kind in kinds.items():
        if kind == "number":
            form = forms.get(name)
            columns[name] = NumberColumn(np.concatenate(parts[name]), form.name if form else "")
        else:
            marks = file.style.marks
            is_asked = name == classes and marks is None
            if is_asked and (kept := _class_like_a_gap(codes[name], books[name])):
                marks = frozenset(filter(is_missing, books[name])) - {kept}
                notes.append(
                    f"{clean(name, 80)}: {kept} is one of the classes; "
                    f"dataset.missing_values=[{kept}] takes it for a missing value"
                )
            columns[name] = _text_column(codes[name], books[name], marks)
    return columns, notes


def _class_like_a_gap(codes: list[int], book: Mapping[str, int]) -> str:
    """Return the text NA of a column of classes if it is one of them, or an empty string.

    It stands for a gap elsewhere, but it is also a continent, a country and a grade. Gaps are few:
    it is a class if at least as many rows have it as have the rarest other class.
    """
    counts = np.bincount(codes, minlength=len(book))
    others = [counts[code] for text, code in book.items() if not is_missing(text)]
    like_a_gap = [text for text in book if text.lower() == "na"]
    if len(like_a_gap) != 1 or not others or counts[book[like_a_gap[0]]] < min(others):
        return ""
    return like_a_gap[0]


def _finite_numbers(
    file: DataFile, name: str, chunk: Chunk, texts: Sequence[str], form: NumberForm | None
) -> NDArray[np.float64]:
    numbers, foreign = to_numbers(texts, file.style.marks, form)
    not_finite = [*foreign[:1], *np.flatnonzero(np.isinf(numbers))[:1].tolist()]
    if not_finite:
        position = min(not_finite)
        raise BadInput(
            f"{file.name}:{chunk.lines[position]}: column '{clean(name, 80)}' has "
            f"{clean(texts[position], 40)!r}, which is not a finite number"
            + (f" with {form.description}" if form is not None else "")
        )
    return numbers


def _of_numbers(column: TextColumn) -> TextColumn:
    """Return a column of numbers as texts, in which 1 and 1.0 are one text."""
    numbers, _ = to_numbers(column.texts)
    _, first, merged = np.unique(numbers, return_index=True, return_inverse=True)
    codes = np.append(merged.astype(np.int64), -1)[column.codes]
    return TextColumn(codes, tuple(column.texts[place] for place in first))


def _text_column(
    codes: list[int], book: Mapping[str, int], marks: frozenset[str] | None
) -> TextColumn:
    """Renumber codes so that missing values become -1."""
    renumbered = np.full(len(book), -1, dtype=np.int64)
    present = [text for text in book if not is_missing(text, marks)]
    for position, text in enumerate(present):
        renumbered[book[text]] = position
    return TextColumn(renumbered[np.array(codes, dtype=np.int64)], tuple(present))
