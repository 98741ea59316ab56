"""What a field of a CSV file means: a number, a class, or nothing.

Layer: data. Python would read `1_000` and digits of other scripts as numbers; here they are text,
so that nothing is taken for a number by accident.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset({"", "na", "nan", "?", "null"})
"""Lower-cased texts that stand for a missing value."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def is_missing(text: str) -> bool:
    """Whether a field has no value."""
    return text.strip().lower() in MISSING


def to_number(text: str) -> float | None:
    """The number, NaN for a missing value, None for a text; infinity is a number here."""
    if is_missing(text):
        return float("nan")
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def to_numbers(texts: Sequence[str]) -> tuple[NDArray[np.float64], list[int]]:
    """The numbers, NaN for missing values; and the positions of those that are texts."""
    joined = "".join(texts)
    if "_" not in joined and joined.isascii():
        try:
            return np.array(texts, dtype=np.float64), []
        except ValueError:
            pass
    values = [to_number(text) for text in texts]
    foreign = [position for position, value in enumerate(values) if value is None]
    return np.array([np.nan if value is None else value for value in values]), foreign


def order_classes(texts: Collection[str]) -> tuple[str, ...]:
    """The distinct texts, by number when all are integers, else by alphabet."""
    if all(_INTEGER.fullmatch(text) for text in texts):
        return tuple(sorted(set(texts), key=lambda text: (int(text), text)))
    return tuple(sorted(set(texts)))
