"""The `arrays` source: rows of numbers, sequences or pictures in the arrays of a file or folder.

Layer: data. The numbers stay as they are stored, mapped from their file where that is possible, and
are standardised batch by batch: features column by column, sequences channel by channel, pictures
by one mean and deviation of all pixels of the training split.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.base.augment import (
    InputsChanged,
    check_changes,
    combine_augments,
    image_changes,
    number_augments,
)
from tui_trainer.data.base.to_device import Augment
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.files.array_cache import keep_results, key_for, load_results
from tui_trainer.data.files.array_files import sums_of
from tui_trainer.data.files.stored_arrays import StoredArray, check_unchanged
from tui_trainer.data.sources.array_layout import Facts, Form, form_of
from tui_trainer.data.sources.array_numbers import Moments, Survey, blocks, moments_of, survey
from tui_trainer.data.sources.array_roles import Part, assign_roles, find_with_partner
from tui_trainer.data.sources.array_targets import target_of
from tui_trainer.data.sources.encoding import standardise
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.division import Division
from tui_trainer.data.splits.rules import rule_for
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted, size_text

_IMAGE_SETTINGS = (
    *("shift_pixels", "rotate_degrees", "flip_horizontal", "flip_vertical"),
    *("crop_padding", "cutout_pixels"),
)
_LEAST_STD = 1e-7
"""Below it, as a share of the range of the numbers, all are equal and the rest is rounding."""
_LEAST_STD_OF_NUMBERS = 1e-12
"""The same of features, as a share of their mean."""
_MOST_WIDE_BYTES = 512 << 20
"""Numbers of 64 bits in so many bytes are standardised at once, into half of it."""
_TOLD_BYTES = 64 << 20
"""A copy of fewer bytes is not mentioned."""


@dataclass(frozen=True, slots=True, eq=False)
class ArraySource:
    """The rows of some arrays; implements `Source`."""

    section: ArraysSection
    name: str
    sha256: str
    inputs: tuple[NDArray[Any], ...]
    """(N, *form.stored) each, one after the other."""
    form: Form
    survey: Survey
    class_names: tuple[str, ...]
    """Of the classes 0, 1 and so on; empty if there are none."""
    target: Target
    division: Division
    notes: tuple[str, ...]
    files: tuple[StoredArray, ...] = ()
    vocabulary: int = field(default=0, init=False)

    @property
    def kind(self) -> Kind:
        return self.form.kind

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.arange(len(self.target.values))

    @property
    def contents(self) -> str:
        nouns = {"image": "picture", "sequence": "sequence"}
        count = counted(len(self.target.values), nouns.get(self.kind, "row"))
        return f"{count}, {self.inputs[0].dtype.name}"

    @property
    def layout(self) -> dict[str, str]:
        return {"shape": "x".join(map(str, self.form.shape)), "kind": self.form.kind}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: NDArray[np.int64]) -> dict[str, Any]:
        form = self.form
        described = {
            "names": list(self.class_names),
            "layout": form.layout,
            "stored": list(form.stored),
            "shape": list(form.shape),
        }
        return {**described, **_fit_numbers(self, train)}

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        encoded = encode_arrays(self.inputs, self.form, fitted)
        return replace(encoded, check=self.check_unchanged)

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        augments: list[Augment] = []
        if self.kind == "image":
            background = (fitted["black"] - fitted["mean"]) / fitted["std"]
            if changes := image_changes(self.section, background):
                augments.append(InputsChanged(changes))
        augments += number_augments(self.section, None, len(self.target.classes))
        return combine_augments(augments)

    def check_unchanged(self) -> None:
        """Raise BadInput if a file was written to since it was opened."""
        check_files(self.files)


def check_files(arrays: Sequence[StoredArray]) -> None:
    """Raise BadInput if the file of an array was written to since it was opened."""
    for array in arrays:
        for file in (array.file, *array.more_files):
            check_unchanged(file)


def read_arrays(
    section: ArraysSection, wanted: str = "auto", older: Mapping[str, Any] | None = None
) -> ArraySource:
    """Read the arrays of a section; `wanted` is the problem, or `auto`.

    `older` is the preprocessing of a checkpoint, which says by which rule its rows were split.

    Raises:
        BadInput: an array cannot be read, or what it is for cannot be told.
        ConfigError: a setting does not fit the arrays.
    """
    shown = clean(section.path, 200)
    roles = assign_roles(find_with_partner(section.path, section), section, shown)
    parts = roles.parts
    _check_shapes(parts)
    used = tuple(array for part in parts for array in (part.inputs, part.target))
    inputs = tuple(part.inputs.values() for part in parts)
    known = _surveyed(parts, inputs)
    first = parts[0].inputs
    facts = Facts(inputs[0].dtype, known.low, known.high)
    form = form_of(first.shape[1:], facts, section, first.shown)
    _check_image_settings(section, form)
    target, notes = read_target(parts, roles.classes, wanted, form.kind)
    source = ArraySource(
        section,
        shown,
        _sum(parts),
        inputs,
        form,
        known,
        roles.classes,
        target,
        _division(section, parts, known, older),
        (*roles.notes, *_split_notes(parts), *filter(None, [form.note]), *notes, *_copies(used)),
        used,
    )
    source.check_unchanged()
    return source


def _surveyed(parts: Sequence[Part], inputs: Sequence[NDArray[Any]]) -> Survey:
    """Return the survey of the inputs, out of the cache if it is there."""
    stored = [part.inputs for part in parts]
    key = key_for(stored, ["survey"])
    if (results := load_results(key)) is not None:
        return Survey.of_results(results)
    known = survey(inputs, [array.shown for array in stored])
    keep_results(key, known.results)
    return known


def _moments(
    source: ArraySource, train: NDArray[np.int64], arrays: Sequence[NDArray[Any]]
) -> Moments:
    """Return the moments of the training rows, out of the cache if they are there.

    `arrays` are the inputs as pixels (N, ...) or as steps of numbers (N, T, C).
    """
    is_image = source.kind == "image"
    axes = tuple(range(arrays[0].ndim)) if is_image else (0, 1)
    rows = hashlib.sha256(train.tobytes()).hexdigest()
    stored = [array for array in source.files if array.shape[0] and not array.is_text]
    key = key_for(stored, ["moments", rows, axes, list(arrays[0].shape[1:])])
    if (results := load_results(key)) is not None:
        return Moments.of_results(axes, results)
    moments = moments_of(arrays, train, axes, source.name)
    keep_results(key, moments.results)
    return moments


def read_target(
    parts: Sequence[Part], names: Sequence[str], wanted: str, kind: Kind
) -> tuple[Target, tuple[str, ...]]:
    """Return the target of all parts, one after the other, and notes on what was inferred."""
    shapes = {part.target.shape[1:] for part in parts}
    if len(shapes) > 1 or len({part.target.is_text for part in parts}) > 1:
        forms = " and ".join(f"{clean(part.target.name, 80)} {part.target.form}" for part in parts)
        raise BadInput(f"{parts[0].target.file.name}: {forms} are not of one form")
    values = np.concatenate([part.target.values() for part in parts])
    return target_of(values, names, wanted, kind, clean(parts[0].target.name, 80))


def _check_shapes(parts: Sequence[Part]) -> None:
    """Raise BadInput for lengths or shapes that do not fit each other."""
    for part in parts:
        inputs, target = part.inputs, part.target
        if inputs.is_text:
            raise BadInput(
                f"{inputs.shown}: the inputs are texts; arrays are numbers, and a table (CSV) may "
                "have texts"
            )
        if not inputs.shape or not inputs.nbytes or not target.shape:
            raise BadInput(f"{inputs.shown}: {inputs.form} has no rows of numbers")
        if inputs.shape[0] != target.shape[0]:
            raise BadInput(
                f"{inputs.shown}: {inputs.shape[0]:,} rows of inputs "
                f"({clean(inputs.name, 80)}), but {target.shape[0]:,} of the target "
                f"({clean(target.name, 80)}); each row needs its own"
            )
    first = parts[0].inputs
    for part in parts[1:]:
        if part.inputs.shape[1:] != first.shape[1:] or part.inputs.dtype != first.dtype:
            raise BadInput(
                f"{part.inputs.shown}: {clean(part.inputs.name, 80)} is {part.inputs.form}, and "
                f"{clean(first.name, 80)} is {first.form}; they must be of one form"
            )


def _check_image_settings(section: ArraysSection, form: Form) -> None:
    """Raise ConfigError for a change of pictures if there are none, or if it is too large."""
    if form.kind == "image":
        shape = ", ".join(map(str, form.shape))
        check_changes(section, form.shape, f"pictures of [{shape}]")
        return
    for name in _IMAGE_SETTINGS:
        if getattr(section, name):
            message = f"is for pictures, and these are {form.layout}"
            raise ConfigError([Problem(message, f"dataset.{name}")])


def _sum(parts: Sequence[Part]) -> str:
    """Return the sha256 of the parts: of their files and of what each array is for."""
    digest = hashlib.sha256()
    for part in parts:
        for role, array in (("inputs", part.inputs), ("target", part.target)):
            own = array.name if len(sums := sums_of(array)) == 1 else ""
            digest.update(f"{part.split} {role} {own} {' '.join(sums)}\n".encode())
    return digest.hexdigest()


def _division(
    section: ArraysSection, parts: Sequence[Part], known: Survey, older: Mapping[str, Any] | None
) -> Division:
    """Return how the rows are split: as the arrays say, or else by identity."""
    rule = rule_for(section, older)
    given = {part.split for part in parts}
    if older is None and section.split_by == "auto" and len(given) > 1:
        rule = "files"
    if rule != "files":
        return Division(rule, known.keys, known.keys)
    if len(given) == 1:
        message = "needs arrays of their own for training and the test, as x_train and x_test"
        raise ConfigError([Problem(message, "dataset.split_by")])
    sizes = [part.inputs.shape[0] for part in parts]
    splits = np.repeat(np.array([part.split for part in parts]), sizes)
    if "test" not in given:
        # Nothing is measured in the end without a test, and validation is cut from the rest.
        return Division(rule, known.keys, known.keys, test=splits == "val")
    val = splits == "val" if "val" in given else None
    return Division(rule, known.keys, known.keys, test=splits == "test", val=val)


def _split_notes(parts: Sequence[Part]) -> list[str]:
    if len(parts) == 1:
        return []
    pairs = ", ".join(
        f"{part.split} {clean(part.inputs.name, 60)} ({part.inputs.shape[0]:,})" for part in parts
    )
    return [f"split as the arrays are: {pairs}; dataset.split_by=identity splits all of them anew"]


def _copies(arrays: Sequence[StoredArray]) -> list[str]:
    """Return a note for each array that takes much memory."""
    return [
        f"{array.shown}: {array.conversion}, so {size_text(array.nbytes)} are held in memory"
        for array in arrays
        if array.conversion and array.nbytes >= _TOLD_BYTES
    ]


def _fit_numbers(source: ArraySource, train: NDArray[np.int64]) -> dict[str, Any]:
    """Return what standardises inputs: a number for pictures, a list for columns or channels."""
    inputs, form, known = source.inputs, source.form, source.survey
    if form.kind == "image":
        moments = _moments(source, train, inputs)
        mean, std = float(moments.mean), float(moments.std())
        _check_finite(math.isfinite(std), source.name)
        scale = max(abs(known.low), abs(known.high))
        return {
            "mean": mean,
            "std": std if std > _LEAST_STD * scale else 1.0,
            # 0 is black, unless there are numbers below it.
            "black": min(known.low, 0.0),
            "white": 255.0 if inputs[0].dtype == np.uint8 else known.high,
        }
    width = form.shape[-1]
    moments = _moments(source, train, [array.reshape(len(array), -1, width) for array in inputs])
    means, stds = np.asarray(moments.mean), np.asarray(moments.std())
    _check_finite(bool(np.isfinite(stds).all()), source.name)
    constant = stds <= _LEAST_STD_OF_NUMBERS * np.abs(means)
    return {
        "mean": means.tolist(),
        "std": np.where(constant, 1.0, stds).tolist(),
        "constant": int(constant.sum()),
    }


def _check_finite(is_finite: bool, name: str) -> None:
    if not is_finite:
        raise BadInput(f"{name}: the numbers are too large to compute with; rescale them")


def encode_arrays(arrays: Sequence[NDArray[Any]], form: Form, fitted: Mapping[str, Any]) -> Encoded:
    """Return the inputs of some arrays with the values that `fit` returned."""
    mean, std = fitted["mean"], fitted["std"]
    scaling: Scaling | None = None
    if _is_wide(arrays):
        arrays = [_standardised(array, form, mean, std) for array in arrays]
    elif form.kind == "image":
        scaling = Scaling(mean, std)
    else:
        scaling = Scaling(*(torch.tensor(numbers, dtype=torch.float32) for numbers in (mean, std)))
    first, *more = (form.view(torch.from_numpy(array)) for array in arrays)
    lengths = None
    if form.kind == "sequence":
        lengths = torch.full((sum(map(len, arrays)),), form.shape[0], dtype=torch.int64)
    notes = []
    if constant := fitted.get("constant", 0):
        nouns = ("channel", "channels") if form.kind == "sequence" else ("feature", "features")
        notes.append(f"{counted(constant, *nouns)} with one value in the training split")
    return Encoded(first, notes, lengths, scaling=scaling, is_shared=True, more_inputs=tuple(more))


def _is_wide(arrays: Sequence[NDArray[Any]]) -> bool:
    """Whether float32 would lose digits before the mean is taken off, and there is room for it."""
    is_wide = arrays[0].dtype.itemsize > 4 or arrays[0].dtype.name in ("int32", "uint32")
    return is_wide and sum(array.nbytes for array in arrays) <= _MOST_WIDE_BYTES


def _standardised(array: NDArray[Any], form: Form, mean: Any, std: Any) -> NDArray[np.float32]:
    width = () if form.kind == "image" else (form.shape[-1],)
    scaled = np.empty(array.shape, dtype=np.float32)
    for start, block in blocks(array):
        numbers = block.astype(np.float64).reshape(-1, *width)
        part = standardise(numbers, np.asarray(mean), np.asarray(std))
        scaled[start : start + len(block)] = part.reshape(block.shape)
    return scaled
