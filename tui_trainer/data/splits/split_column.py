"""The splits that a column of the data states, as train, val and test.

Layer: data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, TextColumn
from tui_trainer.data.files.split_names import split_name
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.position import Ints
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_SIDES = {"train": TRAIN, "val": VAL, "test": TEST}


def is_split_word(text: str) -> bool:
    """Whether a text states a split."""
    return split_name(text) is not None


def split_of_word(text: str) -> int | None:
    """Return the split that a text states, None for other texts."""
    name = split_name(text)
    return None if name is None else _SIDES[name]


def split_words(column: Column, name: str, lines: NDArray[np.int64], file: str) -> Ints:
    """Return the split (N,) that a column says: 0 for training, 1 for validation, 2 for the test.

    Raises:
        BadInput: a cell says something else; names the line.
    """
    assert isinstance(column, TextColumn)
    sides = [split_of_word(text) for text in column.texts]
    split_numbers = [-1 if side is None else side for side in sides]
    parts = np.array([*split_numbers, -1], dtype=np.int64)[column.codes]
    if (parts < 0).any():
        row = int((parts < 0).argmax())
        code = column.codes[row]
        value = repr(clean(column.texts[code], 40)) if code >= 0 else "nothing"
        raise BadInput(
            f"{file}:{lines[row]}: column '{clean(name, 80)}' has {value}, but should have train, "
            "val or test"
        )
    return parts


def given_splits(
    parts: Ints, name: str, file: str, test_fraction: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return the rows of the test, and of validation if there are any.

    Raises:
        BadInput: there are none to train on, or none to test although `test_fraction` is above 0.
    """
    for number, word in ((TRAIN, "train"), (TEST, "test")):
        if number == TEST and not test_fraction:
            continue
        if not (parts == number).any():
            ways = "dataset.test_fraction=0 trains without a test; " if number == TEST else ""
            raise BadInput(
                f"{file}: no row has '{word}' in column '{clean(name, 80)}'; {ways}leave "
                "dataset.split empty to draw the split"
            )
    return parts == TEST, parts == VAL if (parts == VAL).any() else None
