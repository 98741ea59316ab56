"""Writes predicted masks and pictures as PNG files.

Layer: data. Each pixel of a mask is the number of its class, which a palette shows in colour.
Pillow is imported only when a file is written.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CannotWrite

if TYPE_CHECKING:
    from PIL.Image import Image

_COLOURS = 256
_GOLDEN = 0.618034
"""The golden ratio: hues in such steps stay far apart, however many there are."""


def write_mask(mask: Tensor, path: Path, colours: Sequence[int | None] = ()) -> None:
    """Write a mask (H, W) as a PNG of 8 bits with a palette, or for int32 of 16 bits in grey.

    `colours` are those of the classes, as far as they have some. A file of that name is replaced.

    Raises:
        CannotWrite: the file cannot be written.
    """
    from PIL import Image

    if mask.dtype.itemsize == 1:
        picture = Image.fromarray(mask.numpy())
        picture.putpalette(_palette(colours))
    else:
        picture = Image.fromarray(mask.numpy().astype(np.uint16))
    _save(picture, path)


def write_picture(values: Tensor, path: Path) -> None:
    """Write a picture (C, H, W) of 1 or 3 channels from 0 to 1 as a PNG of 8 bits.

    A file of that name is replaced.

    Raises:
        CannotWrite: the file cannot be written.
    """
    _save(picture_of((values.nan_to_num(0.0).clamp(0, 1) * 255).round().byte()), path)


def picture_of(pixels: Tensor) -> Image:
    """Return pixels (C, H, W) of uint8 as a picture of Pillow."""
    from PIL import Image

    last = pixels.movedim(0, -1).numpy()
    return Image.fromarray(last[..., 0] if last.shape[-1] == 1 else last)


def _save(picture: Image, path: Path) -> None:
    try:
        picture.save(path, format="PNG")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CannotWrite(f"{clean(str(path), 200)}: {reason}") from error


def _palette(colours: Sequence[int | None]) -> list[int]:
    """Return red, green and blue of each class in turn, of those without a colour black for the
    first one, then colours.
    """
    levels = [0.0, 0.0, 0.0]
    for index in range(1, _COLOURS):
        levels += colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.8, 1.0)
    bytes_of = [round(255 * level) for level in levels]
    for place, colour in enumerate(colours[:_COLOURS]):
        if colour is not None:
            bytes_of[3 * place : 3 * place + 3] = colour.to_bytes(3)
    return bytes_of
