"""Reads the binary records of CIFAR-10 and CIFAR-100: one or two labels, and 32x32 pixels in RGB.

Layer: data. https://www.cs.toronto.edu/~kriz/cifar.html describes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.content import Content
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.stored_arrays import StoredArray
from tui_trainer.text.errors import BadInput

SIDE, CHANNELS = 32, 3
PIXELS = CHANNELS * SIDE * SIDE
RECORDS_OF_10, RECORDS_OF_100 = PIXELS + 1, PIXELS + 2
_LOOKED_AT = 100
"""So many records are looked at to tell what a file is."""
_MOST_CLASSES = {1: (10,), 2: (20, 100)}
"""Of each label of a record."""


def labels_per_record(contents: Sequence[Content], *, of_100: bool | None = None) -> int:
    """Return 1 or 2 by the sizes of the files; 0 if they are of neither kind.

    `of_100` is what the names say.
    """
    sizes = [len(content) for content in contents]
    kinds = {1: RECORDS_OF_10, 2: RECORDS_OF_100}
    fitting = [
        count
        for count, record in kinds.items()
        if all(size and size % record == 0 for size in sizes)
    ]
    if of_100 is not None:
        fitting = [count for count in fitting if (count == 2) == of_100]
    return fitting[0] if fitting else 0


def has_labels(content: Content, labels: int) -> bool:
    """Whether the first records with so many labels have none that is too large."""
    if not labels:
        return False
    record = PIXELS + labels
    first = np.frombuffer(content[: _LOOKED_AT * record], np.uint8).reshape(-1, record)
    return bool((first[:, :labels] < np.array(_MOST_CLASSES[labels])).all())


def read_cifar(files: Sequence[DataFile], split: str, *, of_100: bool) -> list[StoredArray]:
    """Return the pictures and the labels of some files, as `x_SPLIT`, `y_SPLIT`.

    Those of CIFAR-100 have `coarse_labels_SPLIT` too.

    Raises:
        BadInput: a file is cut short, or a label is none.
    """
    labels = 2 if of_100 else 1
    record = PIXELS + labels
    for file in files:
        if not len(file.content) or len(file.content) % record:
            raise BadInput(
                f"{file.name}: {len(file.content):,} bytes are not records of {record:,} bytes; "
                "it is cut short, or not the binary version of CIFAR; download it again"
            )
    count = sum(len(file.content) for file in files) // record
    first = files[0]
    names = [f"coarse_{split}", f"y_{split}"] if of_100 else [f"y_{split}"]
    arrays = [
        StoredArray(
            name,
            first,
            (count,),
            np.dtype("u1"),
            unpack=partial(_labels, files, place, record, _MOST_CLASSES[labels][place]),
            more_files=tuple(files[1:]),
        )
        for place, name in enumerate(names)
    ]
    shape = (count, CHANNELS, SIDE, SIDE)
    pictures = StoredArray(
        f"x_{split}",
        first,
        shape,
        np.dtype("u1"),
        unpack=partial(_pixels, files, record, count),
        more_files=tuple(files[1:]),
    )
    return [pictures, *arrays]


def _records(file: DataFile, record: int) -> NDArray[np.uint8]:
    return np.frombuffer(file.content[: len(file.content)], np.uint8).reshape(-1, record)


def _labels(files: Sequence[DataFile], place: int, record: int, most: int) -> NDArray[np.uint8]:
    parts = []
    for file in files:
        labels = _records(file, record)[:, place]
        if (wrong := labels >= most).any():
            row = int(wrong.argmax())
            raise BadInput(
                f"{file.name}: the label of record {row} is {labels[row]}, and there are {most} "
                "classes; it is damaged, or not the binary version of CIFAR; download it again"
            )
        parts.append(labels.copy())
    return np.concatenate(parts)


def _pixels(files: Sequence[DataFile], record: int, count: int) -> NDArray[np.uint8]:
    pictures = np.empty((count, PIXELS), np.uint8)
    done = 0
    for file in files:
        records = _records(file, record)
        pictures[done : done + len(records)] = records[:, record - PIXELS :]
        done += len(records)
    return pictures.reshape(count, CHANNELS, SIDE, SIDE)
