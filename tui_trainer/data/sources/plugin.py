"""`load_plugged`: splits and describes the data set that a plugin's function returns.

Layer: data. The samples stay with the plugin; only the first one of a split is read here, to learn
its shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import IterableDataset

from tui_trainer.config.plugins import DATASET_FACTORIES, LOADED
from tui_trainer.config.sections.datasets import DatasetSection, RowsSection
from tui_trainer.config.user_code import describe_error_near, describe_user_error, place_of
from tui_trainer.data.base.dataset import Dataset, absent_notes
from tui_trainer.data.base.fingerprint import fingerprint_of_plugin
from tui_trainer.data.base.split import divide
from tui_trainer.data.batches.iterated import IteratedSplit, keeps_state
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.samples import Failure, SampleMaker, SampleSpec, worker_conditions
from tui_trainer.plugins import Data
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind, Signature
from tui_trainer.text.errors import BadInput, CheckpointUnusable, TrainerError

_KINDS: dict[int, Kind] = {1: "features", 2: "sequence", 3: "image"}


def load_plugged(section: DatasetSection, fitted: dict[str, Any] | None) -> Dataset:
    """Load the data of a plugin; raises the same errors as `load`."""
    assert isinstance(section, RowsSection), "plugins give samples with a target each"
    name = f"dataset {section.type}"
    function = DATASET_FACTORIES[section.type]
    try:
        with worker_conditions():
            data = function(section)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{describe_error_near(error, place_of(function))} (in {name})") from error
    try:
        return _loaded(section, data, fitted, name)
    except TrainerError:
        raise
    except Exception as error:
        if not (text := describe_user_error(error)):
            raise
        raise BadInput(f"{text} (in {name})") from error


def _loaded(
    section: RowsSection, data: object, fitted: dict[str, Any] | None, name: str
) -> Dataset:
    if not isinstance(data, Data):
        raise BadInput(f"{name}: its function returned {type(data).__name__}, not plugins.Data")
    if (data.task == "classification") != (len(data.classes) > 1):
        raise BadInput(f"{name}: a classification needs two or more classes, other tasks none")
    identity = {"source": section.type, "task": data.task, "classes": list(data.classes)}
    if fitted is not None and {key: fitted.get(key) for key in identity} != identity:
        raise CheckpointUnusable(
            f"the checkpoint is for other data than {name}: task or classes; the plugin has to "
            "return what the run was trained on, or train a new run"
        )
    train, val, test = _splits(section, data, name)
    # No sample of an iterable is read before training starts.
    readable = train if isinstance(train, MapSplit) else val
    signature = _signature(readable, data, name)
    form = SampleSpec(DatasetInfo(signature, data.task, tuple(data.classes)))
    train = replace(train, form=form)
    val, test = replace(val, form=form), replace(test, form=form)
    for split in (train, val, test):
        if isinstance(split, MapSplit):
            _read_first(split, name)
    counts = [_class_counts(split, data) for split in (train, val, test)]
    return Dataset(
        train=train,
        val=val,
        test=test,
        task=data.task,
        classes=tuple(data.classes),
        signature=signature,
        preprocessing=identity,
        augment=None,
        fingerprint=fingerprint_of_plugin(
            section,
            _hash([data.version, *map(str, map(len, (train, val, test)))]),
            _hash_with_code(data),
        ),
        notes=(*_notes(train), *absent_notes(data.classes, *counts)),
        class_counts=counts[0],
        val_counts=counts[1],
    )


def _notes(train: MapSplit | IteratedSplit) -> tuple[str, ...]:
    """Return a note on how an iterable resumes after an interruption."""
    if isinstance(train, MapSplit):
        return ()
    if keeps_state(train.dataset):
        return ("the training data are read in their own order, and a resume continues in it",)
    return (
        "the training data are read in their own order, but have no state_dict: a resume reads "
        "again from the start of the epoch",
    )


def _splits(
    section: RowsSection, data: Data, name: str
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
        classes = _targets(data.train) if section.stratify and data.classes else None
        strata = np.zeros(len(data.train), dtype=np.int64) if classes is None else classes
        parts = divide(strata, section.split_seed, section.test_fraction, section.val_fraction)
        splits = [
            MapSplit(data.train, torch.from_numpy(part))
            for part in (parts.train, parts.val, parts.test)
        ]
    train, val, test = splits
    for part, split in (("training", train), ("validation", val), ("test", test)):
        if len(split) == 0:
            raise BadInput(f"{name}: the {part} split is empty")
    return train, val, test


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


def _read_first(split: MapSplit, name: str) -> Batch:
    batch = SampleMaker(split.dataset, 0, "first", split.form).make(0, split.rows[:1].tolist())
    if isinstance(batch, Failure):
        raise BadInput(f"{batch.message} (in {name})")
    return batch


def _signature(train: MapSplit, data: Data, name: str) -> Signature:
    batch = _read_first(train, name)
    kind = _kind(batch, name)
    if kind == "tokens" and data.vocabulary < 1:
        raise BadInput(
            f"{name}: inputs of ints are tokens, but Data has no vocabulary; give the number of "
            "tokens, or return floats"
        )
    return Signature(
        kind,
        data.input_shape or tuple(batch["input"].shape[1:]),
        outputs=len(data.classes) or data.vocabulary or 1,
        vocabulary=data.vocabulary,
        per_step=data.task == "language_modelling",
    )


def _kind(batch: Batch, name: str) -> Kind:
    if not batch["input"].is_floating_point():
        return "tokens"
    dimensions = batch["input"].dim() - 1
    if dimensions not in _KINDS:
        raise BadInput(f"{name}: inputs of {dimensions} dimensions; there are models for 1 to 3")
    return _KINDS[dimensions]


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


def _class_counts(split: MapSplit | IteratedSplit, data: Data) -> tuple[int, ...]:
    targets = _targets(split.dataset) if data.classes else None
    if targets is None or isinstance(split, IteratedSplit):
        return ()
    chosen = targets[split.rows.numpy()]
    if chosen.min() < 0 or chosen.max() >= len(data.classes):
        # The sample is named when it is read.
        return ()
    return tuple(np.bincount(chosen, minlength=len(data.classes)).tolist())


def _hash_with_code(data: Data) -> str:
    """Return a sha256 over the data's version and all plugins, as older rules have it."""
    return _hash([data.version, *(plugin.sha256 for plugin in LOADED.values())])


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
