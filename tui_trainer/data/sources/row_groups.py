"""The rule that splits the rows of a table, and what it has to know of them.

Layer: data. A row that is trained on and measured on, too, makes every figure too good.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files.array_cache import Results
from tui_trainer.data.files.columns import Column, NumberColumn, Table, TextColumn
from tui_trainer.data.files.date_forms import DAY_US
from tui_trainer.data.sources.date_columns import as_dates
from tui_trainer.data.splits.division import COPIES, Division, rule_for
from tui_trainer.data.splits.kept_keys import KeptKeys, kept_keys
from tui_trainer.data.splits.notices import column_notices, count_near_copies, near_copies_notice
from tui_trainer.data.splits.row_keys import Keys, column_keys, mixed, row_keys
from tui_trainer.data.splits.row_split import LEAST_DIFFERENT
from tui_trainer.data.splits.split_column import given_splits, split_words
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def divide_table(
    section: TableSection,
    table: Table,
    rows: NDArray[np.int64],
    kinds: Mapping[str, str],
    older: Mapping[str, Any] | None,
    name: str,
) -> tuple[Division, dict[str, Column], list[str]]:
    """Return the division of the rows that are kept, the columns that are inputs, and notes.

    The columns of groups, splits and times are no inputs, and no part of what a row is known by:
    they say where it belongs, and may be corrected.

    Args:
        section: the settings.
        table: as it was read, with the targets.
        rows: (N,) those of its rows that are kept.
        kinds: what its columns are.
        older: the preprocessing of a checkpoint, or None.
        name: the name of the file, for messages.
    """
    columns = {
        name: column.take(rows)
        for name, column in table.columns.items()
        if name not in section.targets
    }
    dates = {name for name, kind in kinds.items() if kind == "date"}
    kept = kept_keys(table, len(rows), section, kinds, older)
    return _divided(section, columns, table.lines[rows], older, name, dates, kept)


def _divided(
    section: TableSection,
    columns: Mapping[str, Column],
    lines: NDArray[np.int64],
    older: Mapping[str, Any] | None,
    name: str,
    dates: Collection[str],
    kept: KeptKeys,
) -> tuple[Division, dict[str, Column], list[str]]:
    """Divide the rows of some columns; `dates` are the inputs that are days since 1970."""
    special = {key: getattr(section, key) for key in ("group", "split", "time")}
    inputs = {name: column for name, column in columns.items() if name not in special.values()}
    given = {key: columns[column] for key, column in special.items() if column is not None}
    rule = rule_for(section, older)
    keys, notes = kept.get("keys", lambda: _keys(columns, inputs)), list[str]()
    cells = identities = keys["inputs"]
    contents = keys.get("all", cells)
    test = val = groups = times = None
    if "split" in given:
        parts = split_words(given["split"], special["split"], lines, name)
        test, val = given_splits(parts, special["split"], name, section.test_fraction)
    if rule == "group":
        identities, notes = _group_keys(special["group"], given["group"], identities)
    elif rule == "time":
        times = _times(section, given["time"], lines, name)
    if rule == "position" and "group" in given:
        groups, notes = groups_by_column(special["group"], given["group"])
    elif rule == "position" and (older is None or older.get("split") == COPIES):
        groups, notes = groups_of_copies(inputs)
    if older is None and rule == "identity":
        copies = kept.get("near", lambda: _near_copies(inputs, cells, dates))
        notes += column_notices(inputs) + near_copies_notice(int(copies["count"]))
    division = Division(rule, identities, contents, test, val, groups, times)
    return division, inputs, notes


def _keys(columns: Mapping[str, Column], inputs: Mapping[str, Column]) -> Results:
    """Return the keys of rows by their inputs, and those by all columns if there are others."""
    keys = {"inputs": row_keys(inputs)}
    return keys if len(inputs) == len(columns) else {**keys, "all": row_keys(columns)}


def _near_copies(inputs: Mapping[str, Column], cells: Keys, dates: Collection[str]) -> Results:
    return {"count": np.array(count_near_copies(inputs, cells, dates), dtype=np.int64)}


def groups_of_copies(columns: Mapping[str, Column]) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Return groups of rows with equal inputs, None if no rows are to stay together; and a note.

    For the rule `position`, whose rows depend on the order of these groups: never change it.
    """
    count = len(next(iter(columns.values())).missing)
    sums = np.zeros(count, dtype=np.uint64)
    for column in columns.values():
        sums = mixed(sums + _GOLDEN + _bits(column))
    _, members = np.unique(sums, return_inverse=True)
    different = int(members.max()) + 1
    copies = count - different
    if not copies:
        return None, []
    note = f"{counted(copies, 'row')} with the inputs of another row"
    if copies > different < LEAST_DIFFERENT:
        return None, [f"{note}; only {different} are different"]
    return members.reshape(-1).astype(np.int64), [f"{note}, in the same split as that one"]


def groups_by_column(name: str, column: Column) -> tuple[NDArray[np.int64], list[str]]:
    """Return the groups of rows with the same value of a column, for the rule `position`."""
    values = column.values if isinstance(column, NumberColumn) else column.codes
    missing = column.missing
    _, groups = np.unique(values, return_inverse=True)
    groups = groups.reshape(-1).astype(np.int64)
    # A row without a group is one of its own.
    groups[missing] = groups.max(initial=0) + 1 + np.arange(int(missing.sum()))
    return groups, [_groups_note(name, len(np.unique(groups)))]


def _group_keys(name: str, column: Column, cells: Keys) -> tuple[Keys, list[str]]:
    """Return what the group of each row is known by; a row without one by its cells."""
    keys = np.where(column.missing, cells, column_keys(name, column))
    return keys, [_groups_note(name, len(np.unique(keys)))]


def _groups_note(name: str, count: int) -> str:
    return f"{counted(count, 'group')} by {clean(name, 80)}; the rows of one are in the same split"


def _times(
    section: TableSection, column: Column, lines: NDArray[np.int64], file: str
) -> NDArray[np.float64]:
    """Return the time (N,) of each row: a number, or the microseconds since 1970 of a date.

    Raises:
        BadInput: a cell is neither, or empty; names the line.
    """
    name = str(section.time)
    times = column
    if isinstance(column, TextColumn):
        order = None if section.dates == "auto" else section.dates
        times = as_dates(name, column, file, lines, order, ", or name another in dataset.time")
    if times.gap_count:
        row = int(times.missing.argmax())
        raise BadInput(
            f"{file}:{lines[row]}: column '{clean(name, 80)}' has no time; every row needs one: a "
            "number, or a date such as 2024-05-31 or 2024-05-31T18:00"
        )
    assert isinstance(times, NumberColumn), "dates are numbers"
    return times.values if times is column else np.round(times.values * DAY_US)


def _bits(column: Column) -> Keys:
    if isinstance(column, NumberColumn):
        # Adding 0 makes one zero of two; a gap is one value, whatever its bits.
        values = np.where(column.missing, np.nan, column.values + 0.0)
        return values.view(np.uint64)
    return column.codes.view(np.uint64)
