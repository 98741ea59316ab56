"""The targets of pictures: the class, number or labels of each, or the classes of its pixels.

Layer: data. The palette of a mask may number the classes, or only say which colours it has: then
another mask has other numbers for the same colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.mask_colours import colour_name, colour_of
from tui_trainer.data.files.picture_form import MaskValues, PictureForm
from tui_trainer.data.files.picture_opener import NotAPicture
from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.data.files.stored_pictures import StoredPictures
from tui_trainer.data.sources.picture_folders import PictureList
from tui_trainer.data.sources.source import Target
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

_MOST_NAMED = 5
_VOID = 255
_LOOKED_AT = 40


def with_mask_values(
    section: PicturesSection,
    form: PictureForm,
    files: PictureList,
    older: Mapping[str, Any] | None,
) -> tuple[PictureForm, tuple[tuple[int, int], ...]]:
    """Return the form with what the classes in the masks are, and the palette of numbers.

    `older` is as in `read_picture_files`: the masks of a run stay what they were.
    """
    look = _look_at_masks(files.files)
    values = look.values if section.mask_values == "auto" else section.mask_values
    if section.mask_colours:
        values = "colours"
    if older is not None:
        values = "colours" if older["classes"][0].startswith("#") else "numbers"
    colours = tuple(map(colour_of, section.mask_colours))
    return replace(form, mask_values=values, mask_colours=colours), look.palette


def target_of_pictures(
    section: PicturesSection, files: PictureList, stored: StoredPictures
) -> tuple[Target, list[str]]:
    """Return the classes that have pictures, and those of the pictures or their pixels; and notes.

    Raises:
        BadInput: the masks have one class only.
    """
    if files.layout == "masks":
        return _target_of_masks(section, files.name, stored)
    if files.target is not None:
        return replace(files.target, values=files.target.values[stored.records["place"]]), []
    labels = files.labels[stored.records["place"]]
    used, values = np.unique(labels, return_inverse=True)
    classes = tuple(files.classes[place] for place in used.tolist())
    notes = []
    if lost := [name for place, name in enumerate(files.classes) if place not in used]:
        shown = clean(", ".join(lost[:_MOST_NAMED]), 200)
        notes.append(
            f"{counted(len(lost), 'class', 'classes')} without a picture that can be read: {shown}"
        )
    return Target(classes, values.reshape(-1).astype(np.int64)), notes


def _target_of_masks(
    section: PicturesSection, name: str, stored: StoredPictures
) -> tuple[Target, list[str]]:
    counts = np.array(stored.mask_counts, dtype=np.int64)
    if stored.form.mask_values == "colours":
        return _target_of_colours(section, name, stored, counts)
    if section.void.startswith("#"):
        message = "names a colour, and the classes in the masks are numbers"
        raise ConfigError([Problem(message, "dataset.void")])
    present = np.flatnonzero(counts).tolist()
    has_void = section.void == "255" or (section.void == "auto" and len(present) > 2)
    numbers = [number for number in present if not (has_void and number == _VOID)]
    if len(numbers) < 2:
        only = numbers[0] if numbers else _VOID
        raise BadInput(
            f"{name}: the masks have only the number {only}; each pixel needs that of its class"
        )
    if len(numbers) > _VOID:
        raise BadInput(f"{name}: the masks have more than {_VOID} classes")
    total = counts[numbers].sum()
    shares = ", ".join(
        f"{number} ({counts[number] / total:.1%})" for number in numbers[:_MOST_NAMED]
    )
    rest = ", ..." if len(numbers) > _MOST_NAMED else ""
    notes = [f"the numbers in the masks are the classes of pixels: {shares}{rest}"]
    if len(numbers) < len(present):
        why = "; dataset.void=none makes it a class" if section.void == "auto" else ""
        notes.append(f"pixels of {_VOID} are not measured{why}")
    values = np.zeros(len(stored.records), dtype=np.int64)
    return Target(tuple(map(str, numbers)), values, masks=stored.masks), notes


def _target_of_colours(
    section: PicturesSection, name: str, stored: StoredPictures, counts: NDArray[np.int64]
) -> tuple[Target, list[str]]:
    """Return the colours as classes, in the order of their names, and notes."""
    if section.void == "255":
        message = "is a number, and the classes in the masks are colours; name one, as #ffffff"
        raise ConfigError([Problem(message, "dataset.void")])
    void = colour_of(section.void) if section.void.startswith("#") else None
    by_colour = {
        colour: number
        for number, colour in enumerate(stored.colours)
        if counts[number] and colour != void
    }
    classes = sorted(by_colour)
    if len(classes) < 2:
        few = f"only one colour as a class: {colour_name(classes[0])}" if classes else "no classes"
        raise BadInput(
            f"{name}: the masks have {few}; each pixel needs the colour of its class"
            + "".join(f"; {note}" for note in _unused_colours(section, stored, counts))
        )
    numbers = tuple(by_colour[colour] for colour in classes)
    names = tuple(map(colour_name, classes))
    total = counts[list(numbers)].sum()
    shares = ", ".join(
        f"{colour} ({counts[number] / total:.1%})"
        for colour, number in list(zip(names, numbers, strict=True))[:_MOST_NAMED]
    )
    rest = ", ..." if len(names) > _MOST_NAMED else ""
    notes = [
        f"the colours in the masks are the classes of pixels: {shares}{rest} (dataset.mask_values)"
    ]
    if lost := int(counts.sum() - total):
        notes.append(f"pixels of other colours are not measured: {lost / counts.sum():.1%}")
    notes += _unused_colours(section, stored, counts)
    values = np.zeros(len(stored.records), dtype=np.int64)
    return Target(names, values, masks=stored.masks, mask_numbers=numbers), notes


def _unused_colours(
    section: PicturesSection, stored: StoredPictures, counts: NDArray[np.int64]
) -> list[str]:
    """Return a note on each setting that names colours which no mask has."""
    present = {colour for number, colour in enumerate(stored.colours) if counts[number]}
    named = {"mask_colours": section.mask_colours}
    # Beside named classes all other colours are not measured, and not told apart.
    if section.void.startswith("#") and not section.mask_colours:
        named["void"] = (section.void,)
    return [
        f"no mask has {', '.join(absent[:_MOST_NAMED])} (dataset.{key})"
        for key, names in named.items()
        if (absent := [name for name in names if colour_of(name) not in present])
    ]


@dataclass(frozen=True, slots=True)
class _MaskLook:
    """The form of some masks: whether their numbers or their colours are the classes."""

    values: MaskValues
    reason: str = ""
    """Why their colours are the classes; empty if their numbers are."""
    palette: tuple[tuple[int, int], ...] = ()
    """The colours of numbers, by the palette that all masks have."""


def _look_at_masks(files: PictureFiles) -> _MaskLook:
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
        return _MaskLook("colours", "the masks have colours")
    if has_conflict:
        return _MaskLook("colours", "each mask has a palette of its own")
    return _MaskLook("numbers", palette=tuple(sorted(palette.items())))


def _palette_of(numbers: NDArray[np.uint8], palette: Sequence[int]) -> list[tuple[int, int]]:
    """Return the numbers that a mask uses with their colours."""
    used = [number for number in np.unique(numbers).tolist() if 3 * number + 2 < len(palette)]
    return [(number, int.from_bytes(palette[3 * number : 3 * number + 3])) for number in used]
