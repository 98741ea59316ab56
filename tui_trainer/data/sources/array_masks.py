"""`target_of_masks`: a class for each pixel, by an array of masks.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.sources.array_layout import ArrayForm
from tui_trainer.data.sources.array_numbers import blocks
from tui_trainer.data.sources.source import Target
from tui_trainer.text.errors import BadInput, ConfigError, Problem

_VOID = 255
_MOST_SHOWN = 5


def are_masks(shape: Sequence[int], form: ArrayForm) -> bool:
    """Whether a target of samples of this shape may have a class for each pixel of pictures."""
    return form.kind == "image" and len(_without_channel(shape)) == 2


def _without_channel(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a mask without an axis of one channel."""
    if len(shape) == 3 and 1 in (shape[0], shape[2]):
        return tuple(shape[1:] if shape[0] == 1 else shape[:2])
    return tuple(shape)


def target_of_masks(
    values: NDArray[Any], form: ArrayForm, problem: str, shown: str
) -> tuple[Target, tuple[str, ...]]:
    """Return the target of masks (N, H, W), and a note on their classes.

    Raises:
        BadInput: they are of another size than the pictures, or have no classes.
        ConfigError: the settings ask for another problem.
    """
    if problem not in ("auto", "segmentation"):
        message = f"{shown} has a number for each pixel, so it is segmentation"
        raise ConfigError([Problem(message, "problem")])
    size = _without_channel(values.shape[1:])
    if size != form.shape[1:]:
        sizes = ["x".join(map(str, one)) for one in (size, form.shape[1:])]
        raise BadInput(f"{shown}: masks of {sizes[0]}, and pictures of {sizes[1]}")
    masks = np.empty((len(values), *size), dtype=np.uint8)
    counts = np.zeros(_VOID + 1, dtype=np.int64)
    for start, block in blocks(values):
        part = masks[start : start + len(block)]
        part[:] = _as_bytes(block, start, shown).reshape(part.shape)
        counts += np.bincount(part.reshape(-1), minlength=_VOID + 1)
    numbers = np.flatnonzero(counts).tolist()
    notes = []
    if len(numbers) > 2 and numbers[-1] == _VOID:
        numbers.pop()
        notes.append(f"{shown}: pixels of {_VOID} are not measured, as is usual in masks")
    if len(numbers) < 2:
        only = numbers[0] if numbers else _VOID
        raise BadInput(
            f"{shown}: the masks have only the number {only}; each pixel needs that of its class"
        )
    total = counts[numbers].sum()
    shares = ", ".join(
        f"{number} ({counts[number] / total:.1%})" for number in numbers[:_MOST_SHOWN]
    )
    rest = ", ..." if len(numbers) > _MOST_SHOWN else ""
    notes.insert(0, f"the numbers in {shown} are the classes of pixels: {shares}{rest}")
    target = Target(
        tuple(map(str, numbers)),
        np.zeros(len(values), dtype=np.int64),
        masks=torch.from_numpy(masks),
    )
    return target, tuple(notes)


def _as_bytes(block: NDArray[Any], start: int, shown: str) -> NDArray[np.uint8]:
    """Return the numbers of some masks as bytes; BadInput if they are no classes."""
    numbers = block.astype(np.uint8) if block.dtype.kind in "bui" else block
    wrong = numbers != block
    if block.dtype.kind == "f":
        wrong = ~((block >= 0) & (block <= _VOID) & (block == np.round(block)))
    if wrong.any():
        place = tuple(int(axis[0]) for axis in np.nonzero(wrong))
        raise BadInput(
            f"{shown}: row {start + place[0]:,} (from 0) has a pixel of {block[place]:g}; the "
            f"classes of pixels are whole numbers from 0 to {_VOID}"
        )
    return numbers.astype(np.uint8)
