"""`list_table`: the pictures that a table has the paths of, with the class or number of each.

Layer: data. Paths are relative to the folder of the table, or to the one beside it that has them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.cell_values import order_classes, to_numbers
from tui_trainer.data.files.columns import Column, RequestedKind, Table, TextColumn
from tui_trainer.data.files.csv import Records
from tui_trainer.data.files.folders import ListedFile
from tui_trainer.data.files.parquet import text_names
from tui_trainer.data.files.picture_opener import is_picture_name
from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.data.files.table_reader import read_table, rows_as_written
from tui_trainer.data.files.tables import OpenTable, open_table
from tui_trainer.data.sources.picture_folders import PictureList
from tui_trainer.data.sources.source import Target
from tui_trainer.data.sources.table_targets import TARGETS, labels_note, read_targets
from tui_trainer.data.splits.split_column import split_words
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

_FIRST_ROWS = 50
_MOST_FOLDERS = 200
_MOST_SHOWN = 5


def picture_column(opened: OpenTable) -> str | None:
    """Return the first column of a table whose first cells all name pictures; None if none does."""
    is_typed = opened.file.style.format == "parquet"
    names = text_names(opened.file, opened.header) if is_typed else opened.header
    for name, cells in _first_cells(opened, names).items():
        if cells and all(is_picture_name(cell) for cell in cells):
            return name
    return None


def list_table(section: PicturesSection, wanted: str) -> PictureList:
    """List the pictures of a table.

    `wanted` is the problem, or `auto`.

    Raises:
        BadInput: it is no such table, or a cell of the split is none; names the line.
        ConfigError: the problem does not fit the columns.
    """
    delimited = TableSection(type="table", path=section.path, target="?")
    known: dict[str, Any] | None = None
    if section.is_of_earlier_run:
        # Nothing is known of its columns, and a first row of paths was always a header.
        delimited, known = delimited.for_earlier_run(), {}
    opened = open_table(delimited, older=known)
    name, header = opened.file.name, opened.header
    picture, targets, reason = _columns_of(section, opened)
    columns = [picture, *targets, *([section.split] if section.split else [])]
    _check_columns(section, opened, columns)
    is_single = len(targets) == 1 and wanted != "multilabel"
    are_texts = is_single or section.label_separator is not None or wanted == "classification"
    kinds: dict[str, RequestedKind] = dict.fromkeys(columns, "category")
    kinds |= dict.fromkeys(targets, "category" if are_texts else "number")
    table = read_table(opened.file, header, kinds, classes=targets[0])
    rows, notes = _used_rows(section, name, table, picture, targets)
    names = _texts(table.columns[picture].take(rows))
    folder, folder_notes = _folder_of(Path(section.path), names)
    listed = PictureList(
        name,
        os.path.abspath(section.path),
        "table",
        PictureFiles(str(folder), [_as_file(folder, path) for path in names]),
        (),
        np.zeros(len(names), dtype=np.int64),
        _sides(section, table, rows, name),
        (*opened.notes, *table.notes, *_notes(section, header, columns, reason), *notes),
    )
    listed = replace(listed, notes=(*listed.notes, *folder_notes))
    if is_single and section.label_separator is None:
        column = table.columns[targets[0]].take(rows)
        said = labels_note(targets[0], column)
        return with_single_labels(listed, _texts(column), targets[0], wanted, said)
    as_table = TableSection(
        type="table",
        path=section.path,
        target=targets,
        label_separator=section.label_separator,
    )
    target, target_notes = read_targets(as_table, wanted, name, table, rows)
    return replace(listed, target=target, notes=(*listed.notes, *target_notes))


def _columns_of(section: PicturesSection, opened: OpenTable) -> tuple[str, tuple[str, ...], str]:
    """Return the column of the pictures, those to predict, and how these were found."""
    picture = section.picture or picture_column(opened)
    if picture is None:
        raise BadInput(
            f"{opened.file.name}: no column has the paths of pictures; name it in "
            f"dataset.picture; available: {clean(', '.join(opened.header[:20]), 400)}"
        )
    return picture, *target_columns(section, opened, picture)


def _check_columns(section: PicturesSection, opened: OpenTable, columns: Sequence[str]) -> None:
    """Raise BadInput for a column that is not there, or is used twice; ConfigError for several
    columns of labels that are separated in their cells.
    """
    file, header = opened.file.name, opened.header
    for column in columns:
        if column not in header:
            raise BadInput(
                f"{file}: no column '{clean(column, 80)}'; available: "
                f"{clean(', '.join(header[:20]), 400)}"
            )
        if columns.count(column) > 1:
            raise BadInput(
                f"{file}: two settings name the column '{clean(column, 80)}': dataset.picture, "
                "dataset.target and dataset.split need different ones"
            )
    if section.label_separator is not None and not isinstance(section.target, str | None):
        message = "is for the labels in the cells of one column, and dataset.target has several"
        raise ConfigError([Problem(message, "dataset.label_separator")])


def _used_rows(
    section: PicturesSection, name: str, table: Table, picture: str, targets: Sequence[str]
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the rows that have a picture and all that is predicted, and a note on the others.

    With `dataset.label_separator`, an empty cell has no labels.
    """
    needed = [picture, *(targets if section.label_separator is None else ())]
    kept = ~np.any([_is_empty(table.columns[column]) for column in needed], axis=0)
    shown = clean(" or ".join(targets[:_MOST_SHOWN]), 120)
    if not kept.any():
        raise BadInput(f"{name}: no row has both a picture and a '{shown}'")
    lost = int((~kept).sum())
    note = f"{counted(lost, 'row')} without a picture or with nothing in {shown} left out"
    return np.flatnonzero(kept), [note] if lost else []


def _is_empty(column: Column) -> NDArray[np.bool_]:
    if isinstance(column, TextColumn):
        return np.array([not text for text in _texts(column)], dtype=np.bool_)
    return column.missing


def target_columns(
    section: PicturesSection, opened: OpenTable, picture: str
) -> tuple[tuple[str, ...], str]:
    """Return the columns to predict, and how they were found, which is empty if they are stated.

    Raises:
        BadInput: there is no other column than that of the pictures.
    """
    if section.target is not None:
        stated = section.target
        return ((stated,) if isinstance(stated, str) else stated), ""
    others = [name for name in opened.header if name not in (picture, section.split)]
    if not others:
        raise BadInput("the table has paths of pictures only, and nothing to predict")
    named = [name for name in others if name.strip().lower() in TARGETS]
    if len(named) == 1:
        return (named[0],), "by its name"
    if section.label_separator is None and len(others) > 1 and _are_flags(opened, others):
        return tuple(others), "the columns of 0 and 1"
    return (others[-1],), "the last column"


def _are_flags(opened: OpenTable, names: Sequence[str]) -> bool:
    """Whether these columns have 0 and 1 only in the first rows."""
    cells = [cell for column in _first_cells(opened, names).values() for cell in column]
    return bool(cells) and {*cells} <= {"0", "1"}


def _first_cells(opened: OpenTable, names: Sequence[str]) -> dict[str, list[str]]:
    """Return the texts of the first rows of some columns, fewer where a row is too short."""
    file, header = opened.file, opened.header
    if file.style.format == "csv":
        first = int(file.style.has_header)
        records = [record for _, record in islice(Records(file), first, first + _FIRST_ROWS)]
        places = {name: header.index(name) for name in names}
        return {
            name: [record[place].strip() for record in records if place < len(record)]
            for name, place in places.items()
        }
    rows = next(rows_as_written(file, header, names), None) if names else None
    count = 0 if rows is None else min(len(rows.lines), _FIRST_ROWS)
    return {name: [rows.text(name, row).strip() for row in range(count)] for name in names if rows}


def _notes(
    section: PicturesSection, header: Sequence[str], columns: Sequence[str], reason: str
) -> list[str]:
    picture = clean(columns[0], 80)
    notes = []
    if section.picture is None:
        notes.append(f"the pictures are those named in {picture}, by its cells (dataset.picture)")
    if reason:
        predicted = [name for name in columns[1:] if name != section.split]
        shown = clean(", ".join(predicted[:_MOST_SHOWN]), 200)
        shown += f" and {len(predicted) - _MOST_SHOWN} more" * (len(predicted) > _MOST_SHOWN)
        verb = "is" if len(predicted) == 1 else "are"
        notes.append(f"{shown} {verb} predicted: {reason} (dataset.target)")
    if ignored := [name for name in header if name not in columns]:
        more = f" and {len(ignored) - _MOST_SHOWN} more" if len(ignored) > _MOST_SHOWN else ""
        shown = clean(", ".join(ignored[:_MOST_SHOWN]), 200)
        noun = "column" if len(ignored) == 1 else "columns"
        notes.append(f"{noun} not used: {shown}{more}")
    return notes


def _texts(column: object) -> list[str]:
    """Return the text of each cell, empty for none."""
    assert isinstance(column, TextColumn), "it was read as texts"
    texts = [*column.texts, ""]
    return [texts[code].strip() for code in column.codes.tolist()]


def _folder_of(table: Path, names: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the folder that the paths are relative to, and a note if it is not the table's."""
    own = table.parent
    first = names[:_FIRST_ROWS]

    def count_in(folder: Path) -> int:
        return sum((folder / name).exists() for name in first)

    if count_in(own):
        return own, []
    with os.scandir(own) as entries:
        folders = sorted(entry.name for entry in islice(entries, _MOST_FOLDERS) if entry.is_dir())
    # Of several that have as many, the one that is called like the table.
    best = max(folders, key=lambda name: (count_in(own / name), name == table.stem), default="")
    if best and count_in(own / best):
        return own / best, [f"the paths are those of files in {clean(best, 80)}/"]
    raise BadInput(
        f"{clean(str(table), 200)}: no picture is where the table says, as {clean(first[0], 120)}, "
        "neither in the folder of the table nor in one beside it"
    )


def _sides(
    section: PicturesSection, table: Table, rows: NDArray[np.int64], name: str
) -> NDArray[np.int8] | None:
    if section.split is None:
        return None
    words = split_words(table.columns[section.split], section.split, table.lines, name)
    return words[rows].astype(np.int8)


def _as_file(folder: Path, name: str) -> ListedFile:
    try:
        status = os.stat(folder / name)
    except (OSError, ValueError):
        # Reading it will say why.
        return ListedFile(name, 0, 0)
    return ListedFile(name, status.st_size, status.st_mtime_ns)


def with_single_labels(
    listed: PictureList,
    labels: Sequence[str],
    target: str,
    wanted: str,
    notes: Sequence[str] = (),
) -> PictureList:
    """Return the list with classes, or with numbers if that is wanted or all are decimals.

    `notes` are on classes, as `labels_note` makes them.
    """
    distinct = {*labels}
    numbers, foreign = to_numbers(labels)
    is_decimal = not foreign and not np.isnan(numbers).any() and (numbers % 1 != 0).any()
    if wanted == "regression" or (wanted == "auto" and is_decimal):
        if foreign or not np.isfinite(numbers).all():
            bad = labels[foreign[0]] if foreign else "a number that is not finite"
            raise BadInput(
                f"{listed.name}: '{clean(target, 80)}' has {clean(repr(bad), 80)}, which is not "
                "a number to predict"
            )
        return replace(listed, target=Target((), numbers))
    classes = order_classes(distinct)
    place = {label: index for index, label in enumerate(classes)}
    if 2 * len(classes) > len(labels) > _FIRST_ROWS:
        way = "name the column to predict: --target COLUMN"
        if notes:
            way = f"{notes[0].partition('; ')[2]}; or {way}"
        raise BadInput(
            f"{listed.name}: column '{clean(target, 80)}' has {len(classes):,} different texts in "
            f"{len(labels):,} rows, so it is not a class; {way}"
        )
    values = np.array([place[label] for label in labels], dtype=np.int64)
    return replace(listed, classes=classes, labels=values, notes=(*listed.notes, *notes))
