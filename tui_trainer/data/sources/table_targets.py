"""The target of a table: a class, labels, a number or several, and how that is told apart.

Layer: data. What was inferred is said in a note, with the setting that decides otherwise.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.files.columns import Column, NumberColumn, Table, TextColumn
from tui_trainer.data.sources.source import Target
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

TARGETS = ("target", "label", "labels", "class", "y", "outcome", "response")
"""A column with one of these names is the target, in any case; else it is the last column."""
MOST_LABELS = 10_000
_SEPARATORS = "|;,"


def read_targets(
    section: TableSection, wanted: str, file: str, table: Table, rows: NDArray[np.int64]
) -> tuple[Target, list[str]]:
    """Return the target of some rows, and notes on what was inferred.

    `wanted` is the problem, or `auto`.

    Raises:
        ConfigError: the problem does not fit the columns.
        BadInput: a cell does not; names its line.
    """
    columns = {name: table.columns[name].take(rows) for name in section.targets}
    lines = table.lines[rows]
    if section.label_separator is not None:
        return _labels_in_cells(section, wanted, file, columns[section.targets[0]])
    if len(columns) == 1 and wanted != "multilabel":
        (name, only), *_ = columns.items()
        return _single(only), labels_note(name, only) if wanted == "auto" else []
    if wanted == "classification":
        message = f"{len(columns)} columns are not classes; name one, or set problem=multilabel"
        raise ConfigError([Problem(message, "dataset.target")])
    numbers = [_numbers(column) for column in columns.values()]
    values = np.stack(numbers, axis=1)
    is_flag = (values == 0) | (values == 1)
    if wanted == "multilabel" and not is_flag.all():
        row, column = (int(place[0]) for place in np.nonzero(~is_flag))
        raise BadInput(
            f"{file}:{lines[row]}: {clean(section.targets[column], 80)} is "
            f"{values[row, column]:g}, and a label is 0 or 1; labels in one cell need "
            "dataset.label_separator"
        )
    if wanted == "regression" or not is_flag.all():
        return Target((), values, section.targets), []
    note = (
        f"{counted(len(columns), 'label')}, because the columns of dataset.target have only 0 and "
        "1; problem=regression predicts them as numbers"
    )
    return Target(section.targets, values), [note] if wanted == "auto" else []


def _numbers(column: Column) -> NDArray[np.float64]:
    assert isinstance(column, NumberColumn), "several targets are read as numbers"
    return column.values


def _labels_in_cells(
    section: TableSection, wanted: str, file: str, column: Column
) -> tuple[Target, list[str]]:
    separator, name = section.label_separator, section.targets[0]
    if wanted in ("classification", "regression"):
        message = f"is for labels, and problem.type is {wanted}; set problem=multilabel"
        raise ConfigError([Problem(message, "dataset.label_separator")])
    assert isinstance(column, TextColumn), "labels are read as texts"
    parts = [_parts(text, separator or "") for text in column.texts]
    labels = order_classes({label for cell in parts for label in cell})
    if not labels:
        raise BadInput(f"{file}: no row has a label in the column '{clean(name, 80)}'")
    if len(labels) > MOST_LABELS:
        raise BadInput(
            f"{file}: the column '{clean(name, 80)}' has {len(labels):,} labels, and at most "
            f"{MOST_LABELS:,} can be predicted; is dataset.label_separator right?"
        )
    place = {label: index for index, label in enumerate(labels)}
    # The last row stands for an empty cell, whose code is -1.
    by_text = np.zeros((len(parts) + 1, len(labels)), dtype=np.bool_)
    for row, cell in enumerate(parts):
        by_text[row, [place[label] for label in cell]] = True
    values = by_text[column.codes]
    empty = int((values.sum(axis=1) == 0).sum())
    note = (
        f"{counted(len(labels), 'label')} in {clean(name, 80)}, "
        f"{values.sum(axis=1).mean():.3g} per row"
    )
    if empty:
        note += f"; {counted(empty, 'row')} without any"
    notes = [note]
    if separator and not any(separator in text for text in column.texts):
        note = f"no cell of {clean(name, 80)} has the separator '{clean(separator, 20)}'"
        if cut := _cut_by(column):
            note += (
                f"; with dataset.label_separator='{cut[0]}' there are {counted(cut[1], 'label')}"
            )
        notes.append(note)
    return Target(labels, values), notes


def labels_note(name: str, column: Column) -> list[str]:
    """Return a note if the classes look like several labels in a cell."""
    if not isinstance(column, TextColumn) or (cut := _cut_by(column)) is None:
        return []
    separator, labels = cut
    example = next(text for text in column.texts if separator in text)
    return [
        f"{clean(name, 80)}: each different text, such as {clean(example, 40)!r}, is a class; with "
        f"dataset.label_separator='{separator}' there are {counted(labels, 'label')}, and a row "
        "may have several"
    ]


def _cut_by(column: TextColumn) -> tuple[str, int] | None:
    """Return what seems to separate labels in the cells, and the number of these labels."""
    for separator in _SEPARATORS:
        cells = [{*_parts(text, separator)} for text in column.texts]
        uses = Counter(label for cell in cells for label in cell)
        # Of `Smith, Jane` each part is in one text; labels are fewer than the ways to combine them.
        if any(len(cell) > 1 for cell in cells) and 1 < len(uses) < len(cells):
            return separator, len(uses)
    return None


def _parts(text: str, separator: str) -> list[str]:
    words = text.split(separator) if separator else text.split()
    return [word.strip() for word in words if word.strip()]


def _single(column: Column) -> Target:
    match column:
        case NumberColumn(values):
            return Target((), values)
        case TextColumn(codes, texts):
            classes = order_classes(texts)
            position = {text: index for index, text in enumerate(classes)}
            renumbered = np.array([position[text] for text in texts], dtype=np.int64)
            return Target(classes, renumbered[codes])
