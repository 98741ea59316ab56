"""Notes on what may be wrong with the rows before they are trained on, and the settings for it.

Layer: data. Each is a guess by names and counts: nothing is changed by it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, NumberColumn, TextColumn
from tui_trainer.data.splits.row_keys import Keys, count_different, row_keys
from tui_trainer.data.splits.split_column import is_split_word
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

_SPLIT_NAMES = frozenset(
    {
        *("split", "fold", "folds", "kfold", "cv_fold", "set", "subset", "partition"),
        *("is_train", "is_test", "is_val", "is_valid"),
    }
)
_LEAST_IDS = 10
"""A column of fewer different ids is a category."""
_FEW_ROWS = 5
_MOSTLY = 0.8
_FIRST_COLUMNS = 3
_MOST_NAMED = 5
_ID_NAME = re.compile(
    r"(?:^|[_ .-])(?:id|patient|subject|person|participant|user|customer|client|speaker|household|"
    r"device)$|(?-i:[a-z](?:Id|ID)$)",
    re.IGNORECASE,
)
"""The names of columns that tell of what or whom a row is."""
_WEIGHTS = "loss=cross_entropy loss.class_weights=balanced"


def column_notices(inputs: Mapping[str, Column]) -> list[str]:
    """Return a note for each input that looks like a split or like the id of something."""
    notes = []
    for name, column in inputs.items():
        shown = clean(name, 80)
        words_only = isinstance(column, TextColumn) and all(map(is_split_word, column.texts))
        if isinstance(column, TextColumn) and words_only and len(column.texts) > 1:
            words = clean(", ".join(column.texts), 80)
            notes.append(
                f"{shown} is an input, and has only {words}: dataset.split={shown} splits by it"
            )
        elif name.lower() in _SPLIT_NAMES:
            notes.append(
                f"{shown} is an input, and may be a split: dataset.split={shown} takes a column "
                "with train, val and test, dataset.drop leaves it out"
            )
        elif is_name_of_id(name):
            notes += _id_notice(shown, column)
    return notes


def is_name_of_id(name: str) -> bool:
    """Whether a column has the name of an id, such as `patient`, `user_id` or `CustomerId`."""
    return _ID_NAME.search(name.strip()) is not None


def _id_notice(shown: str, column: Column) -> list[str]:
    values = column.values if isinstance(column, NumberColumn) else column.codes
    different, rows = len(np.unique(values[~column.missing])), len(values)
    if not _LEAST_IDS <= different < rows:
        return []
    return [
        f"{shown}: {different:,} different values in {rows:,} rows; dataset.group={shown} keeps "
        "rows with the same value in the same split"
    ]


def count_near_copies(
    inputs: Mapping[str, Column], identities: Keys, dates: Collection[str]
) -> int:
    """Return how many rows differ from another one in the last digits only.

    The inputs named `dates` are days since 1970, whose last digits are the time of day.
    """
    # Rows that differ in a few columns differ in all, and rounding takes longer than reading.
    first = dict(islice(inputs.items(), _FIRST_COLUMNS))
    if _count_rounded(first, dates) == len(identities):
        return 0
    return max(count_different(identities) - _count_rounded(inputs, dates), 0)


def near_copies_notice(count: int) -> list[str]:
    """Return a note on rows that are nearly equal to another one, if there are some."""
    if not count:
        return []
    return [
        f"{counted(count, 'row')} nearly equal to another row, to 6 digits, and may be in "
        "another split than that one; dataset.group names a column of rows that belong together"
    ]


def _count_rounded(inputs: Mapping[str, Column], dates: Collection[str]) -> int:
    """Return the number of rows that differ when their numbers are rounded, but for dates."""
    rounded = {
        name: NumberColumn(_rounded(column.values))
        if isinstance(column, NumberColumn) and name not in dates
        else column
        for name, column in inputs.items()
    }
    return count_different(row_keys(rounded))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers with 20 binary digits after the first, which are six decimal ones."""
    # Adding half of the last digit that is kept may carry into the exponent, and is right then too.
    bits = (values.view(np.uint64) + np.uint64(1 << 31)) & np.uint64(0xFFFFFFFF00000000)
    return bits.view(np.float64)


def _alike(classes: Sequence[str]) -> list[str]:
    """Return a note if some classes are the same word in upper and lower case, and no letter."""
    words: dict[str, list[str]] = {}
    for name in (name for name in classes if len(name) > 1):
        words.setdefault(name.casefold(), []).append(name)
    alike = [names for names in words.values() if len(names) > 1][:_MOST_NAMED]
    if not alike:
        return []
    shown = "; ".join(clean(", ".join(names), 80) for names in alike)
    what = "classes that differ in upper and lower case only"
    return [f"{what}: {shown}; if they are one, write them in one way"]


def class_notices(classes: Sequence[str], counts: Sequence[int], noun: str) -> list[str]:
    """Return notes on classes with few training rows, and on one that most of them have.

    `counts` are the training rows of each of the `classes`, and `noun` is the one for a row.
    """
    notes = _alike(classes)
    few = [place for place, count in enumerate(counts) if 0 < count < _FEW_ROWS]
    if few:
        named = [f"{clean(classes[place], 80)} ({counts[place]})" for place in few[:_MOST_NAMED]]
        more = f" and {len(few) - _MOST_NAMED} more" if len(few) > _MOST_NAMED else ""
        notes.append(
            f"classes with few {noun}s to train on: {', '.join(named)}{more}; {_WEIGHTS} gives "
            "them more weight"
        )
    largest = max(range(len(counts)), key=counts.__getitem__)
    share = counts[largest] / sum(counts)
    if share > _MOSTLY:
        notes.append(
            f"{share:.0%} of the {noun}s to train on are {clean(classes[largest], 80)}, so that "
            "accuracy says little; training.metrics=[balanced_accuracy,f1] counts every class, and "
            f"{_WEIGHTS} weighs them"
        )
    return notes
