"""`Cuts`: splits identities by their numbers, exactly today and by the same cut points later.

Layer: data. The identities of a stratum are ordered by their numbers: the first are the test, the
next are for validation. Later identities go by the numbers at which these shares end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.splits.position import Ints, shares_of
from tui_trainer.data.splits.row_keys import Keys, numbers_of, sorting_order
from tui_trainer.data.splits.strata import Strata

Sides = NDArray[np.int8]
"""The split of each row."""
TRAIN, VAL, TEST = 0, 1, 2
LEFT_OUT = 3
"""The side of a row that is in no split, as a window that forecasts across a border."""

_WHOLE = 2**64
"""Stands for 1: a number from 0 to 1 is a whole number of this."""


@dataclass(frozen=True, slots=True)
class Cuts:
    """Cut points: an identity below `test` is in the test split, else below `val` in validation."""

    names: tuple[str, ...]
    """Of the strata."""
    edges: tuple[float, ...]
    """Of strata that are bins of numbers, see `Strata`."""
    test: tuple[int, ...]
    """Of each stratum, and last of those that are not known."""
    val: tuple[int, ...]

    def sides(self, identities: Keys, contents: Keys, strata: Strata, seed: int) -> Sides:
        """Return the side (N,) of rows that were not there when the cut points were made."""
        units = _units(identities, contents)
        # Strata that are not known are -1, and have the last cut points.
        own = strata.among(self.names)[units.firsts]
        numbers = numbers_of(identities[units.firsts], seed)
        test, val = (np.array(cuts, dtype=np.uint64)[own] for cuts in (self.test, self.val))
        sides = np.where(numbers < test, TEST, np.where(numbers < val, VAL, TRAIN))
        return sides.astype(np.int8)[units.members]


def split_identities(
    identities: Keys,
    contents: Keys,
    strata: Strata,
    seed: int,
    test_fraction: float,
    val_fraction: float,
) -> tuple[Sides, Cuts]:
    """Return the side (N,) of each row, and the cut points.

    Rows with the same identity stay together, and belong to the stratum of that one of them whose
    content has the smallest hash: which one is no matter of their order.
    """
    units = _units(identities, contents)
    numbers = numbers_of(identities[units.firsts], seed)
    own = strata.of_rows[units.firsts]
    order = sorting_order(numbers, own)
    # By stratum, and in each by number.
    order = order[
        np.argsort(own[order].astype(np.min_scalar_type(len(strata.names))), kind="stable")
    ]
    sizes = np.bincount(own, minlength=len(strata.names))
    tests, vals = shares_of(sizes, test_fraction, val_fraction)
    starts = np.cumsum(sizes) - sizes
    places = np.arange(len(order)) - np.repeat(starts, sizes)
    is_test, is_held = (places < np.repeat(counts, sizes) for counts in (tests, tests + vals))
    sides = np.empty(len(order), dtype=np.int8)
    sides[order] = np.where(is_test, TEST, np.where(is_held, VAL, TRAIN))
    held = test_fraction + (1 - test_fraction) * val_fraction
    ordered = numbers[order]
    cuts = Cuts(
        strata.names,
        strata.edges,
        _cut_points(ordered, starts, sizes, tests, test_fraction),
        _cut_points(ordered, starts, sizes, tests + vals, held),
    )
    return sides[units.members], cuts


@dataclass(frozen=True, slots=True, eq=False)
class _Units:
    """The U different identities of N rows."""

    firsts: Ints
    """(U,) the row of each that stands for it."""
    members: Ints
    """(N,) the identity of each row."""


def _units(identities: Keys, contents: Keys) -> _Units:
    order = sorting_order(identities, contents)
    ordered = identities[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1]) if len(order) else np.empty(0, bool)
    members = np.empty(len(order), dtype=np.int64)
    members[order] = np.cumsum(is_first) - 1
    return _Units(order[is_first], members)


def _cut_points(
    numbers: Keys, starts: Ints, sizes: Ints, counts: Ints, share: float
) -> tuple[int, ...]:
    """Return the number below which the first `counts` of each stratum are; the last is `share`.

    Between the last number below it and the first one above, it is as near to the share as it can.
    """
    nominal = min(round(share * _WHOLE), _WHOLE - 1)
    points = []
    for start, size, count in zip(starts.tolist(), sizes.tolist(), counts.tolist(), strict=True):
        low = int(numbers[start + count - 1]) + 1 if count else 0
        high = int(numbers[start + count]) if count < size else _WHOLE - 1
        points.append(min(max(nominal, low), high))
    return (*points, nominal)
