"""`list_table`: the pictures that a table has the paths of, with the class or number of each.

Layer: data. Paths are relative to the folder of the table, or to the one beside it that has them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.columns import Table, TextColumn
from tui_trainer.data.files.csv import Records, order_classes, to_numbers
from tui_trainer.data.files.folders import ListedFile
from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.data.files.pictures import is_picture_name
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import OpenTable, open_table
from tui_trainer.data.sources.picture_folders import PictureList
from tui_trainer.data.sources.table_targets import TARGETS
from tui_trainer.data.splits.split_column import split_words
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_FIRST_ROWS = 50
_MOST_FOLDERS = 200
_MOST_SHOWN = 5


def picture_column(opened: OpenTable) -> str | None:
    """Return the first column of a table whose first cells all name pictures; None if none does."""
    if opened.file.style.format != "csv":
        return None
    first = int(opened.file.style.has_header)
    rows = [record for _, record in islice(Records(opened.file), first, first + _FIRST_ROWS)]
    for place, name in enumerate(opened.header):
        cells = [row[place].strip() for row in rows if place < len(row)]
        if cells and all(is_picture_name(cell) for cell in cells):
            return name
    return None


def list_table(section: PicturesSection, wanted: str) -> PictureList:
    """List the pictures of a table.

    `wanted` is the problem, or `auto`.

    Raises:
        BadInput: it is no such table, or a cell of the split is none; names the line.
    """
    opened = open_table(TableSection(type="table", path=section.path, target="?"))
    name, header = opened.file.name, opened.header
    picture = section.picture or picture_column(opened)
    if picture is None:
        raise BadInput(
            f"{name}: no column has the paths of pictures; name it in dataset.picture; there are: "
            f"{clean(', '.join(header[:20]), 400)}"
        )
    target, reason = target_column(section, header, picture)
    columns = [picture, target, *([section.split] if section.split else [])]
    for column in columns:
        if column not in header:
            raise BadInput(
                f"{name}: no column '{clean(column, 80)}'; there are: "
                f"{clean(', '.join(header[:20]), 400)}"
            )
    table = read_table(opened.file, header, dict.fromkeys(columns, "category"), classes=target)
    paths, labels = (_texts(table.columns[column]) for column in (picture, target))
    kept = np.array([bool(path and label) for path, label in zip(paths, labels, strict=True)])
    rows = np.flatnonzero(kept)
    if not len(rows):
        raise BadInput(f"{name}: no row has both a picture and a '{clean(target, 80)}'")
    notes = [*opened.notes, *table.notes, *_notes(section, header, columns, reason)]
    if len(rows) < len(kept):
        lost = counted(len(kept) - len(rows), "row")
        notes.append(f"{lost} without a picture or a {clean(target, 80)} left out")
    names = [paths[row] for row in rows.tolist()]
    folder, folder_notes = _folder_of(Path(section.path), names)
    listed = PictureList(
        name,
        os.path.abspath(section.path),
        "table",
        PictureFiles(str(folder), [_as_file(folder, path) for path in names]),
        (),
        np.zeros(len(names), dtype=np.int64),
        _sides(section, table, rows, name),
        (*notes, *folder_notes),
    )
    return _with_target(listed, [labels[row] for row in rows.tolist()], target, wanted)


def target_column(section: PicturesSection, header: Sequence[str], picture: str) -> tuple[str, str]:
    """Return the column to predict, and how it was found, which is empty if it is stated.

    Raises:
        BadInput: there is no other column than that of the pictures.
    """
    if section.target is not None:
        return section.target, ""
    others = [name for name in header if name not in (picture, section.split)]
    if not others:
        raise BadInput("the table has paths of pictures only, and nothing to predict")
    named = [name for name in others if name.strip().lower() in TARGETS]
    if len(named) == 1:
        return named[0], "by its name"
    return others[-1], "the last column"


def _notes(
    section: PicturesSection, header: Sequence[str], columns: Sequence[str], reason: str
) -> list[str]:
    picture, target = (clean(name, 80) for name in columns[:2])
    notes = []
    if section.picture is None:
        notes.append(f"the pictures are those named in {picture}, by its cells (dataset.picture)")
    if reason:
        notes.append(f"{target} is predicted: {reason} (dataset.target)")
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


def _with_target(
    listed: PictureList, labels: Sequence[str], target: str, wanted: str
) -> PictureList:
    """Return the list with classes, or with numbers if that is wanted or all are decimals."""
    distinct = {*labels}
    numbers, foreign = to_numbers(labels)
    is_decimal = not foreign and not np.isnan(numbers).any() and (numbers % 1 != 0).any()
    if wanted == "regression" or (wanted == "auto" and is_decimal):
        if foreign or not np.isfinite(numbers).all():
            bad = labels[foreign[0]] if foreign else "a number that is not finite"
            raise BadInput(
                f"{listed.name}: '{clean(target, 80)}' has {clean(repr(bad), 80)}, which is no "
                "number to predict"
            )
        return replace(listed, numbers=numbers)
    classes = order_classes(distinct)
    place = {label: index for index, label in enumerate(classes)}
    if 2 * len(classes) > len(labels) > _FIRST_ROWS:
        raise BadInput(
            f"{listed.name}: column '{clean(target, 80)}' has {len(classes):,} different texts in "
            f"{len(labels):,} rows, so it is no class; name the column to predict: --target COLUMN"
        )
    values = np.array([place[label] for label in labels], dtype=np.int64)
    return replace(listed, classes=classes, labels=values)
