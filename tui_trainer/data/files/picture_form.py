"""`decode`: a picture of any mode and size as the numbers that a model is trained on.

Layer: data. Whatever the file holds becomes 8 bits per channel, grey or RGB: transparent pixels
lie on white, colours of CMYK and of palettes become RGB, 16 bits become 8, of an animation the
first picture is taken, and a camera's orientation is applied. Pillow decodes; torch scales, with
antialias. The result does not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.sections.picture_datasets import Fit
from tui_trainer.data.files.picture_opener import NotAPicture, with_8_bits

if TYPE_CHECKING:
    from PIL.Image import Image

Pixels = NDArray[np.uint8]
MaskValues = Literal["numbers", "colours"]

_ORIENTATION = 0x0112
"""The number of the entry in EXIF data."""
_GREY_MODES = frozenset({"1", "L", "LA", "La", "F"})
_DRAFT_SCALE = 2
"""A JPEG is decoded at a lower size if that is still so many times the size that is needed."""


@dataclass(frozen=True, slots=True)
class PictureForm:
    """The size and the channels that pictures are brought to."""

    height: int
    width: int
    channels: int
    """1: grey, 3: RGB."""
    fit: Fit = "crop"
    mask_values: MaskValues = "numbers"
    """What the classes in masks are."""
    mask_colours: tuple[int, ...] = ()
    """The colours in masks that are classes; empty: all that are found."""

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.channels, self.height, self.width


_LARGEST_NATIVE = 96
"""Pictures that all have one size are kept as they are up to it."""
_SIZES = (16, 32, 64, 128)
_LARGEST = 224


def suggest_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the height and width for pictures of these ones, of which there is one at least."""
    if len({*sizes}) == 1 and max(sizes[0]) <= _LARGEST_NATIVE:
        return sizes[0]
    smaller = sorted(map(min, sizes))[len(sizes) // 2]
    if smaller >= 2 * _LARGEST:
        return _LARGEST, _LARGEST
    side = max((size for size in _SIZES if size <= smaller), default=_SIZES[0])
    return side, side


class _Window(NamedTuple):
    """The part of a picture that is used, and the size that it is scaled to."""

    left: int
    top: int
    width: int
    height: int
    new_width: int
    new_height: int


def decode(picture: Image, form: PictureForm) -> Tensor:
    """Return an open picture as uint8 (C, H, W).

    Raises:
        ValueError: the pixels have no known white; Pillow raises further errors for damaged files.
    """
    turn = _orientation_of(picture)
    _draft(picture, form, turn)
    pixels = _upright(np.asarray(_plain(picture, form.channels)), turn)
    window = window_of(pixels.shape[1], pixels.shape[0], form)
    scaled = _scaled(_cut(pixels, window), window, "bilinear")
    return scaled if form.fit != "pad" else _padded(scaled, form)


def decode_mask(picture: Image, form: PictureForm) -> Tensor:
    """Return a mask (H, W): uint8, the grey levels or the numbers of the palette as they are; or
    int32, its colours, if these are the classes.

    Raises:
        ValueError: it has colours, and numbers are the classes; Pillow raises further errors.
    """
    turn, are_colours = _orientation_of(picture), form.mask_values == "colours"
    values = np.asarray(picture.convert("RGB")) if are_colours else _mask_numbers(picture)
    pixels = _upright(values, turn)
    window = window_of(pixels.shape[1], pixels.shape[0], form)
    scaled = _scaled(_cut(pixels, window), window, "nearest-exact")
    if not are_colours:
        return scaled[0]
    red, green, blue = scaled.int().unbind()
    return red * 65536 + green * 256 + blue


def upright_size(picture: Image) -> tuple[int, int]:
    """Return the width and height of an open picture as it is seen; a draft would change them."""
    return picture.size if _orientation_of(picture) < 5 else picture.size[::-1]


def check_shape(mask: Image, size: tuple[int, int], form: PictureForm) -> None:
    """Check that an open mask has the shape of its picture, whose width and height are `size`.

    It may be smaller or larger, with sides that were rounded. One of another shape would be cut
    elsewhere, unless both are stretched.

    Raises:
        NotAPicture: it has another shape.
    """
    (width, height), (own_width, own_height) = size, upright_size(mask)
    apart = abs(own_width * height - own_height * width)
    if form.fit != "stretch" and apart and apart >= width + height:
        raise NotAPicture(
            f"its mask has {own_width}x{own_height} pixels and the picture {width}x{height}, "
            "which is another shape; dataset.fit=stretch scales each one separately"
        )


def is_grey(picture: Image) -> bool:
    """Whether an open picture has shades of grey only, by its mode or its palette."""
    if picture.mode == "P":
        palette = picture.getpalette() or []
        return all(palette[at] == palette[at + 1] == palette[at + 2] for at in _thirds(palette))
    return picture.mode in _GREY_MODES or picture.mode.startswith("I")


def _thirds(palette: list[int]) -> range:
    return range(0, len(palette) - 2, 3)


def window_of(width: int, height: int, form: PictureForm) -> _Window:
    """Return which part of an upright picture is used, and the size it is scaled to."""
    if form.fit == "stretch":
        return _Window(0, 0, width, height, form.width, form.height)
    if form.fit == "pad":
        scale = min(form.width / width, form.height / height)
        new = (max(1, round(width * scale)), max(1, round(height * scale)))
        return _Window(0, 0, width, height, min(new[0], form.width), min(new[1], form.height))
    # The middle is cut out before it is scaled: the whole of a long strip would become huge.
    used_width = max(1, min(width, round(height * form.width / form.height)))
    used_height = max(1, min(height, round(width * form.height / form.width)))
    left, top = (width - used_width) // 2, (height - used_height) // 2
    return _Window(left, top, used_width, used_height, form.width, form.height)


def _draft(picture: Image, form: PictureForm, turn: int) -> None:
    """Let a large JPEG be decoded at a half, a quarter or an eighth of its size."""
    if picture.format not in ("JPEG", "MPO"):
        return
    width, height = picture.size if turn < 5 else picture.size[::-1]
    window = window_of(width, height, form)
    least = (
        math.ceil(width * _DRAFT_SCALE * window.new_width / window.width),
        math.ceil(height * _DRAFT_SCALE * window.new_height / window.height),
    )
    picture.draft("L" if form.channels == 1 else "RGB", least if turn < 5 else least[::-1])


def _orientation_of(picture: Image) -> int:
    """Return the orientation that a camera noted, 1 to 8; 1 is upright."""
    try:
        turn = picture.getexif().get(_ORIENTATION, 1)
    except Exception:
        # Damaged notes of a camera are no reason to leave its picture out.
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1


def _upright(pixels: Pixels, turn: int) -> Pixels:
    """Return a view of pixels (H, W, ...) as a camera with this orientation saw them."""
    if turn == 1:
        return pixels
    turns: dict[int, Any] = {
        2: lambda seen: seen[:, ::-1],
        3: lambda seen: seen[::-1, ::-1],
        4: lambda seen: seen[::-1],
        5: lambda seen: seen.swapaxes(0, 1),
        6: lambda seen: seen[::-1].swapaxes(0, 1),
        7: lambda seen: seen[::-1, ::-1].swapaxes(0, 1),
        8: lambda seen: seen[:, ::-1].swapaxes(0, 1),
    }
    turned: Pixels = turns[turn](pixels)
    return turned


def _plain(picture: Image, channels: int) -> Image:
    """Return a picture as grey or RGB, transparent pixels on white."""
    from PIL import Image

    picture = with_8_bits(picture)
    if picture.has_transparency_data:
        layer = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _mask_numbers(picture: Image) -> Pixels:
    if picture.mode in ("P", "L"):
        return np.asarray(picture)
    if picture.mode == "1":
        return np.asarray(picture.convert("L"))
    if picture.mode.startswith("I"):
        numbers = np.asarray(picture)
        if numbers.min(initial=0) < 0 or numbers.max(initial=0) > 255:
            raise ValueError("a mask with numbers above 255; classes are 0 to 255")
        return numbers.astype(np.uint8)
    colours = np.asarray(picture.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise ValueError(
            "a mask in colours among masks of numbers; dataset.mask_values=colours takes the "
            "colours of all"
        )
    return np.ascontiguousarray(colours[..., 0])


def _cut(pixels: Pixels, window: _Window) -> Tensor:
    """Return the used part as (C, H, W), in the order in memory that torch scales fastest."""
    used = pixels[window.top : window.top + window.height, window.left : window.left + window.width]
    # The array of Pillow cannot be written to, which torch warns of.
    copied = torch.from_numpy(np.array(used, order="C"))
    return copied.permute(2, 0, 1) if copied.dim() == 3 else copied[None]


def _scaled(pixels: Tensor, window: _Window, mode: str) -> Tensor:
    size = (window.new_height, window.new_width)
    if pixels.shape[1:] == size:
        return pixels.contiguous()
    is_smooth = mode == "bilinear"
    scaled = F.interpolate(pixels[None], size=size, mode=mode, antialias=is_smooth)
    return scaled[0].contiguous()


def _padded(pixels: Tensor, form: PictureForm) -> Tensor:
    """Return the pixels in the middle of a black picture."""
    height, width = pixels.shape[1:]
    whole = torch.zeros(form.shape, dtype=torch.uint8)
    top, left = (form.height - height) // 2, (form.width - width) // 2
    whole[:, top : top + height, left : left + width] = pixels
    return whole
