"""`read_splits`: the splits of a source whose rows are read from files while training.

Layer: data. A file that is gone when a run is resumed keeps its place in the order of an epoch, as
one that breaks while training does. So both runs go on alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.data.batches.left_out import MANY, LeftOut
from tui_trainer.data.batches.read_rows import ReadSplit, RowReader
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.position import Ints
from tui_trainer.data.splits.row_split import RowSplit
from tui_trainer.text.format import counted

MASKED_OUT = 255
"""Stands in masks for pixels that are not measured."""
_NOUN = "picture"
_AS_THEY_ARE = Scaling(0.0, 1.0)


def class_places(numbers: Sequence[int]) -> NDArray[np.uint8]:
    """Return the place (256,) of the class of each number in a mask, or MASKED_OUT.

    `numbers` are those of the classes, -1 for one that is in no mask.
    """
    places = np.full(256, MASKED_OUT, dtype=np.uint8)
    for place, number in enumerate(numbers):
        if number >= 0:
            places[number] = place
    return places


def read_splits(
    encoded: Encoded, target: Target, targets: Tensor, split: RowSplit
) -> tuple[tuple[ReadSplit, ReadSplit, ReadSplit], LeftOut]:
    """Return the rows for training, validation and the test, and what is left out of them.

    `targets` (N, ...) is the target of all rows of the source as a model learns it.
    """
    places = np.arange(len(target.values)) if split.places is None else split.places
    whole = _whole(encoded, target, targets, places)
    whole.left_out.add_gone(np.flatnonzero(places < 0).tolist())
    sides = [
        np.flatnonzero(split.record.sides == side) if split.record is not None else rows
        for side, rows in (
            (TRAIN, split.parts.train),
            (VAL, split.parts.val),
            (TEST, split.parts.test),
        )
    ]
    train, val, test = (replace(whole, rows=torch.from_numpy(rows)) for rows in sides)
    return (train, val, test), whole.left_out


def read_whole(encoded: Encoded, target: Target, targets: Tensor) -> ReadSplit:
    """Return all rows of a source as one split; `targets` is as in `read_splits`."""
    return _whole(encoded, target, targets, np.arange(len(target.values)))


def _whole(encoded: Encoded, target: Target, targets: Tensor, places: Ints) -> ReadSplit:
    assert encoded.samples is not None, "they are read while training"
    has_masks = target.masks is not None
    there = torch.from_numpy(np.maximum(places, 0))
    maker = RowReader(
        encoded.samples,
        torch.from_numpy(places),
        torch.zeros(len(places)) if has_masks else targets[there],
        tuple(encoded.inputs.shape[1:]),
        encoded.skips_lost,
        torch.from_numpy(class_places(target.numbers_of_classes)) if has_masks else None,
    )
    return ReadSplit(
        maker,
        torch.arange(len(places)),
        LeftOut(len(places), _NOUN),
        encoded.scaling or _AS_THEY_ARE,
        ignored=MASKED_OUT if has_masks else None,
    )


def stay_out(split: RowSplit, encoded: Encoded) -> RowSplit:
    """Return the split of a run in which rows that are gone are no change, but stay out of it.

    If most of them are gone, that is a change: their disk is not there.
    """
    changes, places = split.changes, split.places
    if changes is None or places is None or not changes.gone or not encoded.skips_lost:
        return split
    if changes.gone >= MANY and 2 * changes.gone > len(places):
        return split
    note = (
        f"{counted(changes.gone, _NOUN)} of the run cannot be read now, or changed: they stay out "
        "of it, as if they had failed while training"
    )
    return replace(split, changes=replace(changes, gone=0), notes=(*split.notes, note))
