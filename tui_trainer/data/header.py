"""The header of a CSV table: names of columns, all different.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui_trainer.data.files import DataFile
from tui_trainer.data.values import to_number
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput


def check_header(file: DataFile, header: Sequence[str]) -> None:
    """Raise BadInput unless every column has a name of its own."""
    if all(to_number(name) is not None for name in header):
        raise BadInput(f"{file.name}:1: a table needs a header with the names of its columns")
    seen: set[str] = set()
    for position, name in enumerate(header, 1):
        if not name:
            raise BadInput(
                f"{file.name}:1: column {position} has no name; give it one, and add it to "
                "dataset.drop if it only counts the rows"
            )
        if name in seen:
            raise BadInput(f"{file.name}:1: two columns are named '{clean(name, 80)}'; rename one")
        seen.add(name)


def no_column(name: str, file: DataFile, header: Sequence[str]) -> str:
    """What to say of a setting that names a column which is not there."""
    there = clean(", ".join(header[:20]), 400)
    message = f"no column '{clean(name, 80)}' in {file.name}"
    if other := other_separator(header):
        return f"{message}; {other}"
    return f"{message}{clean(suggest(name, header))}; there are: {there}"


def other_separator(header: Sequence[str]) -> str:
    """What to say of a header whose fields are separated by something else, or nothing."""
    if len(header) != 1 or not any(separator in header[0] for separator in ";\t|"):
        return ""
    return f"the header is one field, '{clean(header[0], 400)}': the separator should be a comma"
