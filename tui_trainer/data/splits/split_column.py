"""The splits that a column of the data states, as train, val and test.

Layer: data.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, TextColumn
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.position import Ints
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_WORDS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing"), TEST),
}


def is_split_word(text: str) -> bool:
    """Whether a text states a split."""
    return text.strip().lower() in _WORDS


def split_of_word(text: str) -> int | None:
    """Return the split that a text states, None for other texts."""
    return _WORDS.get(text.strip().lower())


def split_words(column: Column, name: str, lines: NDArray[np.int64], file: str) -> Ints:
    """Return the split (N,) that a column says: 0 for training, 1 for validation, 2 for the test.

    Raises:
        BadInput: a cell says something else; names the line.
    """
    assert isinstance(column, TextColumn)
    split_numbers = [_WORDS.get(text.strip().lower(), -1) for text in column.texts]
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
    parts: Ints, name: str, file: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return the rows of the test, and of validation if there are any.

    Raises:
        BadInput: there are none to train on, or none to test.
    """
    for number, word in ((TRAIN, "train"), (TEST, "test")):
        if not (parts == number).any():
            raise BadInput(
                f"{file}: no row has '{word}' in column '{clean(name, 80)}'; leave dataset.split "
                "empty to draw the split"
            )
    return parts == TEST, parts == VAL if (parts == VAL).any() else None
