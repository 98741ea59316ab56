"""A picture file as the pixels of one sample.

Layer: data. Pillow reads it, and is imported only here; a picture is turned upright, brought to the
channels and the size of the data, and its values to the data's range.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm"})
MOST_PIXELS = 64_000_000
"""A larger picture is refused before it is unpacked."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_image(path: str) -> bool:
    """Whether a file is a picture by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_image(
    path: str, shape: tuple[int, ...], max_value: float
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A picture as pixels (1, C*H*W) from 0 to `max_value`, and what was done to it.

    Raises:
        BadInput: it cannot be read, is too large, or has channels that cannot be had.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    shown = clean(path, 200)
    channels, height, width = shape
    mode = _MODES.get(channels)
    if mode is None:
        raise BadInput(f"{shown}: a picture has 1, 3 or 4 channels, and the data {channels}")
    notes = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    size = f"{opened.width}x{opened.height}"
                    raise BadInput(f"{shown}: {size} pixels, more than {MOST_PIXELS:,}")
                if getattr(opened, "n_frames", 1) > 1:
                    notes.append(f"{shown}: only the first of its pictures is read")
                image = ImageOps.exif_transpose(opened).convert(mode)
    except FileNotFoundError as error:
        raise BadInput(f"{shown}: no such file") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        reason = clean(str(error), 120)
        raise BadInput(f"{shown}: no picture that can be read ({reason})") from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"{shown}: more than {MOST_PIXELS:,} pixels") from error
    if image.size != (width, height):
        was = f"{image.width}x{image.height}"
        notes.append(f"{shown}: scaled from {was} to {width}x{height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32).reshape(height, width, channels)
    flat = values.transpose(2, 0, 1).reshape(1, -1) * (max_value / 255.0)
    return np.ascontiguousarray(flat), tuple(notes)
