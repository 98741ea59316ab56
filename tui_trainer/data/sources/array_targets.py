"""The targets of arrays: a class, labels or numbers for each row, or a class for each pixel.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.files.cell_values import is_missing, order_classes
from tui_trainer.data.sources.array_layout import ArrayForm
from tui_trainer.data.sources.array_numbers import blocks
from tui_trainer.data.sources.array_roles import as_texts
from tui_trainer.data.sources.source import Target
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem

Array = NDArray[Any]

_FEW_NUMBERS = 20
"""Up to so many different whole numbers are classes."""
_MOST_CLASSES = 65536
_MOST_SHOWN = 5
_VOID = 255


def target_of(
    values: Array, names: Sequence[str], problem: str, kind: Kind, shown: str
) -> tuple[Target, tuple[str, ...]]:
    """Return the target, and notes on what was inferred.

    Args:
        values: (N,) or (N, K), numbers or texts.
        names: of the classes 0, 1 and so on; empty if there are none.
        problem: what the settings say: `auto`, or its name.
        kind: of the inputs.
        shown: the array, for messages.

    Raises:
        BadInput: its numbers are neither classes, labels nor numbers.
        ConfigError: they are not for the problem of the settings.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.dtype.kind in "US"):
        shape = ", ".join(map(str, ("N", *values.shape[1:])))
        raise BadInput(
            f"{shown}: a target of shape ({shape}) cannot be predicted; it should be (N,) for a "
            "class or a number in each row, or (N, K) for several"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values.reshape(len(values), -1)).all(axis=1)))
        raise BadInput(f"{shown}: row {row:,} (from 0) has no finite number; leave it out")
    if values.ndim == 2:
        return _of_several(values, names, problem, shown)
    if values.dtype.kind in "US":
        _check_problem(problem, ("classification",), "texts", shown)
        return _classes(list(as_texts(values.tolist())), shown), ()
    return _of_one(values, names, problem, kind, shown)


def _check_problem(problem: str, possible: Sequence[str], what: str, shown: str) -> None:
    if problem not in ("auto", *possible):
        message = f"{shown} has {what}, so it is {possible[0]}"
        raise ConfigError([Problem(message, "problem")])


def _classes(texts: list[str], shown: str) -> Target:
    row = next((row for row, text in enumerate(texts) if not text or is_missing(text)), None)
    if row is not None:
        raise BadInput(f"{shown}: row {row:,} (from 0) has no class")
    classes = order_classes({*texts})
    place = {text: index for index, text in enumerate(classes)}
    return Target(classes, np.array([place[text] for text in texts], dtype=np.int64))


def _of_one(
    values: Array, names: Sequence[str], problem: str, kind: Kind, shown: str
) -> tuple[Target, tuple[str, ...]]:
    """Return the target of one number in each row."""
    _check_problem(problem, ("classification", "regression"), "one number in each row", shown)
    if problem == "regression":
        return Target((), values.astype(np.float64)), ()
    is_whole = values.dtype.kind in "iub"
    distinct, codes = np.unique(values, return_inverse=True)
    count = len(distinct)
    few = ", ".join(f"{number:g}" for number in distinct[:_MOST_SHOWN].tolist())
    few += ", ..." if count > _MOST_SHOWN else ""
    is_round = is_whole or bool((distinct == np.round(distinct)).all())
    if problem == "auto" and not is_whole:
        if not is_round or count > _FEW_NUMBERS:
            return Target((), values.astype(np.float64)), ()
        note = (
            f"{shown} is predicted as a number, because it holds {values.dtype} ({few}); "
            "problem=classification treats them as classes"
        )
        return Target((), values.astype(np.float64)), (note,)
    if problem == "auto" and not names and not _are_classes(distinct, len(values), kind):
        note = (
            f"{shown} has {count:,} different whole numbers ({few}), predicted as numbers; "
            "problem=classification treats them as classes"
        )
        return Target((), values.astype(np.float64)), (note,)
    if count > _MOST_CLASSES or not is_round:
        message = f"{shown} has {count:,} different numbers ({few}), which are not classes"
        raise ConfigError([Problem(message, "problem")])
    texts = _named(distinct, names, shown)
    order = order_classes({*texts})
    place = {text: index for index, text in enumerate(order)}
    moved = np.array([place[text] for text in texts], dtype=np.int64)
    target = Target(order, moved[codes.reshape(-1)])
    if problem != "auto" or kind == "image" or names or count == 2:
        return target, ()
    note = (
        f"{shown}: {count:,} different whole numbers ({few}) are classes; problem=regression "
        "predicts them as numbers"
    )
    return target, (note,)


def _are_classes(distinct: Array, rows: int, kind: Kind) -> bool:
    """Whether whole numbers are classes: they are few, or pictures have them all from 0 or 1 on."""
    count = len(distinct)
    if count <= _FEW_NUMBERS:
        return True
    is_gapless = distinct[0] in (0, 1) and distinct[-1] - distinct[0] == count - 1
    return kind == "image" and bool(is_gapless) and 5 * count <= rows


def _named(distinct: Array, names: Sequence[str], shown: str) -> list[str]:
    """Return the text for each number: the name of the class, or how the number is written."""
    if not names:
        return [f"{int(number)}" for number in distinct.tolist()]
    low, high = int(distinct[0]), int(distinct[-1])
    if low < 0 or high >= len(names):
        raise BadInput(
            f"{shown}: has the class {low if low < 0 else high}, but there are {len(names)} names "
            f"of classes ({clean(', '.join(names[:_MOST_SHOWN]), 200)}, ...)"
        )
    if len({*names}) < len(names):
        return [f"{int(number)} {names[int(number)]}" for number in distinct.tolist()]
    return [names[int(number)] for number in distinct.tolist()]


def _of_several(
    values: Array, names: Sequence[str], problem: str, shown: str
) -> tuple[Target, tuple[str, ...]]:
    """Return the target of several numbers in each row: a class, labels or numbers."""
    count = values.shape[1]
    are_marks = bool(((values == 0) | (values == 1)).all())
    possible = ("classification", "multilabel", "regression") if are_marks else ("regression",)
    _check_problem(problem, possible, f"{count} numbers in each row", shown)
    if problem == "regression" or not are_marks:
        own = tuple(f"number {place + 1}" for place in range(count))
        return Target((), values.astype(np.float64), own), ()
    columns = tuple(names) if len(names) == count else tuple(map(str, range(count)))
    is_one = bool((values.sum(axis=1) == 1).all())
    if is_one and problem in ("auto", "classification"):
        codes = values.argmax(axis=1)
        used = np.unique(codes)
        texts = [columns[place] for place in used.tolist()]
        order = order_classes({*texts})
        places = np.zeros(count, dtype=np.int64)
        places[used] = [order.index(text) for text in texts]
        note = (
            f"{shown}: one 1 in each row, so it is the class (one-hot); problem=multilabel takes "
            "them for labels"
        )
        return Target(order, places[codes]), (note,)
    if problem == "classification":
        raise ConfigError([Problem(f"{shown}: rows have several labels, or none", "problem")])
    return Target(columns, values.astype(np.int64)), ()


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
