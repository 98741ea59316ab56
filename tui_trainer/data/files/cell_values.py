"""The meaning of a cell: a missing value, a number, or a class.

Layer: data. Python would read `1_000` and the digits of other scripts as numbers; here they are
text, so that nothing becomes a number by accident.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.number_forms import NumberForm

MISSING = frozenset({"", "na", "nan", "?", "null"})
"""Lower-case texts that stand for a missing value."""
MISSING_NUMBERS = MISSING | {"n/a", "#n/a", "#na", "<na>", "none", "-", "--", "."}
"""Those that do so among numbers, where they cannot be anything else."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def is_missing(text: str, marks: frozenset[str] | None = None) -> bool:
    """Whether a text stands for a missing value; `marks` takes the place of the usual ones."""
    return text.strip().lower() in MISSING if marks is None else text.strip() in marks


def to_number(
    text: str, marks: frozenset[str] | None = None, form: NumberForm | None = None
) -> float | None:
    """Return a field's number, NaN for a missing value, None for text; infinity is a number.

    `form` is how the numbers are written, if not as in Python.
    """
    stripped = text.strip()
    if stripped.lower() in MISSING_NUMBERS if marks is None else stripped in marks:
        return float("nan")
    if form is not None:
        plain = form.plain(text)
        return None if plain is None else float(plain)
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def to_numbers(
    texts: Sequence[str], marks: frozenset[str] | None = None, form: NumberForm | None = None
) -> tuple[NDArray[np.float64], list[int]]:
    """Return the numbers, NaN for missing values and texts, and the positions of the texts."""
    joined = "".join(texts)
    if form is None and marks is None and "_" not in joined and joined.isascii():
        try:
            return np.array(texts, dtype=np.float64), []
        except ValueError:
            pass
    values = [to_number(text, marks, form) for text in texts]
    foreign = [position for position, value in enumerate(values) if value is None]
    return np.array([np.nan if value is None else value for value in values]), foreign


def order_classes(texts: Collection[str]) -> tuple[str, ...]:
    """Return the distinct texts, sorted by number if all are integers, else alphabetically."""
    if all(_INTEGER.fullmatch(text) for text in texts):
        return tuple(sorted(set(texts), key=lambda text: (int(text), text)))
    return tuple(sorted(set(texts)))
