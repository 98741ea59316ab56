"""Opens pictures: only those of plain formats, and as 8 bits for each channel.

Layer: data. Pillow is imported only when a picture is opened. Of its readers only those of picture
formats are used: others start programs, whatever the name of a file says that it is.
"""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""The formats that are read, by the names that Pillow gives them."""
SUFFIXES = frozenset(
    {
        *(".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
        *(".pgm", ".ppm", ".pnm"),
    }
)
"""The endings of the names of pictures, in lower case."""
MOST_PIXELS = 64_000_000
"""A larger picture is refused before it is decoded."""
_OF_16_BITS = 65535
_TO_8_BITS = 257
"""65535 is as white as 255."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""The modes of Pillow by the number of channels."""


MOST_BYTES = 1 << 30
"""The largest file that is read as a picture."""


def is_picture_name(name: str) -> bool:
    """Whether a file is a picture, judging by its name."""
    return name[name.rfind(".") :].lower() in SUFFIXES


def is_image(path: str) -> bool:
    """Whether the file at a path is a picture, judging by the suffix of its name, if it has one."""
    return Path(path).suffix.lower() in SUFFIXES


@contextmanager
def open_picture(path: str) -> Iterator[Image]:
    """Open a picture, which is not decoded yet; what is wrong with it may only show then.

    Raises:
        BadInput: it is missing, is no picture, is damaged or is too large.
    """
    shown = clean(path, 200)
    try:
        with open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with picture_in(file) as picture:
                yield picture
    except FileNotFoundError as error:
        raise BadInput(f"{shown}: no such file") from error
    except NotAPicture as error:
        raise BadInput(f"{shown}: {error}") from error
    except OSError as error:
        reason = clean(error.strerror or str(error), 120)
        raise BadInput(f"{shown}: cannot be read as a picture ({reason})") from error


class NotAPicture(ValueError):
    """A file is no picture, is damaged or is too large; the text says which, cleaned."""


@contextmanager
def open_regular(path: str) -> Iterator[IO[bytes]]:
    """Open a file without waiting for a writer, as that of a pipe.

    Raises:
        OSError: it cannot be opened.
        NotAPicture: it is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotAPicture("is not a regular file")
        yield file


@contextmanager
def picture_in(file: IO[bytes]) -> Iterator[Image]:
    """Open the picture in a file, for any number of threads; warnings of Pillow are not silenced.

    Whatever Pillow raises in the block means that the file is damaged.

    Raises:
        NotAPicture: it is no picture, is damaged or is too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=FORMATS) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                size = f"{picture.width}x{picture.height}"
                raise NotAPicture(f"{size} pixels, more than {MOST_PIXELS:,}")
            yield picture
    except (NotAPicture, BadInput, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise NotAPicture("is not a picture of a known format") from error
    except Image.DecompressionBombError as error:
        raise NotAPicture(f"more than {MOST_PIXELS:,} pixels") from error
    except Exception as error:
        # The readers of damaged files end in many ways, as in an IndexError or a struct.error.
        reason = clean(str(error) or type(error).__name__, 120)
        raise NotAPicture(f"cannot be read as a picture ({reason})") from error


def with_8_bits(picture: Image) -> Image:
    """Return a picture with 8 bits for each channel.

    Pillow itself would make everything above 255 of a grey picture of 16 bits white.

    Raises:
        ValueError: its numbers have no known white.
    """
    from PIL import Image

    if picture.mode == "F":
        raise ValueError("its pixels are floats, so the value of white is unknown")
    if not picture.mode.startswith("I"):
        return picture
    values = np.asarray(picture)
    if values.min(initial=0) < 0 or values.max(initial=0) > _OF_16_BITS:
        raise ValueError("more than 16 bits per pixel")
    return Image.fromarray((values.astype(np.uint32) // _TO_8_BITS).astype(np.uint8))


def read_image(
    path: str, shape: tuple[int, ...], max_value: float
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read a picture as pixels (1, C*H*W) from 0 to `max_value`, and notes on changes made to it.

    It is turned upright, and converted to the channels and the size of `shape`.

    Raises:
        BadInput: it cannot be read, is too large, or the data need an unsupported number of
            channels.
    """
    from PIL import Image, ImageOps

    shown = clean(path, 200)
    channels, height, width = shape
    mode = _MODES.get(channels)
    if mode is None:
        raise BadInput(f"{shown}: a picture has 1, 3 or 4 channels, but the data have {channels}")
    notes = []
    with open_picture(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            notes.append(f"{shown}: only the first of its pictures is read")
        image = with_8_bits(ImageOps.exif_transpose(picture)).convert(mode)
    if image.size != (width, height):
        original = f"{image.width}x{image.height}"
        notes.append(f"{shown}: scaled from {original} to {width}x{height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32).reshape(height, width, channels)
    flat = values.transpose(2, 0, 1).reshape(1, -1) * (max_value / 255.0)
    return np.ascontiguousarray(flat), tuple(notes)
