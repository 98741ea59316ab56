"""`find_target`: the column of a table that is predicted if none is named.

Layer: data.
"""

from __future__ import annotations

from tui_trainer.config.sections.datasets import DelimitedSection
from tui_trainer.data.files.cell_values import to_numbers
from tui_trainer.data.files.table_reader import read_table, rows_as_written
from tui_trainer.data.files.tables import OpenTable, open_table
from tui_trainer.data.sources.table_targets import TARGETS
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_MOST_COMPARED = 20
"""That many rows are looked at for spaces between numbers."""
_MOST_CLASSES = 20
_LEAST_PER_CLASS = 5


def find_target(section: DelimitedSection) -> tuple[str, str]:
    """Return the column of a table that its name or its place makes the target, and the reason.

    Raises:
        BadInput: the file is no table, or has nothing to predict from.
    """
    opened = open_table(section)
    used = [getattr(section, name, None) for name in ("sequence", "step", "split", "group")]
    left_out = {*getattr(section, "drop", ()), *used}
    header = [name for name in opened.header if name not in {*left_out, opened.split}]
    if len(header) < 2:
        if not opened.header:
            raise BadInput(f"{opened.file.name}: no columns; write the table again")
        only = f" ('{clean(header[0], 80)}')" if header else ""
        way = "separate the columns by , ; | or tabs, or set dataset.type=text for a plain text"
        if header and _has_spaces_between_columns(opened, header[0]):
            way = (
                "are its columns separated by spaces? Write commas in their place: "
                "sed -E 's/^ +//; s/[[:space:]]+/,/g' FILE > FILE.csv"
            )
        if len(opened.header) > 1:
            way = f"the file has {len(opened.header)}; leave fewer out"
        raise BadInput(
            f"{opened.file.name}: one column{only}, so there is nothing to predict from; {way}"
        )
    named = [column for column in header if column.strip().lower() in TARGETS]
    if len(named) == 1:
        return named[0], "by its name"
    last = next((name for name in reversed(header) if name not in opened.unnamed), header[-1])
    return last, "the last column" if last == header[-1] else "the last column with a name"


def check_target(section: DelimitedSection) -> None:
    """Raise BadInput if the texts of a table's target are too many to be classes."""
    opened = open_table(section)
    name = str(getattr(section, "target", ""))
    table = read_table(opened.file, opened.header, {name: "auto_target"})
    column, shown = table.columns[name], clean(name, 80)
    if numbers := next((note for note in table.notes if note.startswith(f"{shown}: read as")), ""):
        raise BadInput(
            f"{opened.file.name}: {numbers}; to predict them, correct the others, or name those "
            "that stand for a missing value in dataset.missing_values"
        )
    count, rows = len(getattr(column, "texts", ())), len(column.missing)
    if 2 * count > rows and count > 2:
        others = clean(", ".join(other for other in opened.header[:20] if other != name), 400)
        raise BadInput(
            f"{opened.file.name}: column '{shown}' has {count:,} different texts in {rows:,} rows, "
            f"so it is not a class; name the one to predict: --target COLUMN; available: {others}"
        )


def hint_on_first_column(section: DelimitedSection) -> str:
    """Return how to predict the first column of a table without a header, if only its values look
    like classes and those of the last column do not; otherwise an empty string.

    Nothing else tells them apart: there are files with the class first as well as last.
    """
    opened = open_table(section)
    file, header = opened.file, opened.header
    if file.style.has_header or getattr(section, "target", None) != header[-1]:
        return ""
    names = (header[0], header[-1])
    rows = next(rows_as_written(file, header, names))
    texts, last = ({*rows.distinct(name)[0]} for name in names)
    values, foreign = to_numbers([*texts])
    are_names = len(foreign) == len(texts) or (not foreign and bool((values % 1 == 0).all()))
    is_class = 1 < len(texts) <= min(_MOST_CLASSES, len(rows.lines) // _LEAST_PER_CLASS)
    if not (is_class and are_names) or len(last) <= _MOST_CLASSES:
        return ""
    shown, as_classes = clean(header[0], 80), "" if foreign else " problem=classification"
    return (
        f"{shown} has only {len(texts)} different values, as a class has; "
        f"--target '{shown}'{as_classes} predicts it instead of the last column"
    )


def _has_spaces_between_columns(opened: OpenTable, name: str) -> bool:
    """Whether the header, or all of the first texts below it, are numbers beside each other."""
    if _has_spaces_between_numbers(name):
        return True
    column = read_table(opened.file, opened.header, {name: "category"}).columns[name]
    rows = getattr(column, "texts", ())[:_MOST_COMPARED]
    widths = {len(text.split()) for text in (name, *rows)}
    return len(widths) == 1 and bool(rows) and all(map(_has_spaces_between_numbers, rows))


def _has_spaces_between_numbers(text: str) -> bool:
    numbers, foreign = to_numbers(text.split())
    return len(numbers) - len(foreign) > 1
