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
from torch import Tensor
from torch.utils.data import IterableDataset

from tui_trainer.config.plugins import DATASET_FACTORIES, LOADED
from tui_trainer.config.problems import ProblemName
from tui_trainer.config.sections.datasets import DatasetSection, RowsSection
from tui_trainer.config.user_code import describe_error_near, describe_user_error, place_of
from tui_trainer.data.base.dataset import Dataset, absent_notes
from tui_trainer.data.base.fingerprint import fingerprint_of_plugin
from tui_trainer.data.base.random import derive_seed, seed_all
from tui_trainer.data.base.split import divide
from tui_trainer.data.batches.collation import Collation
from tui_trainer.data.batches.iterated import IteratedSplit, keeps_state
from tui_trainer.data.batches.mapped import MapSplit
from tui_trainer.data.batches.sample_spec import SampleSpec
from tui_trainer.data.batches.samples import Failure, SampleMaker, worker_conditions
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.sources.in_memory import (
    checked_columns,
    columns_split,
    described_sample,
    first_sample,
    is_columns,
)
from tui_trainer.plugins import Data
from tui_trainer.problems.batch import describe, is_on_host
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.problems.signature import Kind, SampleField, Signature
from tui_trainer.text.errors import BadInput, CheckpointUnusable, TrainerError

PluginSplit = TensorSplit | MapSplit | IteratedSplit

_KINDS: dict[int, Kind] = {1: "features", 2: "sequence", 3: "image"}


def load_plugged(section: DatasetSection, fitted: dict[str, Any] | None) -> Dataset:
    """Load the data of a plugin; raises the same errors as `load`."""
    assert isinstance(section, RowsSection), "plugins give samples with a target each"
    name = f"dataset {section.type}"
    function = DATASET_FACTORIES[section.type]
    try:
        with worker_conditions():
            # A function that draws its data, or divides them, gives the same at each resume.
            seed_all(derive_seed(section.split_seed, "dataset"))
            data = function(section)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{describe_error_near(error, place_of(function))} (in {name})") from error
    try:
        return loaded(section, data, fitted, name)
    except TrainerError:
        raise
    except Exception as error:
        if not (text := describe_user_error(error)):
            raise
        raise BadInput(f"{text} (in {name})") from error


def loaded(section: RowsSection, data: object, fitted: dict[str, Any] | None, name: str) -> Dataset:
    """Load what the function of a plugin returned; `name` is for messages."""
    if not isinstance(data, Data):
        raise BadInput(f"{name}: its function returned {type(data).__name__}, not plugins.Data")
    splits = _all_splits(section, data, name)
    # No sample of an iterable is read before training starts.
    first = _first_sample(splits[1 if isinstance(splits[0], IteratedSplit) else 0], name)
    problem, reason = _problem(data, first, name)
    identity = {"source": section.type, "task": problem, "classes": list(data.classes)}
    if fitted is not None and {key: fitted.get(key) for key in identity} != identity:
        raise CheckpointUnusable(
            f"the checkpoint is for other data than {name}: task or classes; the plugin has to "
            "return what the run was trained on, or train a new run"
        )
    info = _described(first, data, problem, name)
    train, val, test = (_checked(split, info, name) for split in splits)
    counts = [_class_counts(split, data) for split in (train, val, test)]
    return Dataset(
        train=train,
        val=val,
        test=test,
        problem=problem,
        classes=info.classes,
        signature=info.signature,
        fields=info.fields,
        preprocessing=identity,
        augment=None,
        fingerprint=fingerprint_of_plugin(
            section,
            _hash([data.version, *map(str, map(len, (train, val, test)))]),
            _hash_with_code(data),
        ),
        notes=(
            f"the first sample: {described_sample(first, info)}; {problem}: {reason}",
            *_notes(train),
            *absent_notes(data.classes, *counts),
        ),
        class_counts=counts[0],
        val_counts=counts[1],
    )


def _all_splits(section: RowsSection, data: Data, name: str) -> Sequence[PluginSplit]:
    """Return the splits for training, validation and test, whose samples are not checked yet."""
    if is_columns(data.train):
        if data.collate is not None:
            raise BadInput(f"{name}: columns need no collate; their batches are gathered by index")
        return _column_splits(section, data, name)
    collation = Collation(data.collate, data.padding)
    return [replace(split, collation=collation) for split in _splits(section, data, name)]


def _problem(data: Data, first: Sample, name: str) -> tuple[ProblemName, str]:
    """Return the problem and why it is that one.

    Raises:
        BadInput: it cannot be inferred, or does not fit the classes.
    """
    target = first.get("target")
    if target is None:
        raise BadInput(
            f"{name}: the first sample has no target, only {', '.join(first)}; return a pair "
            "(input, target), or a dict with the key target"
        )
    problem, reason = data.problem, "Data names it"
    if problem == "auto":
        if _are_labels(target, data):
            problem = "multilabel"
            reason = f"the target has a 0 or 1 for each of {len(data.classes):,} classes"
        elif data.classes:
            problem, reason = "classification", f"Data has {len(data.classes):,} classes"
        elif target.is_floating_point():
            problem, reason = "regression", "the target is a float"
        elif target.dim() == 1 and len(target) == len(next(iter(first.values()))):
            problem, reason = "language_modelling", "the target has an int for each token"
        else:
            raise BadInput(
                f"{name}: the target of the first sample is {describe(target)}, and Data has no "
                "classes: name them, Data(..., classes=(...)), or return a float to predict a "
                "number"
            )
    has_classes = problem in ("classification", "multilabel")
    if has_classes != (len(data.classes) > (problem == "classification")):
        raise BadInput(
            f"{name}: a classification needs two or more classes, multilabel one or more, and "
            "other problems none"
        )
    return problem, reason


def _are_labels(target: Tensor, data: Data) -> bool:
    """Whether a target says of each class whether the sample has it."""
    if len(data.classes) < 2 or target.shape != (len(data.classes),):
        return False
    return bool(((target == 0) | (target == 1)).all())


def _described(first: Sample, data: Data, problem: ProblemName, name: str) -> DatasetInfo:
    """Describe the data by their first sample."""
    names = [field for field in first if field != "target"]
    names.sort(key=lambda field: field != "input")
    inputs = first[names[0]]
    kind = _kind(names[0], inputs, name)
    if kind == "tokens" and data.vocabulary < 1:
        raise BadInput(
            f"{name}: {names[0]} is a vector of ints, which are tokens, but Data has no "
            "vocabulary; give the number of tokens, or return floats"
        )
    if unknown := [field for field in data.padding if field not in names]:
        raise BadInput(
            f"{name}: Data(padding=...) names {', '.join(map(repr, unknown))}; the fields are "
            f"{', '.join(names)}"
        )
    signature = Signature(
        kind,
        data.input_shape or tuple(inputs.shape),
        outputs=_outputs(first["target"], data, problem),
        vocabulary=data.vocabulary,
        per_step=problem == "language_modelling",
    )
    fields = tuple(
        SampleField(
            field, tuple(first[field].shape), str(first[field].dtype).removeprefix("torch.")
        )
        for field in names
    )
    if names == ["input"]:
        fields = ()
    return DatasetInfo(signature, problem, tuple(data.classes), fields=fields)


def _outputs(target: Tensor, data: Data, problem: ProblemName) -> int:
    if problem == "regression":
        return max(target.numel(), 1)
    return len(data.classes) or data.vocabulary


def _kind(field: str, inputs: Tensor, name: str) -> Kind:
    if inputs.dtype == torch.int64 and inputs.dim() == 1:
        return "tokens"
    if not inputs.is_floating_point() or inputs.dim() not in _KINDS:
        raise BadInput(
            f"{name}: {field} is {describe(inputs)}; the first field of a sample is floats of 1 to "
            "3 dimensions, or a vector of ints"
        )
    return _KINDS[inputs.dim()]


def _checked(split: PluginSplit, info: DatasetInfo, name: str) -> PluginSplit:
    """Return a split whose samples are checked: those in memory now, others as they are read."""
    if isinstance(split, TensorSplit):
        try:
            return checked_columns(split, info)
        except SampleMismatch as error:
            raise BadInput(f"{name}: {error}") from error
    split = replace(split, form=SampleSpec(info))
    if isinstance(split, MapSplit):
        _first_sample(split, name)
    return split


def _notes(train: PluginSplit) -> tuple[str, ...]:
    """Return a note on how an iterable resumes after an interruption."""
    if not isinstance(train, IteratedSplit):
        return ()
    if keeps_state(train.dataset):
        return ("the training data are read in their own order, and a resume continues in it",)
    return (
        "the training data are read in their own order, but have no state_dict: a resume reads "
        "again from the start of the epoch",
    )


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
    _check_none_is_empty(splits, name)
    return tuple(splits)


def _are_classes(targets: Tensor, data: Data) -> bool:
    """Whether each target is one of the classes; what is not is told when all are checked."""
    if targets.is_floating_point() or targets.numel() != len(targets) or not len(targets):
        return False
    low, high = targets.aminmax()
    return bool(low >= 0 and high < len(data.classes))


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
    _check_none_is_empty(splits, name)
    train, val, test = splits
    return train, val, test


def _check_none_is_empty(splits: Sequence[PluginSplit], name: str) -> None:
    for part, split in zip(("training", "validation", "test"), splits, strict=True):
        if len(split) == 0:
            raise BadInput(f"{name}: the {part} split is empty")


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


def _first_sample(split: PluginSplit, name: str) -> Sample:
    """Return the first sample of a split, checked against its form if it has one."""
    if isinstance(split, TensorSplit):
        return first_sample(split)
    assert isinstance(split, MapSplit), "an iterable is not read before training starts"
    maker = SampleMaker(split.dataset, 0, "first", split.form, split.collation)
    batch = maker.make(0, split.rows[:1].tolist())
    if isinstance(batch, Failure):
        raise BadInput(f"{batch.message} (in {name})")
    return {field: values[0] for field, values in batch.items() if not is_on_host(field)}


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


def _class_counts(split: PluginSplit, data: Data) -> tuple[int, ...]:
    if not data.classes or isinstance(split, IteratedSplit):
        return ()
    if isinstance(split, TensorSplit) and split.targets.dim() == 1:
        chosen = split.targets.numpy()
    elif isinstance(split, MapSplit) and (targets := _targets(split.dataset)) is not None:
        chosen = targets[split.rows.numpy()]
    else:
        return ()
    if chosen.min() < 0 or chosen.max() >= len(data.classes):
        # The sample is named when it is read.
        return ()
    return tuple(np.bincount(chosen, minlength=len(data.classes)).tolist())


def _hash_with_code(data: Data) -> str:
    """Return a sha256 over the data's version and all plugins, as older rules have it."""
    return _hash([data.version, *(plugin.sha256 for plugin in LOADED.values())])


def _hash(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
