"""The `arrays` source: rows of numbers, sequences or pictures in the arrays of a file or folder.

Layer: data. The numbers stay as they are stored, mapped from their file where that is possible, and
are standardised batch by batch: features column by column, sequences channel by channel, pictures
by one mean and deviation of all pixels of the training split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.base.augment import augment_images, augment_numbers, check_changes
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.files.array_cache import keep_results, key_for, load_results
from tui_trainer.data.files.array_files import sums_of
from tui_trainer.data.files.stored_arrays import StoredArray, check_unchanged
from tui_trainer.data.sources.array_inputs import encode_arrays, fit_scaling
from tui_trainer.data.sources.array_layout import ArrayForm, Facts, form_of
from tui_trainer.data.sources.array_numbers import Survey, row_keys, survey
from tui_trainer.data.sources.array_roles import ArrayPart, assign_roles, find_with_partner
from tui_trainer.data.sources.array_targets import are_masks, target_of, target_of_masks
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.division import Division, rule_for
from tui_trainer.data.splits.row_keys import Keys, joined
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted, size_text

_IMAGE_SETTINGS = (
    *("shift_pixels", "rotate_degrees", "flip_horizontal", "flip_vertical"),
    *("crop_padding", "cutout_pixels"),
)
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
    form: ArrayForm
    survey: Survey
    class_names: tuple[str, ...]
    """Of the classes 0, 1 and so on; empty if there are none."""
    target: Target
    division: Division
    notes: tuple[str, ...]
    parts: tuple[ArrayPart, ...]
    vocabulary: int = field(default=0, init=False)

    @property
    def kind(self) -> Kind:
        return self.form.kind

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.arange(len(self.target.values))

    @property
    def noun(self) -> str:
        return {"image": "picture", "sequence": "sequence"}.get(self.kind, "row")

    @property
    def contents(self) -> str:
        count = counted(len(self.target.values), self.noun)
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
        stored = [part.inputs for part in self.parts]
        return {**described, **fit_scaling(stored, self.inputs, form, self.survey, train)}

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        encoded = encode_arrays(self.inputs, self.form, fitted)
        return replace(encoded, check=self.check_unchanged)

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        is_class = self.target.problem == "classification"
        classes = len(self.target.classes) if is_class else 0
        if self.kind != "image":
            return augment_numbers(self.section, None, classes)
        background = (fitted["black"] - fitted["mean"]) / fitted["std"]
        has_masks = self.target.masks is not None
        return augment_images(self.section, background, classes, has_masks=has_masks)

    def check_unchanged(self) -> None:
        """Raise BadInput if a file was written to since it was opened."""
        check_files([array for part in self.parts for array in (part.inputs, part.target)])


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
    target, notes = read_target(parts, roles.classes, wanted, form)
    _check_mixup(section, target)
    source = ArraySource(
        section,
        shown,
        _sum(parts),
        inputs,
        form,
        known,
        roles.classes,
        target,
        _division(section, parts, known.keys, _contents(known.keys, target), older),
        (*roles.notes, *_split_notes(parts), *filter(None, [form.note]), *notes, *_copies(used)),
        parts,
    )
    source.check_unchanged()
    return source


def _surveyed(parts: Sequence[ArrayPart], inputs: Sequence[NDArray[Any]]) -> Survey:
    """Return the survey of the inputs, out of the cache if it is there."""
    stored = [part.inputs for part in parts]
    key = key_for(stored, ["survey"])
    if (results := load_results(key)) is not None:
        return Survey.of_results(results)
    known = survey(inputs, [array.shown for array in stored])
    keep_results(key, known.results)
    return known


def read_target(
    parts: Sequence[ArrayPart], names: Sequence[str], wanted: str, form: ArrayForm
) -> tuple[Target, tuple[str, ...]]:
    """Return the target of all parts, one after the other, and notes on what was inferred."""
    shapes = {part.target.shape[1:] for part in parts}
    if len(shapes) > 1 or len({part.target.is_text for part in parts}) > 1:
        forms = " and ".join(f"{clean(part.target.name, 80)} {part.target.form}" for part in parts)
        raise BadInput(f"{parts[0].target.file.name}: {forms} should have the same form")
    values = np.concatenate([part.target.values() for part in parts])
    shown = clean(parts[0].target.name, 80)
    if are_masks(values.shape[1:], form):
        return target_of_masks(values, form, wanted, shown)
    target, notes = target_of(values, names, wanted, form.kind, shown)
    if form.kind == "sequence" and values.shape[1:] == form.shape[:1] and target.names:
        note = f"{shown}: a number for each step is predicted; classes of steps need a plugin"
        notes = (*notes, note)
    return target, notes


def _check_shapes(parts: Sequence[ArrayPart]) -> None:
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


def _check_image_settings(section: ArraysSection, form: ArrayForm) -> None:
    """Raise ConfigError for a change of pictures if there are none, or if it is too large."""
    if form.kind == "image":
        shape = ", ".join(map(str, form.shape))
        check_changes(section, form.shape, f"pictures of [{shape}]")
        return
    for name in _IMAGE_SETTINGS:
        if getattr(section, name):
            message = f"is for pictures, and these are {form.layout}"
            raise ConfigError([Problem(message, f"dataset.{name}")])


def _sum(parts: Sequence[ArrayPart]) -> str:
    """Return the sha256 of the parts: of their files and of what each array is for."""
    digest = hashlib.sha256()
    for part in parts:
        for role, array in (("inputs", part.inputs), ("target", part.target)):
            own = array.name if len(sums := sums_of(array)) == 1 else ""
            digest.update(f"{part.split} {role} {own} {' '.join(sums)}\n".encode())
    return digest.hexdigest()


def _check_mixup(section: ArraysSection, target: Target) -> None:
    if section.mixup is not None and target.masks is not None:
        message = "masks cannot be mixed: a pixel of two pictures would have two classes"
        raise ConfigError([Problem(message, "dataset.mixup")])


def _contents(keys: Keys, target: Target) -> Keys:
    """Return the keys of all that is read of the rows except their targets, but for masks."""
    return keys if target.masks is None else joined(keys, row_keys(target.masks.numpy()))


def _division(
    section: ArraysSection,
    parts: Sequence[ArrayPart],
    keys: Keys,
    contents: Keys,
    older: Mapping[str, Any] | None,
) -> Division:
    """Return how the rows are split: as the arrays say, or else by identity."""
    rule = rule_for(section, older)
    given = {part.split for part in parts}
    if older is None and section.split_by == "auto" and len(given) > 1:
        rule = "files"
    if rule != "files":
        return Division(rule, keys, contents)
    if len(given) == 1:
        message = "needs arrays of their own for training and the test, as x_train and x_test"
        raise ConfigError([Problem(message, "dataset.split_by")])
    sizes = [part.inputs.shape[0] for part in parts]
    splits = np.repeat(np.array([part.split for part in parts]), sizes)
    if "test" not in given:
        # Nothing is measured in the end without a test, and validation is cut from the rest.
        return Division(rule, keys, contents, test=splits == "val")
    val = splits == "val" if "val" in given else None
    return Division(rule, keys, contents, test=splits == "test", val=val)


def _split_notes(parts: Sequence[ArrayPart]) -> list[str]:
    if len(parts) == 1:
        return []
    pairs = ", ".join(
        f"{part.split} {clean(part.inputs.name, 60)} ({part.inputs.shape[0]:,})" for part in parts
    )
    if all(part.split != "test" for part in parts):
        pairs += ", which is the test"
    return [f"split as the arrays are: {pairs}; dataset.split_by=identity splits all of them again"]


def _copies(arrays: Sequence[StoredArray]) -> list[str]:
    """Return a note for each array that takes much memory."""
    return [
        f"{array.shown}: {array.conversion}, so {size_text(array.nbytes)} are held in memory"
        for array in arrays
        if array.conversion and array.nbytes >= _TOLD_BYTES
    ]
