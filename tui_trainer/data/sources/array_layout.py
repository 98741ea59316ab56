"""`ArrayForm`: the meaning of the axes of an array of inputs, and their order in a model.

Layer: data. A form is told by the shape and the numbers if only one is possible; else the settings
must say it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from tui_trainer.config.sections.arrays import ArraysSection, Layout
from tui_trainer.problems.signature import Kind
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

CHANNELS = (1, 3, 4)
"""The numbers of channels of pictures: grey, RGB and RGBA."""
_KINDS: dict[str, Kind] = {"features": "features", "sequences": "sequence"}


@dataclass(frozen=True, slots=True)
class ArrayForm:
    """The form of the samples of an array."""

    layout: Layout
    """Never `auto`; `pictures` are (H, W), without channels."""
    stored: tuple[int, ...]
    """The shape of a sample in the array."""
    shape: tuple[int, ...]
    """The shape of a sample for a model: (D,), (T, C) or (C, H, W)."""
    note: str = ""
    """What was inferred, and the setting that says otherwise."""

    @property
    def kind(self) -> Kind:
        return _KINDS.get(self.layout, "image")

    def view(self, inputs: Tensor) -> Tensor:
        """Return inputs (N, *stored) as (N, *shape), without copying them."""
        if self.layout == "channels_last" and len(self.stored) == 3:
            return inputs.permute(0, 3, 1, 2)
        return inputs.view(-1, *self.shape)


@dataclass(frozen=True, slots=True)
class Facts:
    """The type and the range of the numbers of an array."""

    dtype: np.dtype[Any]
    low: float
    high: float

    @property
    def is_whole(self) -> bool:
        return self.dtype.kind in "iub"


def form_of(stored: Sequence[int], facts: Facts, section: ArraysSection, shown: str) -> ArrayForm:
    """Return the form of samples of a shape, (N,) left out.

    Raises:
        BadInput: more than one form is possible; names the setting that decides.
        ConfigError: the settings ask for a form that the shape cannot have.
    """
    shape = tuple(stored)
    if section.shape is not None:
        return _of_rows(shape, section)
    if section.layout != "auto":
        return _stated(section.layout, shape)
    text = ", ".join(map(str, ("N", *shape)))
    match len(shape):
        case 0 | 1:
            return ArrayForm("features", shape, (math.prod(shape),), _square_note(shape, facts))
        case 2:
            return _of_two_axes(shape, facts, text, shown)
        case 3:
            return _of_three_axes(shape, text, shown)
    raise BadInput(
        f"{shown}: a shape of ({text}) is neither that of pictures nor of sequences; reshape the "
        "array, or make every number a feature: dataset.layout=features"
    )


def _of_rows(stored: tuple[int, ...], section: ArraysSection) -> ArrayForm:
    assert section.shape is not None, "without a shape they are no pictures"
    channels, height, width = section.shape
    if math.prod(stored) != channels * height * width:
        message = (
            f"{channels}x{height}x{width} are {channels * height * width:,} numbers, and a sample "
            f"has {math.prod(stored):,}"
        )
        raise ConfigError([Problem(message, "dataset.shape")])
    if section.layout in ("features", "sequences"):
        message = f"is for pictures, and dataset.layout={section.layout} says that there are none"
        raise ConfigError([Problem(message, "dataset.shape")])
    if section.layout == "channels_last":
        message = "of rows of numbers is channels, height, width; reshape an array of another order"
        raise ConfigError([Problem(message, "dataset.shape")])
    return ArrayForm("channels_first", stored, (channels, height, width))


def _stated(layout: Layout, shape: tuple[int, ...]) -> ArrayForm:
    if layout == "features":
        return ArrayForm(layout, shape, (math.prod(shape),))
    if layout == "sequences" and len(shape) in (1, 2):
        return ArrayForm(layout, shape, shape if len(shape) == 2 else (*shape, 1))
    if layout in ("pictures", "channels_first", "channels_last") and len(shape) == 2:
        return ArrayForm("pictures", shape, (1, *shape))
    if layout == "channels_first" and len(shape) == 3:
        return ArrayForm(layout, shape, shape)
    if layout == "channels_last" and len(shape) == 3:
        return ArrayForm(layout, shape, (shape[2], *shape[:2]))
    if layout == "pictures" and len(shape) == 3 and (axis := _channel_axis(shape)) is not None:
        return _stated("channels_first" if axis == 0 else "channels_last", shape)
    text = ", ".join(map(str, ("N", *shape)))
    message = f"an array of shape ({text}) has no {layout.replace('_', ' ')}"
    if layout == "pictures" and len(shape) == 3:
        message = f"where are the channels in ({text})? channels_first or channels_last says it"
    raise ConfigError([Problem(message, "dataset.layout")])


def _square_note(shape: tuple[int, ...], facts: Facts) -> str:
    """Return a note if rows of whole numbers may be square pictures."""
    count = math.prod(shape)
    channels = next(
        (number for number in CHANNELS if math.isqrt(count // number) ** 2 * number == count), None
    )
    if count < 64 or channels is None or not facts.is_whole or facts.low < 0 or facts.high > 255:
        return ""
    side = math.isqrt(count // channels)
    return (
        f"{count:,} whole numbers from {facts.low:g} to {facts.high:g} in a row are features; if "
        f"they are pictures: dataset.shape=[{channels},{side},{side}]"
    )


def _of_two_axes(shape: tuple[int, ...], facts: Facts, text: str, shown: str) -> ArrayForm:
    are_bytes = facts.dtype.kind == "b" or facts.dtype == np.uint8
    if are_bytes:
        return ArrayForm(
            "pictures", shape, (1, *shape), _said(f"({text}) {facts.dtype}", "pictures")
        )
    if shape[0] != shape[1] and not facts.is_whole:
        return ArrayForm(
            "sequences", shape, shape, _said(f"({text})", "sequences: steps, channels")
        )
    if shape[0] == shape[1] and facts.low >= 0 and facts.high in (1.0, 255.0):
        reason = f"({text}) from {facts.low:g} to {facts.high:g}"
        return ArrayForm("pictures", shape, (1, *shape), _said(reason, "pictures"))
    raise BadInput(
        f"{shown}: a shape of ({text}) may be sequences (steps, channels) or pictures (height, "
        f"width); say which: dataset.layout=sequences or pictures (or features)"
    )


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the only axis of a sample that can be the channels, 0 or 2; None if none is."""
    possible = [axis for axis in (0, 2) if shape[axis] in CHANNELS]
    return possible[0] if len(possible) == 1 else None


def _of_three_axes(shape: tuple[int, ...], text: str, shown: str) -> ArrayForm:
    axis = _channel_axis(shape)
    if axis is None:
        both = shape[0] in CHANNELS and shape[2] in CHANNELS
        reason = "first or last" if both else "neither first nor last, by their number (1, 3 or 4)"
        raise BadInput(
            f"{shown}: in a shape of ({text}) the channels may be {reason}; say which: "
            "dataset.layout=channels_first or channels_last"
        )
    layout: Layout = "channels_first" if axis == 0 else "channels_last"
    where = "first" if axis == 0 else "last"
    form = _stated(layout, shape)
    channels = counted(shape[axis], "channel")
    note = _said(f"({text})", f"pictures with {channels}, {where}")
    return ArrayForm(form.layout, form.stored, form.shape, note)


def _said(reason: str, meaning: str) -> str:
    return f"{reason} are {meaning}; dataset.layout says otherwise"
