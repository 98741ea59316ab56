"""The kinds of a table's input columns: stated, known from a checkpoint, or recognised by cells.

Layer: data. A reader gives numbers or texts; every other kind is made of these here. A checkpoint's
`layout` has the kind of each column, so a run that goes on reads its columns as it did before,
whatever a later version would recognise in them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.config.yaml.scalars import to_flow
from tui_trainer.data.files.columns import Column, NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.sources.date_columns import as_dates, doubt_about_dates, has_dates
from tui_trainer.data.sources.text_columns import is_free_text
from tui_trainer.data.splits.notices import is_name_of_id
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

LEFT_OUT = "left out"
"""The kind of a column that tells rows apart, such as a row number or a name."""
LEAST_ROWS = 20
"""In fewer rows, different cells are no sign of an id, and a text is no sign of free text."""

_PAIRS = (
    *(("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n")),
    # As in German, French, Spanish and Italian.
    *(("wahr", "falsch"), ("ja", "nein"), ("j", "n"), ("vrai", "faux"), ("oui", "non")),
    *(
        ("verdadero", "falso"),
        ("s\u00ed", "no"),
        ("vero", "falso"),
        ("s\u00ec", "no"),
        ("si", "no"),
    ),
)
_BOOLEANS = {
    word: float(place == 0) for pair in (*_PAIRS, ("1", "0")) for place, word in enumerate(pair)
}

_TOLD = {
    "boolean": (
        "{names}: yes or no, as one input of 1 or 0; "
        "dataset.categorical={columns} makes an input of each text"
    ),
    "date": ("{names}: read as dates; dataset.categorical={columns} reads them as categories"),
    "text": (
        "{names}: free text{alone}: read byte by byte, or by dataset.tokenizer, for models of "
        "sequences{beside}; {words} takes counts of words instead, dataset.categorical={columns} "
        "categories"
    ),
}
"""The notes on kinds that were recognised."""


def stated_kinds(section: TableSection) -> dict[str, str]:
    """Return the kinds that the settings state, by column."""
    return dict.fromkeys(section.categorical, "category") | dict(section.kinds)


def requested_kinds(
    section: TableSection, header: Sequence[str], layout: Mapping[str, Any]
) -> dict[str, RequestedKind]:
    """Return how the cells of each column are read at first; of those left out, nothing is.

    `layout` is that of a checkpoint, or empty.
    """
    kinds: dict[str, RequestedKind] = {}
    stated = stated_kinds(section)
    for name in header:
        known = layout.get(f"column {name}") or stated.get(name)
        if name in section.drop or known == LEFT_OUT:
            continue
        # A checkpoint's column of numbers is found to be one again, and refused if it is none now.
        is_number = known == "number"
        kinds[name] = "auto_rounded" if layout else "number" if is_number else "auto"
        if known is not None and not is_number:
            kinds[name] = "category"
    return kinds


def read_kinds(
    section: TableSection,
    file: str,
    header: Sequence[str],
    table: Table,
    older: Mapping[str, Any] | None,
) -> tuple[Table, dict[str, str], list[str]]:
    """Return the table with its input columns as their kinds, the kinds, and notes on them.

    Columns that are left out are in the kinds, but no longer in the table. `older` is the
    preprocessing of a checkpoint.

    Raises:
        BadInput: a cell is not of the kind that was stated for its column; names its line.
    """
    # A column that only decides the split may be named as well.
    others = {
        *section.targets,
        *(getattr(section, key, None) for key in ("group", "split", "time")),
    }
    inputs = {name: column for name, column in table.columns.items() if name not in others}
    if older:
        layout = older["layout"]
        kinds: dict[str, str] = {name: column.kind for name, column in inputs.items()}
        known = {name: layout.get(f"column {name}") for name in inputs}
        # Numbers and categories are told by the cells, so that a change of them is refused.
        kinds |= {name: kind for name, kind in known.items() if kind not in (None, "number")}
        kinds |= {name: LEFT_OUT for name in header if layout.get(f"column {name}") == LEFT_OUT}
        notes: list[str] = []
    else:
        kinds, notes = _recognise(inputs, stated_kinds(section))
        if "date" in kinds.values() and not (section.time or section.split or section.group):
            notes.append(
                "rows are split whatever their dates are; dataset.time=NAME, with a column of "
                "dates, tests on the latest ones"
            )
    columns = dict(table.columns)
    for name, column in inputs.items():
        if kinds[name] == LEFT_OUT:
            del columns[name]
            continue
        order = None if section.dates == "auto" else section.dates
        if older and kinds[name] == "date":
            order = older["inputs"][name]["order"]
        columns[name] = as_kind(kinds[name], name, column, file, table.lines, order)
    return replace(table, columns=columns), kinds, notes


def as_kind(
    kind: str,
    name: str,
    column: Column,
    file: str,
    lines: NDArray[np.int64],
    order: str | None = None,
) -> Column:
    """Return a column that was read as texts as one of its kind.

    Booleans become the numbers 0 and 1, dates the days since 1970, read in an `order` if it is
    known; see `as_dates`.

    Raises:
        BadInput: a cell is not of this kind; names its line.
    """
    if kind == "boolean" and isinstance(column, TextColumn):
        return _as_booleans(name, column, file, lines)
    if kind == "date" and isinstance(column, TextColumn):
        ways = (
            ", leave it empty, or name the column in dataset.categorical" if order is None else ""
        )
        return as_dates(name, column, file, lines, order, ways)
    return column


def setting_of(name: str, kind: str) -> str:
    """Return the setting that states the kind of a column, as it is typed."""
    return kinds_setting({name: kind})


def kinds_setting(kinds: Mapping[str, str]) -> str:
    """Return the setting that states the kinds of some columns, as it is typed."""
    return f"dataset.kinds={clean(to_flow(dict(kinds)), 250)}"


def _recognise(
    inputs: Mapping[str, Column], stated: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the kind of each input column, and notes on what was recognised."""
    kinds = {name: stated.get(name) or _kind_of(column) for name, column in inputs.items()}
    ids = [
        name
        for name, column in inputs.items()
        if name not in stated and kinds[name] == column.kind and _is_id(name, column)
    ]
    if any(_varies(column) for name, column in inputs.items() if name not in ids):
        kinds |= dict.fromkeys(ids, LEFT_OUT)
    elif len(inputs) == len(ids) == 1 and kinds[ids[0]] == "category":
        # Such as names, of which the letters say something.
        kinds[ids[0]] = "text"
    used = [name for name, kind in kinds.items() if kind != LEFT_OUT]
    notes = [_id_note(name, inputs[name]) for name in ids if kinds[name] == LEFT_OUT]
    for name, column in inputs.items():
        if name not in stated and kinds[name] in (column.kind, LEFT_OUT):
            notes += doubt_about_dates(clean(name, 80), column)
    for kind, told in _TOLD.items():
        names = [name for name in used if kinds[name] == kind and name not in stated]
        if names:
            texts = [name for name in used if kinds[name] == "text"]
            said = told.format(
                names=clean(", ".join(names), 200),
                columns=clean(to_flow(names), 250),
                words=kinds_setting(dict.fromkeys(names, "words")),
                alone=", and the only input" if used == names[:1] else "",
                beside=_beside(len(texts), len(used) > len(texts)),
            )
            notes.append(said)
    return kinds, notes


def _beside(texts: int, has_numbers: bool) -> str:
    """Say what a model gets beside a text, or in place of several."""
    joined = ", one after the other" if texts > 1 else ""
    return joined + (", with the other inputs as numbers beside it" if has_numbers else "")


def _kind_of(column: Column) -> str:
    if isinstance(column, TextColumn) and _is_boolean(column.texts):
        return "boolean"
    if isinstance(column, TextColumn) and has_dates(column):
        return "date"
    if isinstance(column, TextColumn) and len(column.codes) >= LEAST_ROWS and is_free_text(column):
        return "text"
    return column.kind


def _is_boolean(texts: Collection[str]) -> bool:
    if not 2 <= len(texts) <= 8:
        return False
    return {text.lower() for text in texts} in [{*pair} for pair in _PAIRS]


def _as_booleans(
    name: str, column: TextColumn, file: str, lines: NDArray[np.int64]
) -> NumberColumn:
    values = [_BOOLEANS.get(text.lower(), -1.0) for text in column.texts]
    if -1.0 in values:
        line, text = place_of(column, values.index(-1.0), lines)
        raise BadInput(
            f"{file}:{line}: column '{clean(name, 80)}' has {text}, which is neither yes nor no, "
            "true nor false, 1 nor 0"
        )
    # The last one stands for a missing value, whose code is -1.
    return NumberColumn(np.array([*values, np.nan])[column.codes])


def place_of(column: TextColumn, code: int, lines: NDArray[np.int64]) -> tuple[int, str]:
    """Return the line of a text's first cell, and the text for display."""
    row = int((column.codes == code).argmax())
    return int(lines[row]), repr(clean(column.texts[code], 40))


def _is_id(name: str, column: Column) -> bool:
    """Whether a column counts the rows, or has a different text in each, or a different whole
    number and the name of an id.
    """
    rows = len(column.missing)
    if rows < LEAST_ROWS:
        return False
    if isinstance(column, NumberColumn):
        return column.counts_rows or (is_name_of_id(name) and _differ(column))
    present = rows - column.gap_count
    return 2 * present >= rows and len(column.texts) == present


def _differ(column: NumberColumn) -> bool:
    """Whether each row has a whole number of its own."""
    values = column.values
    are_whole = bool((values == np.floor(values)).all())
    return are_whole and len(np.unique(values)) == len(values)


def _varies(column: Column) -> bool:
    if isinstance(column, TextColumn):
        return len(column.texts) + (column.gap_count > 0) > 1
    present = column.present
    return len(present) > 0 and bool(
        len(present) < len(column.values) or (present != present[0]).any()
    )


def _id_note(name: str, column: Column) -> str:
    if isinstance(column, NumberColumn):
        what = (
            "only numbers the rows" if column.counts_rows else "has a different number in each row"
        )
        reason, kind = what, "number"
    else:
        reason, kind = "has a different text in each row", "category"
    return f"{clean(name, 80)}: {reason}, and is left out; {setting_of(name, kind)} keeps it"
