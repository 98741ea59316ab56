"""`Division`: the rule that splits some rows, and what it has to know of them.

Layer: data. Sources make it, because only they know what a row is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.splits.row_keys import Keys
from tui_trainer.data.splits.rules import Rule
from tui_trainer.text.format import counted


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The rule that splits the rows, and what it has to know of them."""

    rule: Rule
    identities: Keys
    """(N,) what a row is known by; rows with the same identity are in one split."""
    contents: Keys
    """(N,) hashes of all that is read of a row, except its target."""
    test: NDArray[np.bool_] | None = None
    """(N,) rows that the data assign to the test split."""
    val: NDArray[np.bool_] | None = None
    """(N,) rows that the data assign to the validation split; only together with `test`."""
    groups: NDArray[np.int64] | None = None
    """(N,) for `position`: the group of each row; a group stays in one split."""
    times: NDArray[np.float64] | None = None
    """(N,) for `time`."""
    left_out: NDArray[np.bool_] | None = None
    """(N,) rows that are in no split; only together with `val`."""

    @property
    def shortage(self) -> str:
        """Say what there are too few of if a split is empty."""
        if self.times is not None:
            times = counted(len(np.unique(self.times)), "different time")
            return f"only {times} in it, and rows of one are in the same split"
        if self.rule == "group":
            groups = counted(len(np.unique(self.identities)), "group")
            return f"only {groups} in it, and rows of one are in the same split"
        return "more rows are needed"
