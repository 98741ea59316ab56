"""Bounds for values that are read from a run's files: size, type, length and depth.

Layer: runs. The files may have been written by anyone, and JSON allows integers that no float can
hold, NaN, texts of a gigabyte and nested lists. Every reader of these files checks here, so that no
code behind it has to. A value out of bounds is never an error: the event is skipped, the status is
unreadable, or the curve has a gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from operator import lt

MOST_WHOLE = 2**62
"""Integers must be smaller, of either sign, to fit a float and a column of history.bin."""
MOST_LETTERS = 2**16
MOST_ITEMS = 2**17
"""The longest list."""
MOST_NAMES = 1000
"""The largest mapping, such as metrics by name."""
_DEEPEST = 4
"""The depth of lists and mappings that a setting may be nested in."""


def is_whole(value: object) -> bool:
    """Whether it is an integer of a usable size; True is not an integer here."""
    return type(value) is int and -MOST_WHOLE < value < MOST_WHOLE


def is_count(value: object) -> bool:
    """Whether it is an integer of a usable size that is not negative."""
    return type(value) is int and 0 <= value < MOST_WHOLE


def is_number(value: object) -> bool:
    """Whether it is a finite float, or an integer that a float holds."""
    return is_whole(value) or (type(value) is float and math.isfinite(value))


def is_text(value: object) -> bool:
    """Whether it is a text short enough to be shown."""
    return isinstance(value, str) and len(value) <= MOST_LETTERS


def is_list(value: object) -> bool:
    """Whether it is a list that is not too long; its items are not checked."""
    return isinstance(value, list | tuple) and len(value) <= MOST_ITEMS


def is_mapping(value: object) -> bool:
    """Whether it is a mapping that is not too large, with texts as keys; values are not checked."""
    return isinstance(value, dict) and len(value) <= MOST_NAMES and all(map(is_text, value))


def are_metrics(value: object) -> bool:
    """Whether it maps names to numbers; null stands for a number that was not finite."""
    return (
        is_mapping(value)
        and isinstance(value, dict)
        and all(number is None or is_number(number) for number in value.values())
    )


def is_plain(value: object, depth: int = _DEEPEST) -> bool:
    """Whether it is a setting: a bounded scalar, or a bounded list or mapping of a few levels."""
    if value is None or isinstance(value, bool) or is_number(value) or is_text(value):
        return True
    if isinstance(value, list | tuple):
        return depth > 0 and is_list(value) and all(is_plain(item, depth - 1) for item in value)
    if isinstance(value, dict):
        items = value.values()
        return depth > 0 and is_mapping(value) and all(is_plain(item, depth - 1) for item in items)
    return False


def number_or_nan(value: object) -> float:
    """Return the number as a float; NaN for anything else, and for null, which was not finite."""
    if type(value) is float:
        return value if math.isfinite(value) else math.nan
    return float(value) if isinstance(value, int) and is_whole(value) else math.nan


def are_counts(numbers: Sequence[int]) -> bool:
    """Whether none of these integers is negative or too large."""
    return not numbers or (min(numbers) >= 0 and max(numbers) < MOST_WHOLE)


def are_growing(steps: Sequence[int]) -> bool:
    """Whether these integers are counts, each larger than the one before."""
    return not steps or (
        steps[0] >= 0 and steps[-1] < MOST_WHOLE and all(map(lt, steps, islice(steps, 1, None)))
    )
