"""`Table`: the columns of a table, each as numbers or as codes of texts.

Layer: data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category"]
RequestedKind = Kind | Literal["auto", "auto_rounded", "auto_target"]
"""`auto`: numbers if every value is one that float64 has. `auto_rounded`: numbers even if some are
rounded. `auto_target`: as `auto`, but two numbers are categories.
"""

_FIRST_ROWS = 100


def _mask(is_missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask that cannot be written to; it takes no memory if nothing is missing."""
    if not is_missing.any():
        return np.broadcast_to(np.False_, is_missing.shape)
    is_missing.flags.writeable = False
    return is_missing


def _count(mask: NDArray[np.bool_]) -> int:
    """Count the places set in a mask made by `_mask`; in one without memory there is none."""
    return 0 if mask.strides == (0,) else int(mask.sum())


def _are_all(rows: NDArray[np.int64], values: NDArray[Any]) -> bool:
    """Return whether some rows are all of a column, in order: as many as it has, ascending."""
    return len(rows) == len(values) and bool((rows[1:] > rows[:-1]).all())


@dataclass(frozen=True)
class NumberColumn:
    """A column of finite numbers; NaN where a value is missing."""

    values: NDArray[np.float64]
    form: str = ""
    """The name of the form in which they are written, if not as in Python."""

    @property
    def kind(self) -> Kind:
        return "number"

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        return _mask(np.isnan(self.values))

    @property
    def gap_count(self) -> int:
        """The number of missing values."""
        return _count(self.missing)

    @property
    def present(self) -> NDArray[np.float64]:
        """The numbers that are not missing; not to be written to."""
        return self.values[~self.missing] if self.gap_count else self.values

    @property
    def counts_rows(self) -> bool:
        """Whether each number is one more than the one before, as row numbers are."""
        first = self.values[:_FIRST_ROWS]
        # Nearly always the first rows tell.
        return bool((np.diff(first) == 1).all() and (np.diff(self.values) == 1).all())

    def take(self, rows: NDArray[np.int64]) -> NumberColumn:
        """Return some rows; the column itself if they are all of its rows, in order."""
        return self if _are_all(rows, self.values) else NumberColumn(self.values[rows], self.form)


@dataclass(frozen=True)
class TextColumn:
    """A column of texts as codes: positions in `texts`, -1 where a value is missing."""

    codes: NDArray[np.int64]
    texts: tuple[str, ...]

    @property
    def kind(self) -> Kind:
        return "category"

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        return _mask(self.codes < 0)

    @property
    def gap_count(self) -> int:
        """The number of missing values."""
        return _count(self.missing)

    def take(self, rows: NDArray[np.int64]) -> TextColumn:
        """Return some rows, with only the texts that occur in them."""
        codes = self.codes if _are_all(rows, self.codes) else self.codes[rows]
        # The first place is that of a missing value, whose code is -1.
        used = np.flatnonzero(np.bincount(codes + 1, minlength=len(self.texts) + 1)[1:])
        if len(used) == len(self.texts):
            return TextColumn(codes, self.texts)
        renumbered = np.full(len(self.texts) + 1, -1, dtype=np.int64)
        renumbered[used] = np.arange(len(used))
        return TextColumn(renumbered[codes], tuple(self.texts[code] for code in used))


Column = NumberColumn | TextColumn


@dataclass(frozen=True, slots=True)
class Table:
    """The requested columns, and the line each row begins in."""

    columns: dict[str, Column]
    lines: NDArray[np.int64]
    notes: tuple[str, ...]
    cache_name: str = ""
    """Its name in the cache; empty if it is not kept there."""
