"""`split_name`: the words by which columns, folders and files name a split.

Layer: data.
"""

from __future__ import annotations

from typing import Literal

SplitName = Literal["train", "val", "test"]

_NAMES: dict[str, SplitName] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def split_name(text: str) -> SplitName | None:
    """Return the split that a text states, None for other texts."""
    return _NAMES.get(text.strip().lower())
