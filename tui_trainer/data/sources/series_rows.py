"""`SeriesRows`: the rows of a table of time series, sorted by series and time.

Layer: data. A time is a date or a number; without a column for it, it is the place of a row among
those of its series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import ForecastSection
from tui_trainer.data.files.columns import NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.files.csv import no_column
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import open_table, with_normal_names
from tui_trainer.data.sources.date_columns import as_dates
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesRows:
    """F rows of a file that belong to S series; the rows of a series follow each other."""

    name: str
    sha256: str
    channels: dict[str, NDArray[np.float64]] = field(repr=False)
    """(F,) numbers by the name of their column, those to forecast first; NaN for a gap."""
    firsts: Ints
    """(S,) the place of each series' first row among the F rows."""
    lengths: Ints
    """(S,) the number of rows of each series."""
    ids: tuple[str, ...]
    """(S,) the id of each series, as in the file; empty if there is one without an id."""
    times: NDArray[np.float64]
    """(F,) ascending within a series."""
    rows: Ints
    """(F,) the number of each row among those of the file, from 0."""
    lines: Ints
    """(F,) the line of the file that each row begins in."""
    order: str
    """What goes first in the dates of the times, as in `as_dates`."""
    notes: tuple[str, ...]


def read_series(
    section: ForecastSection,
    path: str | None = None,
    fitted: Mapping[str, Any] | None = None,
) -> SeriesRows:
    """Read the file of a section.

    Args:
        section: names the columns, and the file unless `path` does.
        path: another file that is written like it; one without a column of ids is one series.
        fitted: the channels of a checkpoint, which are read of another file, and what goes first
            in its dates; None: the columns that the section gives no other use, and dates as the
            settings or the cells say.

    Raises:
        BadInput: names the line, column or setting that is wrong.
    """
    known, order = (fitted["channels"], fitted["order"]) if fitted else (None, None)
    opened = open_table(section, path, known)
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    channels = (*(known or ()),) if path is not None else _channels(section, file, header)
    if absent := [name for name in channels if name not in header]:
        trained = f"the model was trained on: {clean(', '.join(channels), 300)}"
        raise BadInput(f"{no_column(absent[0], file, header)}; {trained}")
    table = read_table(file, header, _kinds(section, header, channels))
    numbers = {name: _numbers(file, table, name) for name in channels}
    members, ids = _members(section, file, table)
    times, order = _times(section, file, table, order)
    places, firsts, lengths = _sorted(members, times)
    if times is None:
        sorted_times = (np.arange(len(places)) - np.repeat(firsts, lengths)).astype(np.float64)
    else:
        sorted_times = times[places]
        _refuse_twice(section, file, table.lines[places], sorted_times, firsts)
    return SeriesRows(
        name=file.name,
        sha256=file.sha256,
        channels={name: values[places] for name, values in numbers.items()},
        firsts=firsts,
        lengths=lengths,
        ids=ids,
        times=sorted_times,
        rows=places,
        lines=table.lines[places],
        order=order,
        notes=(*opened.notes, *table.notes, *_gap_notes(section, sorted_times, firsts)),
    )


def _kinds(
    section: ForecastSection, header: Sequence[str], channels: Sequence[str]
) -> dict[str, RequestedKind]:
    """Return how the columns are read; a file to predict may have no ids and no times."""
    kinds: dict[str, RequestedKind] = dict.fromkeys(channels, "auto_rounded")
    if section.series in header:
        kinds[str(section.series)] = "category"
    if section.time in header:
        kinds[str(section.time)] = "auto"
    return kinds


def _channels(section: ForecastSection, file: DataFile, header: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the channels, those to forecast first.

    Raises:
        ConfigError: a setting does not fit the header; names each one.
    """
    special = {key: getattr(section, key) for key in ("series", "time")}
    named = [("target", name) for name in section.targets]
    named += [(key, name) for key, name in special.items() if name is not None]
    problems = [
        Problem(no_column(name, file, header), f"dataset.{key}")
        for key, name in [*named, *(("drop", name) for name in section.drop)]
        if name not in header
    ]
    for key, name in named:
        if name in section.drop:
            problems.append(Problem(f"'{clean(name, 80)}' is dataset.{key}", "dataset.drop"))
    names = [name for _, name in named]
    for key, name in named:
        if names.count(name) > 1:
            message = f"'{clean(name, 80)}' is named twice"
            problems.append(Problem(message, f"dataset.{key}"))
    if problems:
        raise ConfigError(problems)
    used = {*names, *section.drop}
    return (*section.targets, *(name for name in header if name not in used))


def _numbers(file: DataFile, table: Table, name: str) -> NDArray[np.float64]:
    column = table.columns[name]
    if isinstance(column, NumberColumn):
        return column.values
    row = int((column.codes >= 0).argmax())
    text = clean(column.texts[column.codes[row]], 40)
    raise BadInput(
        f"{file.name}:{table.lines[row]}: column '{clean(name, 80)}' has {text!r}, but what is "
        "forecast, and what it is forecast from, must be numbers; add other columns to "
        "dataset.drop, or name them in dataset.time or dataset.series"
    )


def _members(
    section: ForecastSection, file: DataFile, table: Table
) -> tuple[Ints, tuple[str, ...]]:
    """Return the number of each row's series, and the ids of the series."""
    column = table.columns.get(section.series or "")
    if not isinstance(column, TextColumn):
        return np.zeros(len(table.lines), dtype=np.int64), ("",)
    if column.gap_count:
        line = table.lines[int(column.missing.argmax())]
        raise BadInput(
            f"{file.name}:{line}: column '{clean(str(section.series), 80)}' is empty; every row "
            "needs the id of its series"
        )
    return column.codes, column.texts


def _times(
    section: ForecastSection, file: DataFile, table: Table, order: str | None
) -> tuple[NDArray[np.float64] | None, str]:
    """Return the time of each row, a number or days since 1970, and what goes first in dates.

    Without a column of times there are none.
    """
    name = str(section.time)
    if name not in table.columns:
        return None, ""
    column = table.columns[name]
    if isinstance(column, TextColumn):
        if order is None and section.dates != "auto":
            order = section.dates
        column = as_dates(name, column, file.name, table.lines, order)
    if column.gap_count:
        line = table.lines[int(column.missing.argmax())]
        raise BadInput(
            f"{file.name}:{line}: column '{clean(name, 80)}' is empty; every row needs its time"
        )
    return column.values, column.form


def _sorted(members: Ints, times: NDArray[np.float64] | None) -> tuple[Ints, Ints, Ints]:
    """Return the order of the rows, and the first place and the length of each series in it."""
    places = np.argsort(members, kind="stable") if times is None else np.lexsort((times, members))
    _, firsts, lengths = np.unique(members[places], return_index=True, return_counts=True)
    return places, firsts, lengths


def _refuse_twice(
    section: ForecastSection,
    file: DataFile,
    lines: Ints,
    times: NDArray[np.float64],
    firsts: Ints,
) -> None:
    same = np.flatnonzero(_steps(times, firsts) == 0)
    if len(same):
        # The sort is stable, so the later line is named, and the first of these.
        row = same[np.argmin(lines[same + 1])]
        hint = (
            "name the column that tells series apart in dataset.series"
            if section.series is None
            else "remove one, or give the series different ids"
        )
        raise BadInput(
            f"{file.name}:{lines[row + 1]}: the {clean(str(section.time), 80)} of this row occurs "
            f"already, in line {lines[row]}; {hint}"
        )


def _steps(times: NDArray[np.float64], firsts: Ints) -> NDArray[np.float64]:
    """Return the differences (F - 1,) of neighbours, NaN between two series."""
    steps = np.diff(times)
    steps[firsts[1:] - 1] = np.nan
    return steps


def _gap_notes(section: ForecastSection, times: NDArray[np.float64], firsts: Ints) -> list[str]:
    """Return a note if some rows are further apart than most; months differ by themselves."""
    steps = _steps(times, firsts)
    steps = steps[~np.isnan(steps)]
    if section.time is None or not len(steps):
        return []
    usual = float(np.median(steps))
    gaps = int((steps > 1.5 * usual).sum())
    if not gaps:
        return []
    return [
        f"{clean(section.time, 80)}: {counted(gaps, 'gap')} wider than the usual step; windows "
        "count rows, so fill in rows that are not there if time matters"
    ]
