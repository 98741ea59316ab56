"""`has_no_header`: tells whether the first row of a delimited text has names or values.

Layer: data. The first rows decide; a doubt is said in a note with the setting that decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tui_trainer.data.files.cell_values import is_missing, to_number
from tui_trainer.data.files.date_forms import DAY_FIRST, read_date
from tui_trainer.data.files.number_forms import FORMS
from tui_trainer.text.clean import clean

_ROWS_OF_TEXTS = 10
"""In fewer rows, texts that occur twice may be names."""
_LEAST_SCALE = 5
"""So many numbers that ascend are a scale, and may be names."""


def column_names(width: int) -> list[str]:
    """Return the names of the columns of a table without a header."""
    return [f"column {position}" for position in range(1, width + 1)]


def has_no_header(rows: Sequence[Sequence[str]], older: Mapping[str, Any] | None) -> bool:
    """Whether the first row is like the others: numbers where they have numbers, and texts that
    others have too where they have texts. `older` is the preprocessing of a checkpoint.

    Numbers with decimals are no names, unless they ascend as wavelengths do.
    """
    if older is not None:
        inputs = {*older.get("inputs", older)}
        if not rows or not inputs or inputs <= {name.strip() for name in rows[0]}:
            return False
        return inputs <= {*column_names(len(rows[0]))}
    columns = _first_columns(rows)
    names = numbers = 0
    values: list[float] = []
    for first, others in columns:
        if (number := _number(first)) is not None and _are_numbers(others):
            numbers += _is_present(number)
            values += [number] if _is_present(number) else []
        elif not is_missing(first):
            if _are_numbers(others):
                return False
            names += not _is_among(first, others)
    if not names:
        return numbers > 0 or (len(columns) > 1 and len(rows) >= _ROWS_OF_TEXTS)
    is_scale = len(values) >= _LEAST_SCALE and sorted({*values}) == values
    return not is_scale and any(value < 0 or value != int(value) for value in values)


def number_in_header(rows: Sequence[Sequence[str]]) -> str:
    """Return the first number of a header that is above numbers, cleaned; empty if none is."""
    numbers = (
        first.strip()
        for first, others in _first_columns(rows)
        if _is_present(_number(first)) and _are_numbers(others)
    )
    return clean(next(numbers, ""), 40)


def _first_columns(rows: Sequence[Sequence[str]]) -> list[tuple[str, list[str]]]:
    """Return of each column the first cell, and the others, unless there are none."""
    # A row of another width is refused later, with its line.
    rows = [row for row in rows if len(row) == len(rows[0])]
    return [(first, others) for first, *others in zip(*rows, strict=True) if others]


def _are_numbers(texts: Sequence[str]) -> bool:
    numbers = [*map(_number, texts)]
    return None not in numbers and any(map(_is_present, numbers))


def _is_among(first: str, others: Sequence[str]) -> bool:
    """Whether a text is one of others, or a date as they are."""
    if first.strip() in {text.strip() for text in others}:
        return True
    return all(read_date(text, DAY_FIRST) is not None for text in (first, *others[:2]))


def _number(text: str) -> float | None:
    """Return the number that a text is, however it is written; infinity is none."""
    number = to_number(text)
    if number is None:
        plain = next(filter(None, (form.plain(text) for form in FORMS.values())), None)
        number = None if plain is None else float(plain)
    return None if number is not None and math.isinf(number) else number


def _is_present(number: float | None) -> bool:
    return number is not None and not math.isnan(number)
