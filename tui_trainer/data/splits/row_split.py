"""`RowSplit`: the split of some rows, made anew, or taken from the record of a run.

Layer: data. With a record no row moves: the rows of the run are found by their content, in the
order that the run has them in, and all others are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.data.splits.cuts import LEFT_OUT, TEST, TRAIN, VAL, Sides, split_identities
from tui_trainer.data.splits.division import Division
from tui_trainer.data.splits.position import Ints, SplitRows, divide, val_count
from tui_trainer.data.splits.record import RowChanges, SplitRecord
from tui_trainer.data.splits.row_keys import Keys, count_different, numbered
from tui_trainer.data.splits.strata import Strata
from tui_trainer.text.errors import ConfigError, Problem
from tui_trainer.text.format import counted

LEAST_DIFFERENT = 50
"""If fewer rows are different, and most are copies, equal rows need not be the same thing: some
answers to a few questions are. They are split like any others."""


@dataclass(frozen=True, slots=True, eq=False)
class RowSplit:
    """The rows of each split, in the order of the run."""

    parts: SplitRows
    record: SplitRecord | None = None
    """None for a run of an older version, which has none."""
    changes: RowChanges | None = None
    """Only if the split was taken from a record."""
    places: Ints | None = None
    """(R,) where each row of the record is among the rows of the data, -1 if it is gone; None: the
    rows of the record are those of the data."""
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> Ints:
        """All rows that are used."""
        return np.concatenate([self.parts.train, self.parts.val, self.parts.test])


def new_split(section: DatasetSection, division: Division, strata: Strata) -> RowSplit:
    """Split the rows of a new run; contents are those with the target."""
    fractions = section.test_fraction, section.val_fraction
    record = SplitRecord(
        division.rule,
        section.split_seed,
        division.identities,
        numbered(division.contents),
        np.zeros(len(division.identities), dtype=np.int8),
    )
    notes: tuple[str, ...] = ()
    if division.rule == "position":
        return _recorded(record, position_split(section, division, strata))
    if division.times is not None:
        sides, times = _by_time(division.times, *fractions)
        return _recorded(replace(record, times=times), parts_of(sides))
    if division.rule in ("identity", "column", "folders"):
        identities, notes = _told_apart(division)
        is_numbered = identities is not division.identities
        record = replace(record, identities=identities, are_numbered=is_numbered)
    sides = np.full(len(record.sides), TRAIN, dtype=np.int8)
    drawn = np.ones(len(sides), dtype=np.bool_)
    if division.test is not None:
        sides[division.test] = TEST
        drawn = ~division.test
        fractions = 0.0, section.val_fraction
    if division.val is not None:
        sides[division.val] = VAL
    else:
        rows = np.flatnonzero(drawn)
        sides[rows], cuts = split_identities(
            record.identities[rows],
            record.contents[rows],
            replace(strata, of_rows=strata.of_rows[rows]),
            section.split_seed,
            *fractions,
        )
        record = replace(record, cuts=cuts)
    if division.left_out is not None:
        sides[division.left_out] = LEFT_OUT
    return _recorded(record, parts_of(sides), notes)


def split_like(record: SplitRecord, division: Division, strata: Strata) -> RowSplit:
    """Split the rows of a new run as another run has them; contents are those with the target.

    Rows that the other run has keep their side, and so do those of its groups and files. The rest
    goes by its cut points.

    Raises:
        ConfigError: the other run was split by a rule that says nothing about them.
    """
    if record.rule == "position" or record.extents:
        raise _misfit("that run was split by position, which says nothing about other rows")
    if record.rule != division.rule:
        raise _misfit(
            f"that run was split by {record.rule}, and these settings split by {division.rule}"
        )
    contents = numbered(division.contents)
    identities = contents if record.are_numbered else division.identities
    if division.times is not None:
        sides = _sides_by_time(division.times, record.times)
    else:
        sides = record.cuts.sides(identities, contents, strata, record.seed)
    if division.times is None and division.test is None:
        places = find_rows(identities, record.identities)
    else:
        # Equal rows may be on two sides, so only the whole content tells which one it is.
        places = find_rows(contents, record.contents)
    sides = np.where(places >= 0, record.sides[places], sides).astype(np.int8)
    own = replace(
        record,
        identities=identities,
        contents=contents,
        sides=_as_stated(sides, division),
        is_of_another_run=False,
    )
    known = f"{int((places >= 0).sum()):,} of {counted(len(sides), 'row')}"
    note = f"{known} are split as in the run of dataset.split_from, the others by its cut points"
    if not (places >= 0).any():
        note += (
            "; rows are known by their inputs, so dataset.drop and the target have to be the same"
        )
    return RowSplit(parts_of(own.sides), own, notes=(note,))


def _as_stated(sides: Sides, division: Division) -> Sides:
    """Return the sides with those that a column states."""
    test, val = division.test, division.val
    if test is None:
        return sides
    if val is None:
        return np.where(test, TEST, np.where(sides == TEST, TRAIN, sides)).astype(np.int8)
    return np.where(test, TEST, np.where(val, VAL, TRAIN)).astype(np.int8)


def _misfit(message: str) -> ConfigError:
    return ConfigError([Problem(message, "dataset.split_from")])


def position_split(section: DatasetSection, division: Division, strata: Strata) -> SplitRows:
    """Split by the rule `position`."""
    return divide(
        strata.of_rows,
        section.split_seed,
        section.test_fraction,
        section.val_fraction,
        test=division.test,
        val=division.val,
        groups=division.groups,
    )


def split_of_run(record: SplitRecord, identities: Keys, contents: Keys) -> RowSplit:
    """Return the split of a run, in rows of the data as they are now.

    `contents` (N,) are hashes of the rows with their targets. A row whose content is not found is
    taken as it is now if its identity is, as where a target was corrected.
    """
    places = find_rows(record.contents, numbered(contents))
    gone = int((places < 0).sum())
    if gone:
        _find_changed(record, identities, places)
    there = places >= 0
    changes = RowChanges(gone, len(contents) - int(there.sum()), len(record.contents))
    train, val, test = (places[there & (record.sides == side)] for side in (TRAIN, VAL, TEST))
    return RowSplit(SplitRows(train, val, test), record, changes, places)


def _find_changed(record: SplitRecord, identities: Keys, places: Ints) -> None:
    """Set the places of rows whose content is not found, but whose identity is."""
    is_used = np.zeros(len(identities), dtype=np.bool_)
    is_used[places[places >= 0]] = True
    unused, missing = np.flatnonzero(~is_used), np.flatnonzero(places < 0)
    found = find_rows(numbered(record.identities[missing]), numbered(identities[unused]))
    places[missing[found >= 0]] = unused[found[found >= 0]]


def find_rows(wanted: Keys, present: Keys) -> Ints:
    """Return where each of the `wanted` keys is among those `present`, -1 if it is not there."""
    if not len(present):
        return np.full(len(wanted), -1)
    order = np.argsort(present)
    places = order[np.minimum(np.searchsorted(present[order], wanted), len(present) - 1)]
    return np.where(present[places] == wanted, places, -1)


def parts_of(sides: Sides) -> SplitRows:
    """Return the rows of each side, ascending."""
    train, val, test = (np.flatnonzero(sides == side) for side in (TRAIN, VAL, TEST))
    return SplitRows(train, val, test)


def _recorded(record: SplitRecord, parts: SplitRows, notes: tuple[str, ...] = ()) -> RowSplit:
    sides = np.full(len(record.contents), LEFT_OUT, dtype=np.int8)
    sides[parts.train], sides[parts.val], sides[parts.test] = TRAIN, VAL, TEST
    return RowSplit(parts, replace(record, sides=sides), notes=notes)


def _told_apart(division: Division) -> tuple[Keys, tuple[str, ...]]:
    """Return the identities, different for equal rows if these are answers to few questions.

    The note counts the copies.
    """
    identities = division.identities
    different = count_different(identities)
    copies = len(identities) - different
    if not copies:
        return identities, ()
    note = f"{counted(copies, 'row')} with the inputs of another row"
    if copies > different < LEAST_DIFFERENT:
        return numbered(division.contents), (f"{note}; only {different} are different",)
    if division.rule == "identity":
        return identities, (f"{note}, in the same split as that one",)
    return identities, ()


def _by_time(
    times: NDArray[np.float64], test_fraction: float, val_fraction: float
) -> tuple[Sides, tuple[float, ...]]:
    """Return the side (N,) of rows by their times, and where test and validation begin.

    Rows of the same time stay together, in the earlier split.
    """
    ordered = np.sort(times)
    count = len(ordered)
    test = int(np.ceil(count * test_fraction - 1e-9))
    held = test + val_count(count - test, val_fraction)
    borders = []
    for size in (test, held):
        last = ordered[max(count - size - 1, 0)]
        later = ordered[np.searchsorted(ordered, last, side="right") :]
        borders.append(float(later[0]) if len(later) else float(np.nextafter(last, np.inf)))
    return _sides_by_time(times, tuple(borders)), tuple(borders)


def _sides_by_time(times: NDArray[np.float64], borders: tuple[float, ...]) -> Sides:
    sides = np.where(times >= borders[0], TEST, np.where(times >= borders[1], VAL, TRAIN))
    return sides.astype(np.int8)
