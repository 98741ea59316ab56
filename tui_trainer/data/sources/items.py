"""`ReadItems`: the samples of a plugin that gives items, such as files, and functions to read them.

Layer: data. `read(item)` makes the inputs when they are needed. `target(item)` is called for all
items at once, so that names become classes and the classes can be divided and counted; only a
target that is an array, such as a mask, is read with its sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.own_samples import Data
from tui_trainer.config.sections.datasets import RowsSection
from tui_trainer.config.user_code import describe_error_near, place_of
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

SPLITS = ("train", "val", "test")
_ARRAYS = (Tensor, np.ndarray)


@dataclass(frozen=True, eq=False)
class ReadItems:
    """A map-style data set of items; the target of each is known, or read with its sample."""

    items: list[Any]
    ids: tuple[str, ...]
    """The items as text, relative to the folder of the data."""
    read: Callable[[Any], Any]
    target: Callable[[Any], Any] | None
    targets: Any = None
    """Of all items: ints, floats, or rows of 0 and 1; None if they are read with the samples."""

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        item = self.items[index]
        sample = self.read(item)
        if self.targets is not None:
            return _with_target(sample, self.targets[index])
        return sample if self.target is None else _with_target(sample, self.target(item))

    def path(self, index: int) -> str:
        return self.ids[index]


def _with_target(sample: Any, target: Any) -> dict[str, Any]:
    fields = dict(sample) if isinstance(sample, Mapping) else {"input": sample}
    if "target" in fields:
        raise ValueError("read(item) returned a target, and Data has target=, too; leave one out")
    if isinstance(sample, tuple):
        raise ValueError("read(item) returned a pair, and Data has target=, too; leave one out")
    return {**fields, "target": target}


def with_items(data: Data, section: RowsSection, name: str) -> Data:
    """Return the data with a data set of items for each split that is a list of them.

    Raises:
        BadInput: the functions do not go together, or fail for an item.
    """
    if data.read is None:
        if data.target is not None or data.group is not None:
            raise BadInput(f"{name}: Data(target=...) and Data(group=...) need read=, too")
        return data
    if data.group is not None and data.val is not None:
        raise BadInput(f"{name}: Data(group=...) is for data that are split here; val is given")
    splits = {split: getattr(data, split) for split in SPLITS}
    for items in splits.values():
        if items is not None and not (hasattr(items, "__len__") and hasattr(items, "__getitem__")):
            raise BadInput(f"{name}: with read=, data are a list of items, not {_type_of(items)}")
    # Once: a sequence of the user may read from a disk for each of its items.
    given = {
        split: [items[index] for index in range(len(items))]
        for split, items in splits.items()
        if items is not None
    }
    targets, classes = _targets_of(data, given, name)
    read: dict[str, Any] = {
        split: ReadItems(
            items,
            tuple(_id_of(item, section.path) for item in items),
            data.read,
            data.target,
            targets.get(split),
        )
        for split, items in given.items()
    }
    return replace(data, **read, classes=classes)


def group_labels(data: Data, name: str) -> list[Any] | None:
    """Return the group of each training item, or None if there are no groups."""
    if data.group is None:
        return None
    return [_called(data.group, item, name, "group") for item in data.train.items]


def groups_of(data: Data, name: str) -> NDArray[np.int64] | None:
    """Return the group of each training item as a number, or None if there are no groups."""
    labels = group_labels(data, name)
    if labels is None:
        return None
    number: dict[Any, int] = {}
    try:
        return np.array([number.setdefault(label, len(number)) for label in labels], np.int64)
    except TypeError as error:
        raise BadInput(f"{name}: group(item) is {_type_of(labels[0])}, not a name") from error


def _id_of(item: Any, folder: str) -> str:
    text = str(item)
    is_inside = folder and isinstance(item, str | os.PathLike) and os.path.isabs(text)
    return os.path.relpath(text, folder) if is_inside else text


def _called(function: Callable[[Any], Any], item: Any, name: str, what: str) -> Any:
    try:
        return function(item)
    except (Exception, SystemExit) as error:
        text = describe_error_near(error, place_of(function))
        raise BadInput(f"{text}; {what} of {clean(str(item), 200)} (in {name})") from error


def _targets_of(
    data: Data, given: Mapping[str, list[Any]], name: str
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return the targets of each split, if they are known before reading, and the classes."""
    if data.target is None or not given["train"]:
        return {}, data.classes
    first = _called(data.target, given["train"][0], name, "target")
    if isinstance(first, _ARRAYS) and first.ndim > 0:
        return {}, data.classes
    values = {
        split: [_called(data.target, item, name, "target") for item in items]
        for split, items in given.items()
    }
    if isinstance(first, str):
        return _as_classes(data, given, values, name)
    if isinstance(first, list | tuple | set | frozenset) and all(isinstance(w, str) for w in first):
        return _as_labels(data, given, values, name)
    return values, data.classes


def _as_classes(
    data: Data, given: Mapping[str, list[Any]], values: Mapping[str, list[Any]], name: str
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return names as positions among the classes, which are those of the training data."""
    classes = tuple(data.classes) or order_classes(set(filter(_is_text, values["train"])))
    position = {text: index for index, text in enumerate(classes)}
    for split, targets in values.items():
        for item, target in zip(given[split], targets, strict=True):
            _check_known(target, position, item, name)
    return {
        split: [position[target] for target in targets] for split, targets in values.items()
    }, classes


def _as_labels(
    data: Data, given: Mapping[str, list[Any]], values: Mapping[str, list[Any]], name: str
) -> tuple[dict[str, Any], Sequence[str]]:
    """Return several names for each item as 0 and 1 for each of the labels."""
    used = {label for labels in values["train"] for label in labels}
    classes = tuple(data.classes) or order_classes(set(filter(_is_text, used)))
    position = {text: index for index, text in enumerate(classes)}
    rows: dict[str, Any] = {}
    for split, targets in values.items():
        rows[split] = np.zeros((len(targets), len(classes)), dtype=np.int64)
        for row, (item, labels) in enumerate(zip(given[split], targets, strict=True)):
            for label in labels:
                _check_known(label, position, item, name)
                rows[split][row, position[label]] = 1
    return rows, classes


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _check_known(target: Any, position: Mapping[str, int], item: Any, name: str) -> None:
    shown = clean(str(item), 200)
    if not _is_text(target):
        raise BadInput(f"{name}: the target of {shown} is {_type_of(target)}, and others are names")
    if target not in position:
        known = clean(", ".join(position), 200)
        raise BadInput(
            f"{name}: the target of {shown} is {clean(repr(target), 80)}, which is none of the "
            f"classes: {known}"
        )


def _type_of(value: Any) -> str:
    return type(value).__name__
