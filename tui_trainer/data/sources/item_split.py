"""`split_items`: the split of the items of a plugin, which are known by their text.

Layer: data. Other data of plugins have nothing to be known by, and are split by position.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.own_samples import Data
from tui_trainer.config.sections.datasets import RowsSection
from tui_trainer.data.sources.items import ReadItems, group_labels
from tui_trainer.data.splits.division import Division, check_has_no_record, rule_for
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.data.splits.row_keys import joined, target_keys, text_keys
from tui_trainer.data.splits.row_split import RowSplit, new_split, split_like, split_of_run
from tui_trainer.data.splits.strata import class_strata, one_stratum
from tui_trainer.text.errors import ConfigError, Problem


def split_items(
    section: RowsSection,
    data: Data,
    name: str,
    fitted: Mapping[str, Any] | None,
    record: SplitRecord | None,
) -> RowSplit | None:
    """Split the items of a plugin by their text, or by their groups; None: split by position.

    Raises:
        ConfigError: the settings ask for a split that these data cannot have.
        CheckpointUnusable: the record of the run is missing.
    """
    rule = rule_for(section, fitted)
    items = data.train
    if not isinstance(items, ReadItems) or data.val is not None:
        for key in ("split_by", "split_from") if fitted is None else ():
            if getattr(section, key) not in ("auto", "position", None):
                message = "is for items that the plugin does not divide: Data(items, read=...)"
                raise ConfigError([Problem(message, f"dataset.{key}")])
        return None
    if record is None and fitted is not None:
        check_has_no_record(fitted)
    if rule == "position" and record is None:
        return None
    identities = ids = text_keys(items.ids)
    if (labels := group_labels(data, name)) is not None:
        rule, identities = "group", text_keys(map(str, labels))
    values, classes = _known_targets(items), tuple(data.classes)
    contents = ids if values is None else joined(ids, target_keys(classes, values))
    if record is not None and not record.is_of_another_run:
        return split_of_run(record, identities, contents)
    is_stratified = section.stratify and values is not None and bool(classes)
    strata = one_stratum(len(ids))
    if is_stratified and values is not None:
        strata = class_strata(values, classes)
    division = Division(rule, identities, contents)
    if record is not None:
        return split_like(record, division, strata)
    return new_split(section, division, strata)


def _known_targets(items: ReadItems) -> NDArray[Any] | None:
    """Return the targets (N,) or (N, K) of all items; None if they are not known, or no numbers."""
    if items.targets is None:
        return None
    try:
        values = np.asarray(items.targets)
    except ValueError:
        return None
    is_of_numbers = values.dtype.kind in "biuf" and values.ndim in (1, 2)
    return values if is_of_numbers else None
