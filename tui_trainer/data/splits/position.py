"""Splits rows into training, validation and test by a random order of their positions.

Layer: data. This is the rule `position`; the numbers of rows per split are shared with the rule of
`data/splits`. Test rows are drawn first and validation rows from the rest, so changing
`val_fraction` never moves a row into or out of the test split.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.base.random import seeded

Ints = NDArray[np.int64]

_LEAST_FOR_ALL = 3
"""A stratum with at least this many rows gets one in each split."""


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Row indices of each split, ascending; disjoint, and together they are all rows."""

    train: Ints
    val: Ints
    test: Ints


def divide(
    strata: Ints,
    seed: int,
    test_fraction: float,
    val_fraction: float,
    *,
    test: NDArray[np.bool_] | None = None,
    val: NDArray[np.bool_] | None = None,
    groups: Ints | None = None,
) -> SplitRows:
    """Split rows like `split_rows`, with groups kept together and splits optionally given.

    Rows of one group, by `groups` (N,), stay together; a group belongs to the stratum of its first
    row. If `test` (N,) is given, the other rows are divided into training and validation, and
    `test_fraction` is not used; if `val` (N,) is given too, nothing is drawn.
    """
    if test is not None and val is not None:
        return SplitRows(np.flatnonzero(~test & ~val), np.flatnonzero(val), np.flatnonzero(test))
    if groups is None:
        groups = np.arange(len(strata))
    _, firsts, members = np.unique(groups, return_index=True, return_inverse=True)
    if test is None:
        parts = split_rows(strata[firsts], seed, test_fraction, val_fraction)
    else:
        remaining = np.flatnonzero(~test[firsts])
        inner = split_rows(strata[firsts[remaining]], seed, 0.0, val_fraction)
        parts = SplitRows(
            remaining[inner.train], remaining[inner.val], np.flatnonzero(test[firsts])
        )
    split_of_group = np.empty(len(firsts), dtype=np.int64)
    for number, part in enumerate((parts.train, parts.val, parts.test)):
        split_of_group[part] = number
    return SplitRows(*(np.flatnonzero(split_of_group[members] == number) for number in range(3)))


def split_rows(strata: Ints, seed: int, test_fraction: float, val_fraction: float) -> SplitRows:
    """Split rows by stratum (0, 1, ...), with the same proportion of each stratum in every split.

    The test split has `ceil(rows * test_fraction)` rows and the validation split `val_fraction` of
    the rest, at least one, unless strata are too small: each stratum keeps a row for training, and
    a stratum of at least three rows gets one in each split if there is room for all of them. A
    split whose share is 0 has no rows.
    """
    count = len(strata)
    generator = seeded("cpu", seed, "split")
    order = torch.randperm(count, generator=generator).numpy()
    # The stable sort keeps the random order within each stratum.
    by_stratum = order[np.argsort(strata[order], kind="stable")]
    sizes = np.bincount(strata)
    starts = np.cumsum(sizes) - sizes
    tests, vals = shares_of(sizes, test_fraction, val_fraction)
    positions = np.arange(count) - np.repeat(starts, sizes)
    in_test = positions < np.repeat(tests, sizes)
    in_val = ~in_test & (positions < np.repeat(tests + vals, sizes))
    return SplitRows(
        train=np.sort(by_stratum[~in_test & ~in_val]),
        val=np.sort(by_stratum[in_val]),
        test=np.sort(by_stratum[in_test]),
    )


def shares_of(sizes: Ints, test_fraction: float, val_fraction: float) -> tuple[Ints, Ints]:
    """Return how many rows of each stratum are for the test, and for validation.

    Of a share of 0 there are none.
    """
    minimum = (sizes >= _LEAST_FOR_ALL).astype(np.int64)
    # The small number undoes the rounding error of a product such as 0.35 * 20.
    test_total = math.ceil(int(sizes.sum()) * test_fraction - 1e-9)
    tests = allocate(test_total, sizes, minimum, np.maximum(sizes - 1 - minimum, 0))
    val_total = val_count(int(sizes.sum() - tests.sum()), val_fraction)
    remaining = sizes - tests
    spare = np.maximum(remaining - 1, 0)
    vals = allocate(val_total, remaining, np.minimum(minimum, spare), spare)
    return tests, vals


def val_count(count: int, val_fraction: float) -> int:
    """Return how many of the rows that are not for the test are for validation."""
    return max(1, round(count * val_fraction)) if val_fraction > 0 else 0


def allocate(total: int, sizes: Ints, least: Ints, most: Ints) -> Ints:
    """Allocate `total` in proportion to `sizes`, within bounds, by largest remainder.

    The lower bounds are dropped if they add up to more than `total`; the upper bounds hold even
    if less than `total` can be allocated.
    """
    quotas = total * sizes / max(int(sizes.sum()), 1)
    if least.sum() > total:
        least = np.zeros_like(least)
    counts = np.clip(np.floor(quotas).astype(np.int64), least, most)
    while (gap := total - int(counts.sum())) != 0:
        step = 1 if gap > 0 else -1
        movable = np.flatnonzero(counts < most if gap > 0 else counts > least)
        if not len(movable):
            break
        surplus = step * (counts - quotas)[movable]
        chosen = movable[np.argsort(surplus, kind="stable")][: abs(gap)]
        counts[chosen] += step
    return counts


def quantile_edges(values: NDArray[np.float64], most: int = 10) -> NDArray[np.float64]:
    """Return the borders between bins of about equal size, each the least number of its bin."""
    bins = max(1, min(most, len(values) // 5))
    return np.unique(np.quantile(values, np.arange(1, bins) / bins))


def quantile_bins(values: NDArray[np.float64]) -> Ints:
    """Return strata for numbers: bins of about equal size, with equal numbers in the same bin."""
    bins = np.searchsorted(quantile_edges(values), values, side="right")
    _, strata = np.unique(bins, return_inverse=True)
    return strata.astype(np.int64)
