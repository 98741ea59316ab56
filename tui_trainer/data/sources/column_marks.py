"""Marks of a missing value that only some columns have, such as -1 or 999 for an unknown age.

Layer: data. They count beside those of the whole table. A column with a mark that is no number is
read as texts first, and becomes numbers if all its other cells are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tui_trainer.data.files.cell_values import to_number, to_numbers
from tui_trainer.data.files.columns import Column, NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.number_forms import FormSurvey, NumberForm
from tui_trainer.data.files.table_reader import NewRequests, read_table
from tui_trainer.data.sources.date_columns import MOSTLY
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Marks = Mapping[str, Sequence[str]]


def read_marked_table(
    file: DataFile,
    header: Sequence[str],
    kinds: Mapping[str, RequestedKind],
    marks: Marks,
    *,
    classes: str = "",
    forms: Mapping[str, NumberForm] | None = None,
    new: NewRequests | None = None,
) -> Table:
    """Read the requested columns, in which the cells with a mark of their column are missing.

    Args:
        file: as in `read_table`, and so are all that are not described here.
        kinds: the kinds that columns should have; those of `new` are without marks, too.
        marks: by the names of columns.

    Raises:
        BadInput: as `read_table`; or a column should be one of numbers and has another text.
    """
    requested = _kinds_with_marks(kinds, marks)
    if new is not None:
        new = replace(new, kinds=[_kinds_with_marks(way, marks) for way in new.kinds])
    table = read_table(file, header, requested, classes=classes, forms=forms, new=new)
    table, notes = _with_marks(file, table, kinds, marks, forms)
    return replace(table, notes=(*table.notes, *notes))


def _kinds_with_marks(kinds: Mapping[str, RequestedKind], marks: Marks) -> dict[str, RequestedKind]:
    """Return how columns are read at first: as texts where numbers and marks may be mixed."""
    return {
        name: "category"
        if (kind == "auto_target" and name in marks) or _are_texts(marks.get(name, ()))
        else kind
        for name, kind in kinds.items()
    }


def _with_marks(
    file: DataFile,
    table: Table,
    kinds: Mapping[str, RequestedKind],
    marks: Marks,
    forms: Mapping[str, NumberForm] | None = None,
) -> tuple[Table, list[str]]:
    """Return a table in which the cells with a mark of their column are missing, and notes.

    Args:
        file: the table's file, and how it is written.
        table: read with `_kinds_with_marks`.
        kinds: the kinds that columns should have.
        marks: by the names of columns.
        forms: of columns whose numbers are known to have one.

    Raises:
        BadInput: a column should be one of numbers and has another text; names its line.
    """
    columns = dict(table.columns)
    notes = []
    for name, own in marks.items():
        if name not in columns:
            continue
        before = columns[name]
        column = _without(before, own)
        if isinstance(column, TextColumn) and kinds[name] != "category":
            form = (forms or {}).get(name)
            column = _as_numbers(file, table, name, column, kinds[name], form)
        columns[name] = column
        count = int((column.missing & ~before.missing).sum())
        shown = clean(" or ".join(own), 120)
        cells = counted(count, "cell") if count else "no cell"
        notes.append(f"{clean(name, 80)}: {cells} with {shown}, as missing values")
    return replace(table, columns=columns), notes


def _are_texts(marks: Sequence[str]) -> bool:
    return any(to_number(mark) is None for mark in marks)


def _without(column: Column, marks: Sequence[str]) -> Column:
    if isinstance(column, NumberColumn):
        numbers, _ = to_numbers(marks)
        values = np.where(np.isin(column.values, numbers), np.nan, column.values)
        return NumberColumn(values, column.form)
    kept = [code for code, text in enumerate(column.texts) if text not in marks]
    # The last one stands for a missing value, whose code is -1.
    renumbered = np.full(len(column.texts) + 1, -1, dtype=np.int64)
    renumbered[kept] = np.arange(len(kept))
    return TextColumn(renumbered[column.codes], tuple(column.texts[code] for code in kept))


def _as_numbers(
    file: DataFile,
    table: Table,
    name: str,
    column: TextColumn,
    kind: RequestedKind,
    form: NumberForm | None,
) -> Column:
    """Return a column of texts as numbers if they are some, and of a target if these are not two.

    Raises:
        BadInput: it should be numbers, or nearly all texts are, and one is not.
    """
    style = file.style
    numbers, foreign = to_numbers(column.texts, style.marks, form)
    if foreign and form is None:
        survey = FormSurvey()
        lines = [int(table.lines[int((column.codes == code).argmax())]) for code in foreign]
        lines_of = np.zeros(len(numbers), dtype=np.int64)
        lines_of[foreign] = lines
        survey.add(column.texts, foreign, lines_of)
        form = survey.decide(style.separator, style.decimal, style.thousands)
        if survey.possible and form is not None:
            numbers, foreign = to_numbers(column.texts, style.marks, form)
    if kind == "auto_target" and not foreign and len(np.unique(numbers)) == 2:
        return column
    if not foreign:
        values = np.append(numbers, np.nan)[column.codes]
        if np.isinf(values).any():
            line = table.lines[int(np.isinf(values).argmax())]
            raise BadInput(
                f"{file.name}:{line}: column '{clean(name, 80)}' has an infinite number; correct "
                "it, or leave the cell empty"
            )
        return NumberColumn(values, form.name if form else "")
    is_foreign = np.isin(column.codes, foreign)
    present = ~column.missing
    if kind == "number" or (present & ~is_foreign).sum() >= MOSTLY * present.sum():
        row = int(is_foreign.argmax())
        text = clean(column.texts[column.codes[row]], 40)
        raise BadInput(
            f"{file.name}:{table.lines[row]}: column '{clean(name, 80)}' has {text!r} among "
            "numbers; correct it, or add it to the column's dataset.missing_values_by_column"
        )
    return column
