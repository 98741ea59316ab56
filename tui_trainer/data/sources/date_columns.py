"""Date columns of a table: read from texts as days since 1970, and expanded to inputs.

Layer: data. The inputs are the days, and of year, month, weekday and hour those that vary in the
training rows. Month, weekday and hour are a sine and a cosine each, so that December is next to
January.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import NumberColumn, TextColumn
from tui_trainer.data.files.date_forms import (
    DAY_FIRST,
    MONTH_FIRST,
    find_order,
    has_short_years,
    read_date,
    read_dates,
)
from tui_trainer.data.sources.encoding import moments, standardise
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Floats = NDArray[np.float64]

MOSTLY = 0.9
"""A column with at least this share of dates, or numbers, has only these, and any other text in it
is an error."""

_LOOKED_AT = 100
_COMPACT_TIMES = (1, 10**4, 10**6)
"""A day as a number is multiplied by one of these where hours and minutes, or seconds, follow."""
_PERIODS = {"month": 12, "weekday": 7, "hour": 24}
_THURSDAY = 3
"""The weekday of the first of January 1970, counted from Monday."""


def has_dates(column: TextColumn) -> bool:
    """Whether nearly all cells are dates, and at least two of them different."""
    if len(column.texts) < 2 or 2 * _count(column.texts[:_LOOKED_AT]) < min(
        len(column.texts), _LOOKED_AT
    ):
        return False
    is_date = np.zeros(len(column.texts), dtype=np.bool_)
    for order in (find_order(column.texts), DAY_FIRST, MONTH_FIRST):
        left = np.flatnonzero(~is_date)
        is_date[left] = ~np.isnan(read_dates([column.texts[place] for place in left], order))
    rows = np.bincount(column.codes[column.codes >= 0], minlength=len(is_date))
    if rows[is_date].sum() < MOSTLY * rows.sum():
        return False
    # Seasons, such as 2009-10, are no months.
    return not all(_is_season(text) for text in column.texts)


def doubt_about_dates(name: str, column: NumberColumn | TextColumn) -> list[str]:
    """Return a note if a column that is not one of dates looks like one; `name` is cleaned."""
    if isinstance(column, TextColumn):
        texts = [text for text in column.texts[:_LOOKED_AT] if text]
        if len(texts) < 2 or not has_short_years(texts):
            return []
        setting = f"dataset.kinds={{{name}: date}} with dataset.dates=day_first or month_first"
        return [f"{name}: {clean(texts[0], 40)} may be a date of two digits a year; {setting}"]
    present = column.present
    numbers = present[:_LOOKED_AT]
    if len(numbers) < 2 or not _are_compact(numbers) or not _are_compact(present):
        return []
    setting = f"dataset.kinds={{{name}: date}}"
    return [f"{name}: read as numbers; {numbers[0]:.0f} may be a date, and {setting} reads it so"]


def _are_compact(numbers: Floats) -> bool:
    """Whether all numbers are a year, month and day in eight digits, or a time behind them."""
    if not (numbers == np.floor(numbers)).all():
        return False
    for shift in _COMPACT_TIMES:
        days = numbers // shift
        if ((days >= 18000101) & (days <= 22001231)).all():
            months, days = days // 100 % 100, days % 100
            return bool(((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all())
    return False


def as_dates(
    name: str,
    column: TextColumn,
    file: str,
    lines: NDArray[np.int64],
    order: str | None,
    ways: str = "",
) -> NumberColumn:
    """Return the dates of a column as days since 1970; its form says what goes first in them.

    Args:
        name: of the column.
        column: its texts.
        file: the name of the file, for messages.
        lines: (N,) the line of each row.
        order: `day_first`, `month_first`, empty if no date needed one; None: told by the cells.
        ways: what can be done about a cell that is no date, beside correcting it.

    Raises:
        BadInput: a cell is no date, or may be two; names its line.
    """
    form = find_order(column.texts) if order is None else order
    days = read_dates(column.texts, form, is_stated=bool(order))
    if np.isnan(days).any():
        code = int(np.isnan(days).argmax())
        line = lines[int((column.codes == code).argmax())]
        text = column.texts[code]
        where = f"{file}:{line}: column '{clean(name, 80)}' has {clean(text, 40)!r}"
        both = [read_date(text, possible) for possible in (DAY_FIRST, MONTH_FIRST)]
        if not form and None not in both:
            first, second = (_text_of(day) for day in both if day is not None)
            raise BadInput(
                f"{where}, which may be {first} or {second}; "
                "set dataset.dates=day_first or dataset.dates=month_first"
            )
        if not order and has_short_years([text]):
            raise BadInput(
                f"{where}, whose year has two digits; set dataset.dates=day_first or "
                "dataset.dates=month_first, or write four digits"
            )
        reading = f" with the {form.partition('_')[0]} first" if form else ""
        raise BadInput(f"{where}, which is not a date{reading}; correct it{ways}")
    # The last one stands for a missing value, whose code is -1.
    return NumberColumn(np.append(days, np.nan)[column.codes], form)


def fit_dates(name: str, train: NumberColumn, file: str) -> dict[str, Any]:
    """Fit dates on the training rows; BadInput if there are none."""
    days = train.present
    if not len(days):
        raise BadInput(
            f"{file}: column '{clean(name, 80)}' has no date in the training split; "
            "add it to dataset.drop"
        )
    start = float(np.floor(days.min()))
    mean, std = moments(days - start)
    year_mean, year_std = moments(_parts_of(days)["year"])
    return {
        "kind": "date",
        "order": train.form,
        "start": start,
        "mean": mean,
        "std": std or 1.0,
        "year": [year_mean, year_std] if year_std else None,
        "cycles": [part for part in _PERIODS if moments(_parts_of(days)[part])[1]],
        "missing": train.gap_count > 0,
    }


def encode_dates(
    name: str, column: NumberColumn, fitted: dict[str, Any]
) -> tuple[NDArray[np.float32], list[str]]:
    """Return the inputs (N, width) of dates: zeros for gaps, with an input of their own if training
    had some.
    """
    missing = column.missing
    days = np.where(missing, fitted["start"], column.values)
    parts = _parts_of(days)
    inputs = [standardise(days - fitted["start"], fitted["mean"], fitted["std"])]
    if fitted["year"] is not None:
        inputs.append(standardise(parts["year"], *fitted["year"]))
    for cycle in fitted["cycles"]:
        angle = parts[cycle] * (2 * math.pi / _PERIODS[cycle])
        inputs += [np.sin(angle), np.cos(angle)]
    block = np.stack(inputs, axis=1).astype(np.float32)
    block[missing] = 0.0
    if fitted["missing"]:
        block = np.concatenate([block, missing[:, None].astype(np.float32)], axis=1)
    notes = []
    if column.gap_count:
        dates = counted(column.gap_count, "missing date")
        notes.append(f"{clean(name, 80)}: {dates} as zeros")
    return block, notes


def describe_dates(name: str, column: NumberColumn, fitted: dict[str, Any]) -> str:
    """Return a note on the span of some dates, and on their inputs."""
    present = column.present
    names = ["days", *(["year"] if fitted["year"] is not None else []), *fitted["cycles"]]
    span = f"{_text_of(present.min())} to {_text_of(present.max())}"
    return f"{clean(name, 80)}: dates from {span}, as {', '.join(names)}"


def width_of_dates(fitted: dict[str, Any]) -> int:
    """Return the number of inputs of a fitted column of dates."""
    return 1 + (fitted["year"] is not None) + 2 * len(fitted["cycles"]) + int(fitted["missing"])


def _count(texts: Sequence[str]) -> int:
    orders = (DAY_FIRST, MONTH_FIRST)
    return sum(any(read_date(text, order) is not None for order in orders) for text in texts)


def _is_season(text: str) -> bool:
    year, _, rest = text.partition("-")
    return len(rest) == 2 and rest.isdigit() and (int(year) + 1) % 100 == int(rest)


def _parts_of(days: Floats) -> dict[str, Floats]:
    """Return the year, the month and weekday from 0, and the hour with its fraction."""
    whole = np.floor(days)
    dates = whole.astype(np.int64).astype("datetime64[D]")
    months = dates.astype("datetime64[M]").astype(np.int64)
    return {
        "year": (months // 12 + 1970).astype(np.float64),
        "month": (months % 12).astype(np.float64),
        "weekday": (whole + _THURSDAY) % 7,
        "hour": (days - whole) * 24,
    }


def _text_of(days: float) -> str:
    return str(np.datetime64(math.floor(days), "D"))
