"""`SequenceRows`: the rows of a CSV file of sequences, checked and assigned to their sequences.

Layer: data. Rows of different sequences may be mixed in the file. Rows are not moved; each one
records its sequence and its position in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import SequencesSection
from tui_trainer.data.files.columns import Column, NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.files.csv import no_column
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import open_table, with_normal_names
from tui_trainer.data.sources.date_columns import as_dates
from tui_trainer.data.splits.row_keys import Keys, joined, text_keys
from tui_trainer.data.splits.split_column import split_words
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class SequenceRows:
    """F rows of a file, which belong to N sequences."""

    name: str
    sha256: str
    channels: dict[str, NDArray[np.float64]] = field(repr=False)
    """(F,) numbers, by the name of their column; NaN where one is missing."""
    target: Column
    """(F,), without missing values."""
    members: Ints
    """(F,) the sequence of each row; sequences are numbered in the order of their first rows."""
    places: Ints
    """(F,) the position of each row in its sequence, from 0."""
    lengths: Ints
    """(N,) the number of rows of each sequence."""
    firsts: Ints
    """(N,) the index of each sequence's first row among the F rows."""
    rows: Ints
    """(N,) the number of that row among the rows of the file, from 0."""
    lines: Ints
    """(F,) the line of the file that each row begins in."""
    identities: Keys
    """(N,) hashes of the id of each sequence and of its split, if a column states that."""
    parts: Ints
    """(N,) the split of each sequence by `split_words`; all are 0 without such a column."""
    notes: tuple[str, ...]


def read_frames(
    section: SequencesSection,
    wanted: str,
    older: Mapping[str, Any] | None = None,
    *,
    whole: bool = False,
) -> SequenceRows:
    """Read the file of a section; BadInput names the line, column or setting that is wrong.

    With `whole` the sequences are not divided, whatever the column of `dataset.split` says.
    """
    opened = open_table(section, older=older)
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    channels = _check_settings(section, file, header)
    table = read_table(file, header, _requested_kinds(section, wanted, channels))
    _check_channels(file, table, channels)
    parts = _split_words(section, file, table)
    members = _members(section, file, table, parts)
    kept_rows, notes = _select_complete(section, file, table, channels, members)
    members, firsts, lengths = _renumber(members[kept_rows])
    lines = table.lines[kept_rows]
    order, order_notes = _sort_rows(section, file, table, kept_rows, members, lines)
    places = np.empty(len(kept_rows), dtype=np.int64)
    places[order] = np.arange(len(kept_rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    sequence_parts = parts[kept_rows][firsts]
    ids = table.columns[section.sequence].take(kept_rows[firsts])
    assert isinstance(ids, TextColumn)
    return SequenceRows(
        name=file.name,
        sha256=file.sha256,
        channels={name: _numbers(table, name)[kept_rows] for name in channels},
        target=table.columns[section.target].take(kept_rows),
        members=members,
        places=places,
        lengths=lengths,
        firsts=firsts,
        rows=kept_rows[firsts],
        lines=lines,
        identities=joined(text_keys(ids.texts)[ids.codes], sequence_parts.astype(np.uint64)),
        parts=sequence_parts,
        notes=(*opened.notes, *table.notes, *notes, *order_notes),
    )


@dataclass(frozen=True, slots=True, eq=False)
class NewFrames:
    """Rows of sequences without targets; the fields are as in `SequenceRows`."""

    file: DataFile
    header: tuple[str, ...]
    channels: dict[str, NDArray[np.float64]] = field(repr=False)
    members: Ints
    places: Ints
    lengths: Ints
    lines: Ints
    ids: tuple[str, ...]
    """(N,) the id of each sequence, as in the file."""
    notes: tuple[str, ...]


def read_new_frames(section: SequencesSection, channels: Sequence[str], path: str) -> NewFrames:
    """Read a file with these channels; without a column of ids, the file is one sequence.

    Raises:
        BadInput: something is wrong with the file; names the line or column.
    """
    opened = open_table(section, path, dict.fromkeys(channels))
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    absent = [name for name in channels if name not in header]
    if absent:
        trained = f"the model was trained on: {clean(', '.join(channels), 300)}"
        raise BadInput(f"{no_column(absent[0], file, header)}; {trained}")
    present = {key: getattr(section, key) in header for key in ("sequence", "step", "split")}
    usable = section.model_copy(update={key: None for key in ("step", "split") if not present[key]})
    kinds: dict[str, RequestedKind] = dict.fromkeys(channels, "number")
    for key, kind in (("sequence", "category"), ("step", "auto"), ("split", "category")):
        if present[key]:
            kinds[getattr(section, key)] = kind  # type: ignore[assignment]
    table = read_table(file, header, kinds)
    if section.missing != "mean":
        missing = {name: table.columns[name].missing for name in channels}
        _refuse_missing(file, table, missing, "mean when training")
    all_rows = np.arange(len(table.lines))
    groups = np.zeros(len(all_rows), dtype=np.int64)
    ids: tuple[str, ...] = ("",)
    if present["sequence"]:
        groups = _members(usable, file, table, _split_words(usable, file, table))
    members, firsts, lengths = _renumber(groups)
    if present["sequence"]:
        column = table.columns[section.sequence]
        assert isinstance(column, TextColumn)
        ids = tuple(column.texts[code] for code in column.codes[firsts])
    order, order_notes = _sort_rows(usable, file, table, all_rows, members, table.lines)
    places = np.empty(len(all_rows), dtype=np.int64)
    places[order] = all_rows - np.repeat(np.cumsum(lengths) - lengths, lengths)
    numbers = {name: _numbers(table, name) for name in channels}
    notes = (*table.notes, *order_notes)
    return NewFrames(file, header, numbers, members, places, lengths, table.lines, ids, notes)


def fit_to_file(
    section: SequencesSection, channels: Sequence[str], path: str
) -> tuple[SequencesSection, list[str]]:
    """Return the section for another file with these channels, and its columns that are ignored.

    Columns of `dataset.step` and `dataset.split` may be missing.

    Raises:
        BadInput: a channel, the target or the column of ids is missing; lists them.
    """
    opened = open_table(section, path, dict.fromkeys(channels))
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    missing = [name for name in (section.sequence, section.target, *channels) if name not in header]
    if missing:
        also = f"; also missing: {clean(', '.join(missing[1:]), 300)}" if missing[1:] else ""
        raise BadInput(f"{no_column(missing[0], file, header)}{also}")
    changes: dict[str, Any] = {
        key: None for key in ("step", "split") if getattr(section, key) not in header
    }
    used = {section.sequence, section.target, section.step, section.split, *channels}
    others = [name for name in header if name not in used]
    ignored = [name for name in others if name not in section.drop]
    changes |= {"path": path, "drop": tuple(others)}
    return section.model_copy(update=changes), ignored


def _check_settings(
    section: SequencesSection, file: DataFile, header: Sequence[str]
) -> tuple[str, ...]:
    """Return the names of the channels; ConfigError lists every setting that does not fit."""
    keys = {key: getattr(section, key) for key in ("sequence", "step", "target", "split")}
    named_columns = [(key, name) for key, name in keys.items() if name is not None]
    problems = [
        Problem(no_column(name, file, header), f"dataset.{key}")
        for key, name in [*named_columns, *(("drop", name) for name in section.drop)]
        if name not in header
    ]
    used: dict[str, str] = {}
    for key, name in named_columns:
        if name in used:
            message = f"column '{clean(name, 80)}' is dataset.{used[name]} already"
            problems.append(Problem(message, f"dataset.{key}"))
        elif name in section.drop:
            problems.append(Problem(f"'{clean(name, 80)}' is dataset.{key}", "dataset.drop"))
        used.setdefault(name, key)
    channels = tuple(name for name in header if name not in {*used, *section.drop})
    if not problems and not channels:
        problems.append(Problem(f"{file.name} has no column left for a channel", "dataset.drop"))
    if problems:
        raise ConfigError(problems)
    return channels


def _requested_kinds(
    section: SequencesSection, wanted: str, channels: Sequence[str]
) -> dict[str, RequestedKind]:
    kinds: dict[str, RequestedKind] = {section.sequence: "category", section.target: "auto_target"}
    if wanted != "auto":
        kinds[section.target] = "category" if wanted == "classification" else "number"
    if section.step is not None:
        kinds[section.step] = "auto"
    if section.split is not None:
        kinds[section.split] = "category"
    # Earlier versions took numbers of different units as they are.
    channel: RequestedKind = "auto_rounded" if section.is_of_earlier_run else "auto"
    return kinds | dict.fromkeys(channels, channel)


def _check_channels(file: DataFile, table: Table, channels: Sequence[str]) -> None:
    for name in channels:
        column = table.columns[name]
        if isinstance(column, TextColumn):
            row = int((column.codes >= 0).argmax())
            text = clean(column.texts[column.codes[row]], 40)
            raise BadInput(
                f"{file.name}:{table.lines[row]}: column '{clean(name, 80)}' has {text!r}, but a "
                "channel must be numeric; add the column to dataset.drop"
            )


def _numbers(table: Table, name: str) -> NDArray[np.float64]:
    column = table.columns[name]
    assert isinstance(column, NumberColumn)
    return column.values


def _split_words(section: SequencesSection, file: DataFile, table: Table) -> Ints:
    """Return each row's split: 0 training, 1 validation, 2 test; all 0 without a split column."""
    if section.split is None:
        return np.zeros(len(table.lines), dtype=np.int64)
    return split_words(table.columns[section.split], section.split, table.lines, file.name)


def _members(section: SequencesSection, file: DataFile, table: Table, parts: Ints) -> Ints:
    """Return a number for each row that identifies its pair of id and split."""
    column = table.columns[section.sequence]
    assert isinstance(column, TextColumn)
    if column.gap_count:
        line = table.lines[int(column.missing.argmax())]
        raise BadInput(
            f"{file.name}:{line}: column '{clean(section.sequence, 80)}' is empty; every row "
            "needs the id of its sequence"
        )
    return column.codes * 3 + parts


def _select_complete(
    section: SequencesSection,
    file: DataFile,
    table: Table,
    channels: Sequence[str],
    members: Ints,
) -> tuple[Ints, list[str]]:
    """Return the rows that are kept under `dataset.missing`, and notes."""
    missing = {name: table.columns[name].missing for name in (*channels, section.target)}
    if section.missing == "mean":
        # A missing target cannot be replaced by the mean.
        _refuse_missing(file, table, {section.target: missing[section.target]}, "drop")
        return np.arange(len(members)), []
    if section.missing == "error":
        _refuse_missing(file, table, missing, "mean or dataset.missing=drop")
        return np.arange(len(members)), []
    incomplete = np.any(list(missing.values()), axis=0)
    left_out = np.unique(members[incomplete])
    kept_rows = np.flatnonzero(~np.isin(members, left_out))
    if not len(kept_rows):
        raise BadInput(f"{file.name}: no sequence is left, because each has a missing value")
    count = len(left_out)
    noun = "sequence" if count == 1 else "sequences"
    return kept_rows, [f"{count} {noun} with missing values left out"] if count else []


def _refuse_missing(
    file: DataFile, table: Table, missing: dict[str, NDArray[np.bool_]], ways: str
) -> None:
    incomplete = np.any(list(missing.values()), axis=0)
    if incomplete.any():
        row = int(incomplete.argmax())
        name = next(name for name, where in missing.items() if where[row])
        count = int(incomplete.sum())
        others = f" (and {count - 1} more rows have missing values)" if count > 1 else ""
        raise BadInput(
            f"{file.name}:{table.lines[row]}: column '{clean(name, 80)}' has no value{others}; "
            f"set dataset.missing={ways}"
        )


def _renumber(members: Ints) -> tuple[Ints, Ints, Ints]:
    """Renumber sequences in the order of their first rows.

    Returns the new number of each row, and the first row and the length of each sequence.
    """
    _, firsts, inverse, counts = np.unique(
        members, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[inverse], firsts[order], counts[order]


def _steps(
    section: SequencesSection, file: DataFile, table: Table
) -> tuple[NDArray[np.float64], bool]:
    """Return the step of each row, a number or the days since 1970, and whether they are dates."""
    name = str(section.step)
    column = table.columns[name]
    if isinstance(column, NumberColumn):
        return column.values, False
    order = None if section.dates == "auto" else section.dates
    return as_dates(name, column, file.name, table.lines, order).values, True


def _sort_rows(
    section: SequencesSection,
    file: DataFile,
    table: Table,
    rows: Ints,
    members: Ints,
    lines: Ints,
) -> tuple[Ints, list[str]]:
    """Sort the rows by sequence and step, and return notes.

    Raises:
        BadInput: a step is missing from a row, or occurs twice in a sequence.
    """
    if section.step is None:
        return np.argsort(members, kind="stable"), []
    steps, has_dates = _steps(section, file, table)
    steps, shown = steps[rows], clean(section.step, 80)
    if np.isnan(steps).any():
        line = lines[int(np.isnan(steps).argmax())]
        raise BadInput(f"{file.name}:{line}: column '{shown}' is empty; every row needs its step")
    order = np.lexsort((steps, members))
    step_sizes = np.diff(steps[order])
    inside = np.diff(members[order]) == 0
    twice = np.flatnonzero(inside & (step_sizes == 0))
    if len(twice):
        # The sort is stable, so equal steps are in file order and the later line is named.
        row = twice[np.argmin(lines[order[twice + 1]])]
        step = f"the {shown} of this row" if has_dates else f"{shown} {steps[order[row]]:g}"
        raise BadInput(
            f"{file.name}:{lines[order[row + 1]]}: {step} occurs already, in line "
            f"{lines[order[row]]} of the same sequence; remove one, or give the sequences "
            "different ids"
        )
    gaps = inside & (step_sizes > 1)
    # Months are of different lengths, so days say nothing of gaps between dates.
    if has_dates or not gaps.any() or not np.equal(np.mod(steps, 1), 0).all():
        return order, []
    after = order[int(gaps.argmax()) + 1]
    count = len(np.unique(members[order[1:][gaps]]))
    noun = "sequence has" if count == 1 else "sequences have"
    note = f"{count} {noun} gaps in {shown}, the first before line {lines[after]}; they are ignored"
    return order, [note]
