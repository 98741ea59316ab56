"""Which rows of a table belong together, and so are in one split: copies, or those of a group.

Layer: data. A row that is trained on and measured on, too, makes every figure too good.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, NumberColumn
from tui_trainer.data.sources.source import Division
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

COPIES = "copies"
"""The rule by which rows with equal inputs stay together, in checkpoints; older ones have none."""

LEAST_DIFFERENT = 50
"""If fewer rows are different, and most are copies, equal rows need not be the same thing: some
answers to a few questions are. They are divided like any others."""

# Constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def division_by_copies(columns: Mapping[str, Column]) -> tuple[Division, list[str]]:
    """Return the division that keeps rows with equal inputs together, and a note that counts them.

    The target is none of the columns: copies with different targets stay together as well.
    """
    count = len(next(iter(columns.values())).missing)
    sums = np.zeros(count, dtype=np.uint64)
    for column in columns.values():
        sums = _mixed(sums + _GOLDEN + _bits(column))
    _, members = np.unique(sums, return_inverse=True)
    different = int(members.max()) + 1
    copies = count - different
    if not copies:
        return Division(rule=COPIES), []
    note = f"{counted(copies, 'row')} with the inputs of another row"
    if copies > different < LEAST_DIFFERENT:
        return Division(rule=COPIES), [f"{note}; only {different} are different"]
    note += ", in the same split as that one"
    return Division(groups=members.reshape(-1).astype(np.int64), rule=COPIES), [note]


def division_by_column(name: str, column: Column) -> tuple[Division, list[str]]:
    """Return the division that keeps the rows of a group together, and a note on the groups."""
    values = column.values if isinstance(column, NumberColumn) else column.codes
    missing = column.missing
    _, groups = np.unique(values, return_inverse=True)
    groups = groups.reshape(-1).astype(np.int64)
    # A row without a group is one of its own.
    groups[missing] = groups.max(initial=0) + 1 + np.arange(int(missing.sum()))
    total = len(np.unique(groups))
    note = f"{counted(total, 'group')} by {clean(name, 80)}; the rows of one are in the same split"
    return Division(groups=groups), [note]


def _bits(column: Column) -> NDArray[np.uint64]:
    if isinstance(column, NumberColumn):
        # Adding 0 makes one zero of two; a gap is one value, whatever its bits.
        values = np.where(column.missing, np.nan, column.values + 0.0)
        return values.view(np.uint64)
    return column.codes.view(np.uint64)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the values mixed as splitmix64 does, so that equal sums of rows are equal rows."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
