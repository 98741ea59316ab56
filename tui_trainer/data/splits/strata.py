"""`Strata`: the groups of rows that have the same share in every split, and their names.

Layer: data. Names and borders are kept in the record of a split, so that later rows find theirs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.splits.position import Ints, quantile_edges


@dataclass(frozen=True, slots=True, eq=False)
class Strata:
    """The stratum of each row."""

    of_rows: Ints
    """(N,) positions in `names`; -1 if a record does not know the stratum."""
    names: tuple[str, ...]
    edges: tuple[float, ...] = ()
    """The least number of each bin but the first, if strata are bins of numbers."""

    def among(self, names: Sequence[str]) -> Ints:
        """Return the stratum of each row as a position in other `names`, -1 for none of them."""
        place = {name: position for position, name in enumerate(names)}
        known = np.array([*(place.get(name, -1) for name in self.names), -1], dtype=np.int64)
        return known[self.of_rows]


def one_stratum(count: int) -> Strata:
    """Return the strata of rows that are not stratified."""
    return Strata(np.zeros(count, dtype=np.int64), ("",))


def class_strata(values: NDArray[np.int64], classes: Sequence[str]) -> Strata:
    """Return a stratum for each class, or for each set of labels if `values` are (N, K)."""
    if values.ndim == 1:
        return Strata(values, tuple(classes))
    sets, strata = np.unique(values, axis=0, return_inverse=True)
    names = [json.dumps([classes[label] for label in np.flatnonzero(row).tolist()]) for row in sets]
    return Strata(strata.reshape(-1).astype(np.int64), tuple(names))


def number_strata(values: NDArray[Any], edges: Sequence[float] | None = None) -> Strata:
    """Return a stratum for each bin of numbers (N,); `edges` are those of an earlier split."""
    borders = quantile_edges(values) if edges is None else np.array(edges, dtype=np.float64)
    used, strata = np.unique(np.searchsorted(borders, values, side="right"), return_inverse=True)
    names = tuple(str(number) for number in used.tolist())
    return Strata(strata.astype(np.int64), names, tuple(borders.tolist()))
