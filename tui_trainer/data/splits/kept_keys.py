"""`KeptKeys`: the keys of the rows of a large table, kept in the cache beside it.

Layer: data. Keys of rows take longer to compute than the table takes to be read from the cache.
They are found again only for the same table, kinds of columns and rows, and by the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files.array_cache import Results, keep_results, load_results
from tui_trainer.data.files.cache_store import ARRAYS, key_of
from tui_trainer.data.files.columns import Table
from tui_trainer.data.splits.row_keys import RULE

_OF_NO_MATTER = frozenset(
    {
        *("path", "split_by", "split_from", "split_seed", "test_fraction", "val_fraction"),
        *("stratify", "noise", "mixup", "buckets", "word_buckets", "max_text_bytes"),
        *("tokenizer", "vocabulary"),
    }
)
"""The settings that change neither the columns that are read of a row nor their cells."""


@dataclass(frozen=True, slots=True)
class KeptKeys:
    """The keys that were computed for a table before; none if the table is not kept."""

    table: str
    """The name of the table in the cache; empty if it is not there."""
    rows: int
    """The rows that are used of it."""
    settings: tuple[Any, ...]
    """Plain values that say which cells the rows consist of."""

    def get(self, what: str, compute: Callable[[], Results]) -> Results:
        """Return arrays (N,) of keys or single numbers by name, computed if they are not kept."""
        if not self.table:
            return compute()
        name = key_of([RULE, self.table, self.rows, *self.settings, what]) + ARRAYS
        kept = load_results(name)
        if kept is not None and all(self._fits(values) for values in kept.values()):
            return kept
        results = compute()
        keep_results(name, results)
        return results

    def _fits(self, values: np.ndarray[Any, Any]) -> bool:
        is_whole = values.shape in ((self.rows,), ())
        return is_whole and values.dtype == (np.uint64 if values.ndim else np.int64)


def kept_keys(
    table: Table,
    rows: int,
    section: TableSection,
    kinds: Mapping[str, str],
    older: Mapping[str, Any] | None,
) -> KeptKeys:
    """Return what is kept of a table's rows.

    Args:
        table: as it was read; the name in the cache says from which file, and how it is written.
        rows: how many of its rows are used; which ones, the settings say.
        section: its settings.
        kinds: what its columns are.
        older: the preprocessing of a checkpoint, which knows the order of dates.
    """
    settings = section.model_dump(mode="json", exclude=set(_OF_NO_MATTER))
    inputs = (older or {}).get("inputs", {})
    orders = {name: inputs[name]["order"] for name in inputs if kinds.get(name) == "date"}
    return KeptKeys(table.cache_name, rows, (settings, sorted(kinds.items()), orders))
