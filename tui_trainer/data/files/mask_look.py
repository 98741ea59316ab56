"""`look_at_masks`: whether the classes in masks are numbers or colours, judging by some of them.

Layer: data. The palette of a mask may number the classes, or only say which colours it has: then
another mask has other numbers for the same colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.picture_form import MaskValues
from tui_trainer.data.files.picture_opener import NotAPicture
from tui_trainer.data.files.picture_reader import PictureFiles

_LOOKED_AT = 40


@dataclass(frozen=True, slots=True)
class MaskLook:
    """The form of some masks: whether their numbers or their colours are the classes."""

    values: MaskValues
    reason: str = ""
    """Why their colours are the classes; empty if their numbers are."""
    palette: tuple[tuple[int, int], ...] = ()
    """The colours of numbers, by the palette that all masks have."""


def look_at_masks(files: PictureFiles) -> MaskLook:
    """Return whether numbers or colours are the classes in masks, judging by some of them."""
    coloured = numbered = 0
    palette: dict[int, int] = {}
    has_conflict = False
    for file in files.masks[:: max(1, len(files.masks) // _LOOKED_AT)]:
        try:
            with files.open(file) as picture:
                if picture.mode == "P":
                    numbered += 1
                    pairs = _palette_of(np.asarray(picture), picture.getpalette() or [])
                    has_conflict |= any(palette.setdefault(n, c) != c for n, c in pairs)
                elif picture.mode in ("RGB", "RGBA", "CMYK", "YCbCr", "PA", "RGBX"):
                    channels = np.asarray(picture.convert("RGB"))
                    is_grey = bool((channels == channels[..., :1]).all())
                    coloured += not is_grey
                else:
                    numbered += 1
        except (OSError, NotAPicture):
            continue
    if coloured > numbered:
        return MaskLook("colours", "the masks have colours")
    if has_conflict:
        return MaskLook("colours", "each mask has a palette of its own")
    return MaskLook("numbers", palette=tuple(sorted(palette.items())))


def _palette_of(numbers: NDArray[np.uint8], palette: Sequence[int]) -> list[tuple[int, int]]:
    """Return the numbers that a mask uses with their colours."""
    used = [number for number in np.unique(numbers).tolist() if 3 * number + 2 < len(palette)]
    return [(number, int.from_bytes(palette[3 * number : 3 * number + 3])) for number in used]
