"""`read_table`: reads columns of a table, each as numbers or as codes of texts.

Layer: data. The kind of a column is certain only after its last row. Until then it is collected as
what it seems to be, and only a column that turns out to be something else is read a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.base.threads import made_ahead
from tui_trainer.data.files.arrow import why_no_arrow
from tui_trainer.data.files.cell_values import is_missing, to_numbers
from tui_trainer.data.files.column_values import (
    ColumnValues,
    GrowingArray,
    NumberValues,
    TextValues,
)
from tui_trainer.data.files.columns import (
    Column,
    Kind,
    NumberColumn,
    RequestedKind,
    Table,
    TextColumn,
)
from tui_trainer.data.files.content import check_unchanged
from tui_trainer.data.files.csv_blocks import LITTLE_BYTES, CsvReader
from tui_trainer.data.files.disk import DataFile, TableFormat
from tui_trainer.data.files.json_lines import JsonLinesReader
from tui_trainer.data.files.number_forms import NumberForm
from tui_trainer.data.files.parquet import ParquetReader
from tui_trainer.data.files.table_cache import keep_table, key_for, load_table
from tui_trainer.data.files.table_rows import Rows, TableReader
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

MakeReader = Callable[[DataFile, Sequence[str], Collection[str]], TableReader]
FROM_CACHE = "read from the cache of tables (tui-trainer cache)"
READERS: dict[TableFormat, MakeReader] = {
    "csv": CsvReader,
    "json lines": JsonLinesReader,
    "parquet": ParquetReader,
}
Forms = Mapping[str, NumberForm | None]
Reader = Callable[[Collection[str]], Iterator[Rows]]


@dataclass(frozen=True, slots=True)
class NewRequests:
    """The requests a run may have made when it was new; the cache has its table under one."""

    kinds: Sequence[Mapping[str, RequestedKind]]
    """The kinds of the columns, in ways that depend on what was stated."""
    classes: str
    """The column in which NA might be a class."""


def rows_as_written(
    file: DataFile, header: Sequence[str], names: Collection[str]
) -> Iterator[Rows]:
    """Yield some columns with every cell as it is in the file; a list or object is no error."""
    style = replace(file.style, keeps_literals=True)
    return READERS[file.style.format](replace(file, style=style), header, names).rows()


def read_table(
    file: DataFile,
    header: Sequence[str],
    requested: Mapping[str, RequestedKind],
    *,
    classes: str = "",
    forms: Mapping[str, NumberForm] | None = None,
    new: NewRequests | None = None,
) -> Table:
    """Read the requested columns.

    Args:
        file: the table, and how it is written.
        header: the names of all columns.
        requested: the kinds of those that are wanted.
        classes: a column in which NA may be a class.
        forms: of columns whose numbers are known to have one.
        new: for a run that goes on, what it may have requested when it was new.

    Raises:
        BadInput: a text among numbers or infinity, with its line; a column without values; a
            table without rows.
    """
    key = key_for(file, header, requested, classes, forms or {})
    if key is not None and (cached := load_table(key)) is not None:
        return replace(cached, notes=(*cached.notes, FROM_CACHE), cache_name=key.name)
    if key is not None and new is not None:
        for kinds in new.kinds:
            then = key_for(file, header, kinds, new.classes, {})
            whole = None if then is None else load_table(then)
            if then is None or whole is None or not _has_classes(whole, new.classes, classes):
                continue
            if (table := _as_requested(whole, kinds, requested)) is not None:
                return replace(table, cache_name=then.name)
    reader = READERS[file.style.format]
    table = collect_table(
        lambda wanted: reader(file, header, wanted).rows(), file, requested, classes, forms
    )
    check_unchanged(file.content)
    cache_notes = [] if key is None else keep_table(key, file, table)
    notes = (*table.notes, *_slow_note(file), *cache_notes)
    return replace(table, notes=notes, cache_name="" if key is None else key.name)


def _has_classes(table: Table, then: str, now: str) -> bool:
    """Whether a table is the same if NA may be a class of the column `now`, and not of `then`."""
    column = table.columns.get(then)
    texts = column.texts if isinstance(column, TextColumn) else ()
    return then == now or not any(map(is_missing, texts))


def _as_requested(
    table: Table, was: Mapping[str, RequestedKind], requested: Mapping[str, RequestedKind]
) -> Table | None:
    """Return a table that `was` requested by other kinds with the columns that are requested now.

    None if reading the file would give other columns.
    """
    if not requested.keys() <= table.columns.keys() or not all(
        _is_as_requested(table.columns[name], was[name], kind) for name, kind in requested.items()
    ):
        return None
    # A column that is one of texts in any case, or is left out, has no note.
    silent = [
        f"{clean(name, 80)}: "
        for name, kind in was.items()
        if requested.get(name, "category") == "category" != kind
    ]
    notes = [note for note in table.notes if not any(map(note.startswith, silent))]
    columns = {name: table.columns[name] for name in requested}
    return Table(columns, table.lines, (*notes, FROM_CACHE))


def _is_as_requested(column: Column, was: RequestedKind, kind: RequestedKind) -> bool:
    """Whether a column that was requested as one kind is the same when requested as another."""
    if kind == was:
        return True
    if kind == "category":
        # Of a target with two numbers, 1 and 1.0 are one text.
        return isinstance(column, TextColumn) and was == "auto"
    return isinstance(column, NumberColumn) and kind in ("number", "auto_rounded")


def collect_table(
    read: Reader,
    file: DataFile,
    requested: Mapping[str, RequestedKind],
    classes: str = "",
    forms: Mapping[str, NumberForm] | None = None,
) -> Table:
    """Return the table of the rows that `read` yields; as `read_table`.

    `read` is called with the names of the columns that the rows need to have, at most twice.
    """
    stated = forms or {}
    collected = {name: ColumnValues(kind) for name, kind in requested.items()}
    lines = GrowingArray(np.int64)
    blocks = read(requested)
    if len(file.content) >= LITTLE_BYTES:
        blocks = made_ahead(blocks)
    with ReadProgress(file.name, len(file.content)) as progress:
        for rows in blocks:
            lines.add(rows.lines, rows.share)
            for name, values in collected.items():
                values.add(rows, name, file.style.marks)
            progress.reach(rows.share * len(file.content))
    if not len(lines):
        raise BadInput(
            f"{file.name}: {'a header but ' if file.style.format == 'csv' else ''}no rows"
        )
    surveys = {name: values.survey for name, values in collected.items() if values.survey}
    decimals = {sign for survey in surveys.values() if (sign := survey.decimal)}
    decimal = decimals.pop() if len(decimals) == 1 else ""
    known = {
        name: stated.get(name) or survey.form_of(file, name, decimal)
        for name, survey in surveys.items()
    }
    kinds = {
        name: surveys[name].decide(file, name, known[name])
        if kind in ("auto", "auto_rounded", "auto_target")
        else cast(Kind, kind)
        for name, kind in requested.items()
    }
    numbers, texts = _complete(read, file, kinds, known, collected)
    columns, notes = _columns(file, kinds, known, numbers, texts, classes)
    for name, survey in surveys.items():
        column = columns[name]
        are_numbers = survey.numbers and not survey.texts and not survey.rounded_line
        if isinstance(column, TextColumn) and are_numbers:
            columns[name] = column = _of_numbers(column)
        if name not in stated:
            notes += survey.notes(clean(name, 80), column, file.style)
    return Table(columns, lines.values(), tuple(notes))


def _slow_note(file: DataFile) -> list[str]:
    is_slow = file.style.format == "csv" and len(file.content) >= LITTLE_BYTES
    why = why_no_arrow() if is_slow else ""
    return [f"read slowly, because pyarrow cannot be imported: {why}"] if why else []


def _complete(
    read: Reader,
    file: DataFile,
    kinds: Mapping[str, Kind],
    forms: Forms,
    collected: Mapping[str, ColumnValues],
) -> tuple[dict[str, NumberValues], dict[str, TextValues]]:
    """Return the values of all columns, of which some are read again.

    Raises:
        BadInput: a cell of a column of numbers is not finite; names the first.
    """
    numbers: dict[str, NumberValues] = {}
    texts: dict[str, TextValues] = {}
    again = [n for n, kind in kinds.items() if not collected[n].is_whole(kind, forms.get(n))]
    for name, kind in kinds.items():
        values = collected[name]
        if kind == "number":
            first = None if name in again else values.numbers
            numbers[name] = first or NumberValues(forms.get(name))
        else:
            texts[name] = values.texts or TextValues()
    for rows in read(again) if again else ():
        for name in again:
            if kinds[name] == "number":
                numbers[name].add(rows, name, file.style.marks)
            else:
                texts[name].add(rows, name)
        if any(values.bad for values in numbers.values()):
            break
    bad = [(values.bad.row, name) for name, values in numbers.items() if values.bad]
    if bad:
        # Of columns with one in the same row, the first.
        _, name = min(bad, key=lambda cell: cell[0])
        raise _not_finite(file, name, numbers[name], forms.get(name))
    return numbers, texts


def _not_finite(
    file: DataFile, name: str, values: NumberValues, form: NumberForm | None
) -> BadInput:
    assert values.bad is not None, "there is one"
    return BadInput(
        f"{file.name}:{values.bad.line}: column '{clean(name, 80)}' has "
        f"{clean(values.bad.text, 40)!r}, which is not a finite number"
        + (f" with {form.description}" if form is not None else "")
        + "; correct it, or leave the cell empty"
    )


def _columns(
    file: DataFile,
    kinds: Mapping[str, Kind],
    forms: Forms,
    numbers: Mapping[str, NumberValues],
    texts: Mapping[str, TextValues],
    classes: str,
) -> tuple[dict[str, Column], list[str]]:
    """Return the columns, and a note if a text that may stand for a missing value is a class."""
    columns: dict[str, Column] = {}
    notes: list[str] = []
    for name, kind in kinds.items():
        if kind == "number":
            form = forms.get(name)
            columns[name] = NumberColumn(numbers[name].values(), form.name if form else "")
            continue
        codes, book, marks = texts[name].codes(), texts[name].book, file.style.marks
        is_asked = name == classes and marks is None
        if is_asked and (kept := _class_like_a_gap(codes, book)):
            marks = frozenset(filter(is_missing, book)) - {kept}
            notes.append(
                f"{clean(name, 80)}: {kept} is one of the classes; "
                f"dataset.missing_values=[{kept}] takes it for a missing value"
            )
        columns[name] = _text_column(codes, book, marks)
    return columns, notes


def _class_like_a_gap(codes: NDArray[np.int32], book: Mapping[str, int]) -> str:
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


def _of_numbers(column: TextColumn) -> TextColumn:
    """Return a column of numbers as texts, in which 1 and 1.0 are one text."""
    numbers, _ = to_numbers(column.texts)
    _, first, merged = np.unique(numbers, return_index=True, return_inverse=True)
    codes = np.append(merged.astype(np.int64), -1)[column.codes]
    return TextColumn(codes, tuple(column.texts[place] for place in first))


def _text_column(
    codes: NDArray[np.int32], book: Mapping[str, int], marks: frozenset[str] | None
) -> TextColumn:
    """Renumber codes so that missing values become -1."""
    renumbered = np.full(len(book), -1, dtype=np.int64)
    present = [text for text in book if not is_missing(text, marks)]
    for position, text in enumerate(present):
        renumbered[book[text]] = position
    return TextColumn(renumbered[codes], tuple(present))
