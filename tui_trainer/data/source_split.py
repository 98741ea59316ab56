"""`split_source`: the split of the rows of a source, and what is predicted of them.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tui_trainer.config.sections.datasets import RowsSection
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.sources.source import Source, Target
from tui_trainer.data.splits.position import Ints
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.data.splits.row_keys import joined, target_keys
from tui_trainer.data.splits.row_split import (
    RowSplit,
    new_split,
    position_split,
    split_like,
    split_of_run,
)
from tui_trainer.data.splits.strata import Strata, class_strata, number_strata, one_stratum


def split_source(
    section: RowsSection,
    source: Source,
    fitted: Mapping[str, Any] | None,
    record: SplitRecord | None,
) -> RowSplit:
    """Split the rows of a source as the record of a run has them, or anew.

    `fitted` is the preprocessing of a checkpoint; without a record it is of an older version, whose
    rows were split by position.
    """
    target, division = source.target, source.division
    contents = joined(division.contents, target_keys(target.classes, target.values))
    if record is not None and not record.is_of_another_run:
        return split_of_run(record, division.identities, contents)
    division = replace(division, contents=contents)
    if record is not None:
        is_stratified = record.cuts.names != one_stratum(0).names
        strata = (
            strata_of(target, record.cuts.edges) if is_stratified else one_stratum(len(contents))
        )
        return split_like(record, division, strata)
    strata = strata_of(target) if section.stratify else one_stratum(len(target.values))
    if fitted is None:
        return new_split(section, division, strata)
    return RowSplit(position_split(section, division, strata))


def strata_of(target: Target, edges: Sequence[float] | None = None) -> Strata:
    """Return a stratum for each row: its class, its set of labels, or a bin of its first number.

    `edges` are those of the bins of an earlier split.
    """
    if target.classes:
        return class_strata(target.values, target.classes)
    return number_strata(target.values.reshape(len(target.values), -1)[:, 0], edges)


def target_of_run(target: Target, rows: Ints, fitted: Mapping[str, Any] | None) -> Target:
    """Return what is predicted with the classes that these rows have, and no others.

    Classes of rows that came later are none of the run. `fitted` is the preprocessing of its
    checkpoint, if there is one. The values of other rows are of no use.
    """
    if not target.classes or target.masks is not None:
        return target
    if target.values.ndim == 1:
        used = np.unique(target.values[rows])
    else:
        used = np.flatnonzero(target.values[rows].any(axis=0))
    names = order_classes({target.classes[place] for place in used.tolist()})
    if fitted is not None and {*names} <= {*fitted["classes"]} <= {*target.classes}:
        names = tuple(fitted["classes"])
    old = {name: place for place, name in enumerate(target.classes)}
    places = np.array([old[name] for name in names], dtype=np.int64)
    if target.values.ndim == 2:
        return replace(target, classes=names, values=target.values[:, places])
    renumbered = np.full(len(target.classes), -1, dtype=np.int64)
    renumbered[places] = np.arange(len(names))
    return replace(target, classes=names, values=renumbered[target.values])
