"""Reads arrays for a trained model: new samples, or labelled ones to measure it on.

Layer: data. Nothing is learned here: the form and the scaling come from the checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.files.picture_opener import is_image, read_image
from tui_trainer.data.files.stored_arrays import StoredArray
from tui_trainer.data.sources.array_inputs import encode_arrays
from tui_trainer.data.sources.array_layout import ArrayForm
from tui_trainer.data.sources.array_numbers import range_of
from tui_trainer.data.sources.array_roles import (
    INPUTS,
    ArrayPart,
    Split,
    assign_roles,
    find_with_partner,
    listed,
    split_name,
)
from tui_trainer.data.sources.arrays import check_files, read_target
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.source import Encoded
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_PREFERRED: tuple[Split, ...] = ("test", "", "val", "train")
"""The split that is taken of a file that has several."""


def _form_of_run(fitted: Mapping[str, Any]) -> ArrayForm:
    """Return the form of the samples that a run was trained on."""
    return ArrayForm(fitted["layout"], tuple(fitted["stored"]), tuple(fitted["shape"]))


def read_new_arrays(section: ArraysSection, fitted: Mapping[str, Any], path: str) -> Unseen:
    """Read samples without a target, or a picture.

    Raises:
        BadInput: no array in the file has such samples, or several have.
    """
    form = _form_of_run(fitted)
    if is_image(path) and form.kind == "image":
        return _picture(form, fitted, path)
    shown = clean(path, 200)
    arrays = find_with_partner(path, section).arrays
    chosen = _inputs_among(arrays, form, section, shown)
    encoded = _encoded(chosen, form, fitted)
    notes = [*encoded.notes]
    if len(arrays) > 1:
        notes.append(f"{shown}: the inputs are {clean(chosen.name, 80)}")
    places = tuple(f"row {row}" for row in range(len(encoded.inputs)))
    lengths, scaling = encoded.lengths, encoded.scaling
    return Unseen(encoded.inputs, places, tuple(notes), lengths, scaling=scaling)


def _picture(form: ArrayForm, fitted: Mapping[str, Any], path: str) -> Unseen:
    pixels, notes = read_image(path, form.shape, 1.0)
    black, white = fitted["black"], fitted["white"]
    inputs = torch.from_numpy(pixels).view(1, *form.shape) * (white - black) + black
    return Unseen(inputs, ("",), notes, scaling=Scaling(fitted["mean"], fitted["std"]))


def _inputs_among(
    arrays: Sequence[StoredArray], form: ArrayForm, section: ArraysSection, shown: str
) -> StoredArray:
    fitting = [array for array in arrays if not array.is_text and _rows_shape(array, form)]
    if len(fitting) > 1:
        stated = split_name(section.inputs)[0] if section.inputs else ""
        words = (stated,) if stated else INPUTS
        by_split = {
            split: array
            for array in reversed(fitting)
            for base, split in [split_name(array.name)]
            if base in words
        }
        fitting = [by_split[split] for split in _PREFERRED if split in by_split][:1] or fitting
    if len(fitting) == 1:
        return fitting[0]
    wanted = ", ".join(map(str, ("N", *form.stored)))
    if fitting:
        raise BadInput(
            f"{shown}: several arrays have the shape ({wanted}): {listed(fitting)}; save the one "
            "with the inputs as a file of its own, or call it x"
        )
    raise BadInput(
        f"{shown}: no array has the shape ({wanted}) that the model was trained on; available: "
        f"{listed(arrays)}"
    )


def _rows_shape(array: StoredArray, form: ArrayForm) -> tuple[int, ...]:
    """Return the shape of an array as rows of samples of a form; () if it has no such samples.

    Axes of one are of no meaning, and one sample needs no axis of samples.
    """
    wanted = _without_ones(form.stored)
    if array.nbytes and _without_ones(array.shape[1:]) == wanted and array.shape:
        return (array.shape[0], *form.stored)
    if array.nbytes and _without_ones(array.shape) == wanted:
        return (1, *form.stored)
    return ()


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size for size in shape if size != 1)


def _encoded(array: StoredArray, form: ArrayForm, fitted: Mapping[str, Any]) -> Encoded:
    values: NDArray[Any] = array.values().reshape(_rows_shape(array, form))
    low, high = range_of(values, array.shown)
    encoded = encode_arrays([values], form, fitted)
    check_files([array])
    notes = []
    if form.kind == "image" and low >= 0 and high <= 1 < fitted["white"] / 2:
        notes.append(
            f"{array.shown}: the largest number is {high:g}, and {fitted['white']:g} in the "
            "training data; scale the pictures in the same way"
        )
    return replace(encoded, notes=notes)


def read_arrays_to_measure(
    section: ArraysSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read samples with their target.

    Of arrays that are split, those of the test are taken.

    Raises:
        BadInput: the arrays are not like those of the run.
    """
    fitted = preprocessing["inputs"]
    form = _form_of_run(fitted)
    shown = clean(path, 200)
    moved = section.model_copy(update={"path": path})
    roles = assign_roles(find_with_partner(path, moved), moved, shown)
    part = _part_to_measure(roles.parts)
    inputs, target = part.inputs, part.target
    if not _rows_shape(inputs, form):
        wanted = ", ".join(map(str, ("N", *form.stored)))
        raise BadInput(f"{inputs.shown}: is {inputs.form}; the run was trained on ({wanted})")
    if inputs.shape[0] != target.shape[0]:
        raise BadInput(
            f"{inputs.shown}: {inputs.shape[0]:,} rows of inputs, but {target.shape[0]:,} of the "
            f"target ({clean(target.name, 80)})"
        )
    names = roles.classes or tuple(fitted["names"])
    values, _ = read_target([part], names, info.problem, form)
    encoded = _encoded(inputs, form, fitted)
    check_files([target])
    notes = [*encoded.notes]
    if len(roles.parts) > 1:
        notes.append(f"{shown}: measured on {clean(inputs.name, 80)}, the {part.split} arrays")
    whole, rows = replace(encoded, notes=notes), np.arange(len(values.values))
    return LabelledRows(shown, "row", whole, values, rows)


def _part_to_measure(parts: Sequence[ArrayPart]) -> ArrayPart:
    by_split = {part.split: part for part in parts}
    return next(by_split[split] for split in _PREFERRED if split in by_split)
