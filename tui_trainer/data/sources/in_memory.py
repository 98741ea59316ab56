"""Columns: the samples of a plugin that are in memory, as one array for each field.

Layer: data. They take the same fast path as the built-in data, and all of them are checked at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from tui_trainer.data.batches.collation import as_tensor, check_names, typed
from tui_trainer.data.batches.sample_spec import NO_TARGET
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.problems.batch import IGNORED, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.problem import Sample, SampleMismatch
from tui_trainer.problems.targets import check_range
from tui_trainer.text.clean import clean


def is_columns(data: Any) -> bool:
    """Whether this is all samples of a split in memory."""
    return isinstance(data, Mapping | TensorDataset)


def columns_split(data: Any) -> TensorSplit:
    """Return the split of some columns, whose targets are not checked yet.

    Raises:
        TypeError, ValueError: they are not arrays of numbers of equal lengths.
    """
    columns = _named(data)
    check_names(tuple(columns))
    tensors = {name: _converted(name, as_tensor(column, name)) for name, column in columns.items()}
    sizes = {name: len(tensor) if tensor.dim() else 0 for name, tensor in tensors.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
        raise ValueError(f"the columns have different numbers of samples: {shown}")
    count = next(iter(sizes.values()))
    targets = tensors.pop("target", NO_TARGET.expand(count, 0))
    name = "input" if "input" in tensors else next(iter(tensors))
    inputs = tensors.pop(name)
    rows = torch.arange(len(targets))
    return TensorSplit(inputs, targets, rows, name=name, others=tensors)


def _named(data: Any) -> dict[Any, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    if not isinstance(data, TensorDataset):
        raise TypeError(
            f"the training data are columns, and those of another split a {type(data).__name__}; "
            "give columns for all splits"
        )
    if len(data.tensors) != 2:
        raise ValueError(
            f"a TensorDataset of {len(data.tensors)} tensors; two are input and target, others "
            'need names: Data({"image": a, "age": b, "target": c})'
        )
    return dict(zip(("input", "target"), data.tensors, strict=True))


def _converted(name: str, column: Tensor) -> Tensor:
    """Return a column in the dtype of a batch, but images stay uint8 until they are in one."""
    column = column.contiguous()
    if column.dtype == torch.uint8 and column.dim() > 2:
        return column
    return typed(name, column, of_many=True)


def first_sample(split: TensorSplit) -> Sample:
    """Return the first sample of a split."""
    batch = split.batch_at(slice(0, 1), slice(0, 1))
    sample = {name: values[0] for name, values in batch.items()}
    if sample["target"].shape == NO_TARGET.shape:
        del sample["target"]
    return sample


def checked_columns(split: TensorSplit, info: DatasetInfo) -> TensorSplit:
    """Return the split with its targets as the loss takes them.

    Raises:
        SampleMismatch: a target, a token, or the shape of a column is not what `info` says.
    """
    sample = first_sample(split)
    names = (split.name, *split.others)
    if names[0] != info.names[0] or {*names} != {*info.names}:
        raise SampleMismatch(
            f"a split has the columns {', '.join(names)}, and training {', '.join(info.names)}"
        )
    shapes = {field.name: field.shape for field in info.fields} or {
        "input": info.signature.input_shape
    }
    for name, shape in shapes.items():
        if tuple(sample[name].shape) != tuple(shape):
            raise SampleMismatch(
                f"the column {name} has samples of {describe(sample[name])}, and others of "
                f"{'x'.join(map(str, shape)) or 'a number'}"
            )
    if info.signature.kind == "tokens":
        check_range(split.inputs, info.signature.vocabulary, "a token", "tokens")
    return replace(split, targets=kind_of(info).check(split.targets, split.inputs, info))


def described_sample(sample: Sample, info: DatasetInfo) -> str:
    """Describe a sample in a line: the form of each field, and its target."""
    fields = [f"{name} {_form(sample[name])}" for name in info.names]
    target = sample.get("target", NO_TARGET)
    if target.shape == NO_TARGET.shape:
        return ", ".join([*fields, "no target"])
    shown = f"target {_form(target)}"
    if target.numel() == 1:
        shown = f"target {target.item():.4g}"
        if info.classes and 0 <= int(target) < len(info.classes):
            shown = f"target class {int(target)} {clean(repr(info.classes[int(target)]), 80)}"
    elif info.signature.places != "one" and len(known := target[target != IGNORED]):
        low, high = known.aminmax()
        shown += f" from {low.item()} to {high.item()}"
    return ", ".join([*fields, shown])


def _form(values: Tensor) -> str:
    text = describe(values)
    if (values.is_floating_point() or values.dtype == torch.uint8) and values.numel():
        low, high = values.aminmax()
        text += f" from {low.item():.4g} to {high.item():.4g}"
    return text
