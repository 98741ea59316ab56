from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.data.splits import tensors
from tui_trainer.config.sections.datasets import PixelsSection
from tui_trainer.data.load import load
from tui_trainer.data.splits.position import Ints, SplitRows, allocate, quantile_bins, split_rows

PINNED_TEST = [4, 19, 21, 24, 35, 38, 43, 49]
PINNED_VAL = [2, 8, 22, 26, 59, 65, 66, 88]

_SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=8)
_SEEDS = st.integers(0, 2**63 - 1)
_TESTS = st.floats(0.2, 0.8)
_VALS = st.floats(0.01, 0.5)


def strata_of(sizes: list[int]) -> Ints:
    """Strata of these sizes, mixed."""
    strata = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(strata)


def counts(strata: Ints, part: Ints) -> Ints:
    return np.bincount(strata[part], minlength=int(strata.max()) + 1)


@given(_SIZES, _SEEDS, _TESTS, _VALS)
def test_splits_are_disjoint_and_cover_all_rows(
    sizes: list[int], seed: int, test: float, val: float
) -> None:
    strata = strata_of(sizes)
    parts = split_rows(strata, seed, test, val)

    together = np.concatenate([parts.train, parts.val, parts.test])
    assert sorted(together.tolist()) == list(range(len(strata)))
    for part in (parts.train, parts.val, parts.test):
        assert (np.diff(part) > 0).all()


@given(_SIZES, _SEEDS, _TESTS, _VALS)
def test_every_class_keeps_a_training_row_and_is_in_each_split_when_it_can(
    sizes: list[int], seed: int, test: float, val: float
) -> None:
    strata = strata_of(sizes)
    parts = split_rows(strata, seed, test, val)

    assert (counts(strata, parts.train) >= 1).all()
    large = np.array(sizes) >= 3
    if len(parts.test) >= large.sum():
        assert (counts(strata, parts.test)[large] >= 1).all()
    if len(parts.val) >= large.sum():
        assert (counts(strata, parts.val)[large] >= 1).all()


@given(st.lists(st.integers(30, 60), min_size=1, max_size=6), _SEEDS, _TESTS, _VALS)
def test_totals_are_exact_and_shares_are_within_one_row(
    sizes: list[int], seed: int, test: float, val: float
) -> None:
    strata = strata_of(sizes)
    parts = split_rows(strata, seed, test, val)

    rows = len(strata)
    assert len(parts.test) == math.ceil(rows * test - 1e-9)
    assert len(parts.test) >= rows * test - 1e-6
    assert len(parts.val) == max(1, round((rows - len(parts.test)) * val))
    quotas = np.array(sizes) * len(parts.test) / rows
    assert (np.abs(counts(strata, parts.test) - quotas) <= 1).all()


def test_a_product_that_is_a_whole_number_is_not_rounded_up() -> None:
    strata = np.zeros(20, dtype=np.int64)

    assert len(split_rows(strata, 0, 0.35, 0.15).test) == 7


def test_the_split_depends_on_the_seed_and_not_on_the_global_generators() -> None:
    strata = strata_of([30, 30])

    def split(seed: int) -> SplitRows:
        torch.manual_seed(seed + 100)
        before = torch.get_rng_state()
        parts = split_rows(strata, seed, 0.2, 0.2)
        assert torch.equal(before, torch.get_rng_state())
        return parts

    first, again, other = split(1), split_rows(strata, 1, 0.2, 0.2), split(2)
    assert first.test.tolist() == again.test.tolist()
    assert first.val.tolist() == again.val.tolist()
    assert first.test.tolist() != other.test.tolist()


def test_the_validation_share_does_not_move_test_rows() -> None:
    strata = strata_of([30, 20, 10])

    few, many = split_rows(strata, 0, 0.3, 0.1), split_rows(strata, 0, 0.3, 0.5)
    assert few.test.tolist() == many.test.tolist()


def test_the_rows_of_the_built_in_split_stay_the_same_for_good() -> None:
    dataset = load(
        PixelsSection(
            type="pixels", path="builtin:digits.csv.gz", max_value=16, split_by="position"
        )
    )

    assert tensors(dataset.test).rows[:8].tolist() == PINNED_TEST
    assert tensors(dataset.val).rows[:8].tolist() == PINNED_VAL


def test_allocation_follows_the_largest_remainders() -> None:
    zeros, sizes = np.zeros(3, dtype=np.int64), np.array([5, 3, 2])

    assert allocate(4, sizes, zeros, sizes).tolist() == [2, 1, 1]
    assert allocate(3, sizes, zeros, sizes).tolist() == [1, 1, 1]
    assert allocate(3, sizes, zeros, np.array([5, 3, 0])).tolist() == [2, 1, 0]
    assert allocate(3, np.array([98, 1, 1]), np.ones_like(sizes), sizes).tolist() == [1, 1, 1]
    assert allocate(2, sizes, np.ones_like(sizes), sizes).sum() == 2
    assert allocate(9, sizes, zeros, np.ones_like(sizes)).tolist() == [1, 1, 1]


def test_numbers_are_binned_by_quantile_with_equal_ones_together() -> None:
    values = np.arange(100.0)
    assert np.bincount(quantile_bins(values)).tolist() == [10] * 10

    tied = np.array([0.0] * 90 + [1.0] * 10)
    bins = quantile_bins(tied)
    assert len(set(bins[:90].tolist())) == 1
    assert bins[0] != bins[-1]
    assert quantile_bins(np.ones(50)).tolist() == [0] * 50
    assert quantile_bins(np.array([3.0, 1.0])).tolist() == [0, 0]


def test_a_share_of_nothing_has_no_rows_and_the_others_are_as_they_would_be() -> None:
    strata = strata_of([30, 20, 10])
    whole, no_val = split_rows(strata, 0, 0.3, 0.2), split_rows(strata, 0, 0.3, 0.0)
    assert no_val.test.tolist() == whole.test.tolist()
    assert len(no_val.val) == 0
    neither = split_rows(strata, 0, 0.0, 0.0)
    assert (len(neither.val), len(neither.test), len(neither.train)) == (0, 0, 60)
