"""The splits of a plugin's data: given by it, divided by us, columns, or an iterable.

Layer: data. No sample of a map-style data set or an iterable is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset

from tui_trainer.config.own_samples import Data
from tui_trainer.config.sections.datasets import RowsSection
from tui_trainer.data.batches.collation import Collation
from tui_trainer.data.batches.iterated import IteratedSplit
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.in_memory import columns_split, is_columns
from tui_trainer.data.sources.items import groups_of
from tui_trainer.data.splits.position import SplitRows, divide
from tui_trainer.problems.batch import IGNORED
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

PluginSplit = TensorSplit | MapSplit | IteratedSplit


def all_splits(
    section: RowsSection, data: Data, name: str, parts: SplitRows | None = None
) -> Sequence[PluginSplit]:
    """Return the splits for training, validation and test, whose samples are not checked yet.

    `parts` are the samples of each, if they are not split by position.
    """
    if is_columns(data.train):
        if data.collate is not None:
            raise BadInput(f"{name}: columns need no collate; their batches are gathered by index")
        return _column_splits(section, data, name)
    collation = Collation(data.collate, data.padding)
    return [replace(split, collation=collation) for split in _splits(section, data, name, parts)]


def _column_splits(section: RowsSection, data: Data, name: str) -> tuple[TensorSplit, ...]:
    if (data.val is None) != (data.test is None):
        raise BadInput(f"{name}: give both val and test, or neither")
    given = [data.train] if data.val is None else [data.train, data.val, data.test]
    try:
        splits = [columns_split(part) for part in given]
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: {error}") from error
    if data.val is None:
        whole = splits[0]
        strata = np.zeros(len(whole), dtype=np.int64)
        if section.stratify and _are_classes(whole.targets, data):
            strata = whole.targets.reshape(-1).numpy()
        parts = divide(strata, section.split_seed, section.test_fraction, section.val_fraction)
        splits = [
            whole.rows_at(torch.from_numpy(part)) for part in (parts.train, parts.val, parts.test)
        ]
    _check_none_is_empty(section, data, splits, name)
    return tuple(splits)


def _splits(
    section: RowsSection, data: Data, name: str, parts: SplitRows | None
) -> tuple[MapSplit | IteratedSplit, MapSplit, MapSplit]:
    datasets = (data.train, data.val, data.test)
    if (data.val is None) != (data.test is None):
        raise BadInput(f"{name}: give both val and test, or neither")
    if _is_iterable(data.train):
        return _iterated_split(data, name), *_evaluation_splits(data, name)
    for dataset in datasets:
        _check_mapped(dataset, name)
    if data.val is not None:
        splits = [MapSplit(dataset, torch.arange(len(dataset))) for dataset in datasets]
    else:
        parts = parts or _by_position(section, data, name)
        splits = [
            MapSplit(data.train, torch.from_numpy(part))
            for part in (parts.train, parts.val, parts.test)
        ]
    _check_none_is_empty(section, data, splits, name)
    train, val, test = splits
    return train, val, test


def _by_position(section: RowsSection, data: Data, name: str) -> SplitRows:
    classes = _targets(data.train) if section.stratify and data.classes else None
    return divide(
        np.zeros(len(data.train), dtype=np.int64) if classes is None else classes,
        section.split_seed,
        section.test_fraction,
        section.val_fraction,
        groups=groups_of(data, name),
    )


def _iterated_split(data: Data, name: str) -> IteratedSplit:
    samples = data.samples_per_epoch
    if not samples and hasattr(data.train, "__len__"):
        samples = len(data.train)
    if samples < 1:
        raise BadInput(
            f"{name}: {type(data.train).__name__} has no length; say how many samples make an "
            "epoch: Data(..., samples_per_epoch=N)"
        )
    return IteratedSplit(data.train, samples)


def _evaluation_splits(data: Data, name: str) -> tuple[MapSplit, MapSplit]:
    """Return validation and test data for an iterable training set, which cannot be divided."""
    for dataset in (data.val, data.test):
        if dataset is None:
            raise BadInput(f"{name}: an iterable cannot be divided; give val and test as well")
        _check_mapped(dataset, name)
        if len(dataset) == 0:
            raise BadInput(f"{name}: a split is empty")
    return tuple(MapSplit(dataset, torch.arange(len(dataset))) for dataset in (data.val, data.test))  # type: ignore[return-value]


def _check_none_is_empty(
    section: RowsSection, data: Data, splits: Sequence[PluginSplit], name: str
) -> None:
    is_given = data.val is not None
    count = sum(map(len, splits))
    if not count:
        where = f"{section.path!r}" if section.path else "not set"
        raise BadInput(f"{name}: there are no samples; dataset.path is {where}")
    shares = (1.0, section.val_fraction, section.test_fraction)
    for part, split, share in zip(("training", "validation", "test"), splits, shares, strict=True):
        if len(split) == 0 and (share > 0 or is_given):
            why = "" if is_given else f": {counted(count, 'sample')} cannot be divided in three"
            raise BadInput(f"{name}: the {part} split is empty{why}")


def _is_iterable(dataset: Any) -> bool:
    """Whether samples come in one order only.

    torch's `IterableDataset` has a `__getitem__` that raises, so it is checked by class.
    """
    if isinstance(dataset, IterableDataset):
        return True
    return hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__")


def _check_mapped(dataset: Any, name: str) -> None:
    if dataset is not None and not (
        hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")
    ):
        raise BadInput(f"{name}: {type(dataset).__name__} has no __len__ and __getitem__")


def _are_classes(targets: Tensor, data: Data) -> bool:
    """Whether each target is one of the classes; what is not is told when all are checked."""
    if targets.is_floating_point() or targets.numel() != len(targets) or not len(targets):
        return False
    low, high = targets.aminmax()
    return bool(low >= 0 and high < len(data.classes))


def _targets(dataset: Any) -> NDArray[np.int64] | None:
    """Return the classes of all samples if the data set lists them in `targets`, as the data sets
    of torchvision do; else None.
    """
    try:
        targets = np.asarray(dataset.targets)
    except Exception:
        return None
    fits = targets.ndim == 1 and len(targets) == len(dataset) and targets.dtype.kind in "iu"
    return targets.astype(np.int64) if fits else None


def class_counts(split: PluginSplit, data: Data) -> tuple[int, ...]:
    if not data.classes or isinstance(split, IteratedSplit):
        return ()
    if isinstance(split, TensorSplit) and not split.targets.is_floating_point():
        chosen = split.targets[split.targets != IGNORED].numpy()
    elif isinstance(split, MapSplit) and (targets := _targets(split.dataset)) is not None:
        chosen = targets[split.rows.numpy()]
    else:
        return ()
    if not len(chosen) or chosen.min() < 0 or chosen.max() >= len(data.classes):
        # The sample is named when it is read.
        return ()
    return tuple(np.bincount(chosen, minlength=len(data.classes)).tolist())
