"""`assign_roles`: which arrays are inputs and which are to be predicted, of which split.

Layer: data. Names decide, as people write them: `x_train`, `train-images`, `data`. If they do not,
and only one answer is possible by the shapes, that one is taken; else the settings must say it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.data.files.array_files import (
    FoundArrays,
    array_name,
    array_names_beside,
    find_arrays,
)
from tui_trainer.data.files.stored_arrays import StoredArray
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput, ConfigError, Problem

Split = Literal["", "train", "val", "test"]

INPUTS = (
    *("x", "xs", "data", "input", "inputs", "feature", "features", "samples"),
    *("image", "images", "img", "imgs"),
)
TARGETS = (
    *("y", "ys", "target", "targets", "label", "labels", "class", "classes", "fine_labels"),
    *("mask", "masks"),
)
CLASS_NAMES = ("class_names", "classes", "label_names", "labels_names", "names", "target_names")
_SPLITS: dict[str, Split] = {
    **dict.fromkeys(("training", "train", "tr"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "val"),
    **dict.fromkeys(("testing", "test", "t10k", "te"), "test"),
}
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ArrayPart:
    """The inputs of some samples, and what is to be predicted of them."""

    split: Split
    """Empty if the arrays are not split yet."""
    inputs: StoredArray
    target: StoredArray


@dataclass(frozen=True, slots=True)
class Roles:
    """The arrays that a data set is made of."""

    parts: tuple[ArrayPart, ...]
    """Of all samples, or for training, validation and the test, in this order."""
    classes: tuple[str, ...] = ()
    """The names of the classes 0, 1 and so on; empty if there are none."""
    notes: tuple[str, ...] = ()


def split_name(name: str) -> tuple[str, Split]:
    """Return a name without the word for a split, in lower case, and that split.

    `X_train` and `train-images` are `x` and `images` for training.
    """
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    for word, split in _SPLITS.items():
        for pattern in (rf"^{word}_(?=.)", rf"_{word}(?=_|$)", rf"^{word}$"):
            if re.search(pattern, words):
                return re.sub(pattern, "", words).strip("_"), split
    for word, split in _SPLITS.items():
        rest = words.removesuffix(word) if words.endswith(word) else words.removeprefix(word)
        if rest != words and rest in INPUTS + TARGETS:
            return rest, split
    return words, ""


def assign_roles(found: FoundArrays, section: ArraysSection, shown: str) -> Roles:
    """Return the arrays of inputs and targets.

    Raises:
        BadInput: the names and the shapes do not decide it.
        ConfigError: a setting names no array.
    """
    notes = _refused_notes(found, section)
    arrays = [array for array in found.arrays if not _is_about(array, section)]
    inputs = _chosen(arrays, section.inputs, "inputs", INPUTS, shown)
    target = _chosen(arrays, section.target, "target", TARGETS, shown)
    if not inputs or not target:
        if found.refused:
            raise BadInput(next(iter(found.refused.values())))
        _check_is_one_data_set(arrays, shown)
        inputs, target = _by_shape(arrays, inputs, target, shown)
        notes += (
            f"inputs {clean(inputs[''].name, 80)}, target {clean(target[''].name, 80)}, by their "
            "shapes; dataset.inputs and dataset.target name others",
        )
    parts = _parts(inputs, target, arrays, shown)
    return Roles(parts, _class_names(found, parts), notes)


def _check_is_one_data_set(arrays: Sequence[StoredArray], shown: str) -> None:
    """Raise BadInput if files of a folder have arrays of the same names, as one for each sample."""
    counts = Counter(array.name for array in arrays)
    name, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if count > 1:
        called = clean(name, 80)
        raise BadInput(
            f"{shown}: {count:,} files have an array called '{called}', so the folder is not one "
            "data set: name one of its files, or put the samples into one, as in "
            "np.savez('data.npz', x=np.stack(arrays), y=labels)"
        )


def _refused_notes(found: FoundArrays, section: ArraysSection) -> tuple[str, ...]:
    """Return a note on arrays that are not read; BadInput if one has a role by its name."""
    for name, reason in found.refused.items():
        has_role = split_name(name)[0] in INPUTS + TARGETS
        if has_role or name in (section.inputs, section.target):
            raise BadInput(reason)
    if not found.refused:
        return ()
    return (f"left out, neither numbers nor texts: {clean(', '.join(found.refused), 120)}",)


def find_with_partner(path: str, section: ArraysSection) -> FoundArrays:
    """Return the arrays at a path; those of a single one with its target beside it.

    The file `y.npy` belongs to `x.npy`, and `train-labels` to `train-images`.
    """
    found = find_arrays(path)
    if len(found.arrays) != 1 or os.path.isdir(path):
        return found
    own = found.arrays[0]
    base, split = split_name(own.name)
    if base in TARGETS:
        return found
    wanted = TARGETS if section.target is None else (split_name(section.target)[0],)
    partners = [
        os.path.join(os.path.dirname(path), name)
        for name in array_names_beside(path)
        if split_name(array_name(name)) in [(word, split) for word in wanted]
    ]
    more = [array for partner in partners for array in find_arrays(partner).arrays]
    return FoundArrays((own, *more), found.classes, found.refused)


def _is_about(array: StoredArray, section: ArraysSection) -> bool:
    """Whether texts are about the data, as a description or names, and not what is predicted."""
    if array.name == section.target:
        return False
    base, _ = split_name(array.name)
    is_single = not array.shape or array.shape[0] < 2
    return array.is_text and (is_single or base in (*CLASS_NAMES, "feature_names"))


def _chosen(
    arrays: Sequence[StoredArray],
    stated: str | None,
    role: Literal["inputs", "target"],
    words: Sequence[str],
    shown: str,
) -> dict[Split, StoredArray]:
    """Return the arrays of a role by split; empty if no name says that it has it."""
    exact: list[StoredArray] = []
    if stated is not None:
        wanted = stated.removesuffix(".npy")
        exact = [array for array in arrays if array.name in (stated, wanted)]
        base = split_name(exact[0].name)[0] if exact else wanted.lower()
        if not exact and not any(split_name(array.name)[0] == base for array in arrays):
            names = [array.name for array in arrays]
            message = f"no array {clean(stated, 80)}{clean(suggest(stated, names))}; available: "
            raise ConfigError([Problem(message + listed(arrays), f"dataset.{role}")])
        words = [base]
    by_split: dict[Split, StoredArray] = {}
    bases = [split_name(array.name) for array in arrays]
    if not any(base in words for base, _ in bases):
        # What stands before may be the name of the data, as in `emnist-letters-train-images`.
        bases = [(base.rpartition("_")[2], split) for base, split in bases]
    for array, (base, split) in zip(arrays, bases, strict=True):
        if base not in words:
            continue
        if split in by_split and array in exact:
            by_split[split] = array
        if split in by_split and by_split[split] in exact:
            continue
        if split in by_split:
            both = f"{clean(by_split[split].name, 80)} and {clean(array.name, 80)}"
            raise BadInput(
                f"{shown}: {both} may both be the {role}; name one: dataset.{role}=NAME; "
                f"available: {listed(arrays)}"
            )
        by_split[split] = array
    return by_split


def _by_shape(
    arrays: Sequence[StoredArray],
    inputs: dict[Split, StoredArray],
    target: dict[Split, StoredArray],
    shown: str,
) -> tuple[dict[Split, StoredArray], dict[Split, StoredArray]]:
    """Return inputs and target of two arrays whose names do not say which is which.

    Raises:
        BadInput: they are not two, or their shapes do not say it either.
    """
    used = [*inputs.values(), *target.values()]
    others = [array for array in arrays if all(array is not one for one in used)]
    if len(arrays) == 2 and len({array.shape[:1] for array in arrays}) == 1:
        if len(used) == 1:
            return ({"": used[0]}, {"": others[0]}) if inputs else ({"": others[0]}, {"": used[0]})
        larger, smaller = sorted(arrays, key=lambda array: -len(array.shape))
        if len(larger.shape) > len(smaller.shape) and not larger.is_text:
            return {"": larger}, {"": smaller}
    if len(arrays) == 1:
        lacking = "no inputs" if target else "none that says what is to be predicted"
        raise BadInput(
            f"{shown}: one array, {listed(arrays)}, and {lacking}; "
            "put both in a folder as x.npy and y.npy, or in one file: np.savez('data.npz', x=x, "
            "y=y)"
        )
    missing = "inputs" if not inputs else "target"
    raise BadInput(
        f"{shown}: no array is the {missing} by its name; name it: dataset.{missing}=NAME; "
        f"available: {listed(arrays)}"
    )


def _parts(
    inputs: dict[Split, StoredArray],
    target: dict[Split, StoredArray],
    arrays: Sequence[StoredArray],
    shown: str,
) -> tuple[ArrayPart, ...]:
    splits: list[Split] = [split for split in ("", "train", "val", "test") if split in inputs]
    if "" in splits and len(splits) > 1:
        # An array of all samples beside those of its splits.
        splits = [""] if "train" not in splits else [split for split in splits if split]
    lacking = [split for split in splits if split not in target]
    if lacking:
        raise BadInput(
            f"{shown}: {clean(inputs[lacking[0]].name, 80)} has no target of the same split; "
            f"available: {listed(arrays)}"
        )
    if splits and "train" not in splits and "" not in splits:
        if len(splits) == 1:
            return (ArrayPart("", inputs[splits[0]], target[splits[0]]),)
        raise BadInput(f"{shown}: no arrays for training; available: {listed(arrays)}")
    parts = tuple(ArrayPart(split, inputs[split], target[split]) for split in splits)
    if len(parts) == 1:
        return (ArrayPart("", parts[0].inputs, parts[0].target),)
    return parts


def _class_names(found: FoundArrays, parts: Sequence[ArrayPart]) -> tuple[str, ...]:
    base = split_name(parts[0].target.name)[0]
    if base in found.classes:
        return found.classes[base]
    used = [part.target for part in parts]
    for array in found.arrays:
        is_used = any(array is one for one in used)
        if array.is_text and not is_used and split_name(array.name)[0] in CLASS_NAMES:
            values = array.values()
            if values.ndim == 1:
                return as_texts(values.tolist())
    return ()


def as_texts(values: Sequence[str | bytes]) -> tuple[str, ...]:
    """Return texts, decoded if they are bytes, without spaces around them."""
    return tuple(
        (value if isinstance(value, str) else value.decode("utf-8", "replace")).strip()
        for value in values
    )


def listed(arrays: Sequence[StoredArray]) -> str:
    """Return the arrays with their shapes and types, cleaned for display."""
    shown = [f"{clean(array.name, 60)} {array.form}" for array in arrays[:_MOST_SHOWN]]
    more = len(arrays) - _MOST_SHOWN
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
