"""Reads rows of a table for a trained model: new samples, or labelled ones to measure it on.

Layer: data. Nothing is learned here: means and categories come from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files.columns import RequestedKind, Table
from tui_trainer.data.files.input_rows import rows_of_table
from tui_trainer.data.files.number_forms import FORMS
from tui_trainer.data.files.tables import OpenTable, open_table, with_normal_names
from tui_trainer.data.sources.column_inputs import encode_all
from tui_trainer.data.sources.column_kinds import as_kind
from tui_trainer.data.sources.column_marks import read_marked_table
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen, ignored_note
from tui_trainer.data.sources.table import GAPS, select_rows
from tui_trainer.data.sources.table_targets import read_targets
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

_MOST_NAMED = 5
"""How many missing columns a message names."""


def read_new_rows(section: TableSection, fitted: dict[str, Any], path: str) -> Unseen:
    """Read the rows of a table without their targets.

    Raises:
        BadInput: a column is missing, a cell cannot be read, or is empty and may not be.
    """
    opened, table = _read_columns(section, fitted, path)
    for name, column in table.columns.items():
        empty = column.missing
        if section.missing != "mean" and empty.any():
            line = int(table.lines[int(empty.argmax())])
            raise BadInput(
                f"{opened.file.name}:{line}: column '{clean(name, 80)}' has no value, but the "
                "model was trained on rows without gaps; fill it in"
            )
    encoded = encode_all(table.columns, fitted, opened.file.name)
    place = opened.file.style.place
    places = tuple(f"{place} {line}" for line in table.lines)
    notes = (*opened.notes, *table.notes, *encoded.notes)
    rows = rows_of_table(opened.file, opened.header)
    return Unseen(encoded.inputs, places, notes, encoded.lengths, others=encoded.others, rows=rows)


def read_rows_to_measure(
    section: TableSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read the rows of a table with their targets.

    Raises:
        BadInput: a column is missing, or a cell cannot be read; names the line.
    """
    fitted = preprocessing["inputs"]
    kind: RequestedKind = "number"
    if info.problem == "classification" or section.label_separator is not None:
        kind = "category"
    targets = dict.fromkeys(section.targets, kind)
    classes = section.targets[0] if GAPS & {*info.classes} else ""
    opened, table = _read_columns(section, fitted, path, targets, classes)
    section = with_normal_names(section, opened)
    file = opened.file
    rows, notes = select_rows(section, file, table)
    target, said = read_targets(section, info.problem, file.name, table, rows)
    columns = {name: table.columns[name].take(rows) for name in fitted}
    encoded = encode_all(columns, fitted, file.name)
    of_split = {section.group, section.split, section.time}
    used = {*fitted, *section.targets, *section.drop, *of_split, opened.index}
    ignored = [name for name in opened.header if name not in used]
    notes = [*opened.notes, *table.notes, *said, *notes, *encoded.notes, *ignored_note(ignored)]
    whole = replace(encoded, notes=notes)
    return LabelledRows(file.name, "row", whole, target, rows)


def _read_columns(
    section: TableSection,
    fitted: dict[str, Any],
    path: str,
    targets: Mapping[str, RequestedKind] | None = None,
    classes: str = "",
) -> tuple[OpenTable, Table]:
    """Read the columns that a model was trained on, and those of its targets.

    The columns may be in any order, with others between them. `classes` is as in `read_table`.

    Raises:
        BadInput: a column is missing, or a cell cannot be read; names the line.
    """
    opened = open_table(section, path, fitted)
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    kinds: dict[str, RequestedKind] = {
        name: "number" if settings["kind"] == "number" else "category"
        for name, settings in fitted.items()
    }
    kinds |= targets or {}
    missing = [name for name in kinds if name not in header]
    if missing:
        noun = "columns" if len(missing) > 1 else "column"
        shown = ", ".join(f"'{clean(name, 80)}'" for name in missing[:_MOST_NAMED])
        others = f" (and {len(missing) - _MOST_NAMED} more)" if len(missing) > _MOST_NAMED else ""
        near = clean(suggest(missing[0], header))
        raise BadInput(
            f"{file.name}:1: no {noun} {shown}{others}{near}; the "
            f"model was trained on: {clean(', '.join(kinds), 400)}"
        )
    forms = {name: FORMS[own["form"]] for name, own in fitted.items() if own.get("form") in FORMS}
    marks = section.missing_values_by_column
    table = read_marked_table(file, header, kinds, marks, forms=forms, classes=classes)
    columns = dict(table.columns)
    for name, own in fitted.items():
        columns[name] = as_kind(
            own["kind"], name, columns[name], file.name, table.lines, own.get("order")
        )
    return opened, replace(table, columns=columns)
