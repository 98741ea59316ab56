"""Fits the scaling of arrays on their training rows, and makes inputs of them.

Layer: data. Features are standardised column by column, sequences channel by channel, and pictures
by one mean and deviation of all pixels of the training split.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.files.array_cache import keep_results, key_for, load_results
from tui_trainer.data.files.stored_arrays import StoredArray
from tui_trainer.data.sources.array_layout import ArrayForm
from tui_trainer.data.sources.array_numbers import Moments, Survey, blocks, moments_of
from tui_trainer.data.sources.encoding import standardise
from tui_trainer.data.sources.source import Encoded
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_LEAST_STD = 1e-7
"""Below it, as a share of the range of pixels, all are equal and the rest is rounding."""
_LEAST_STD_OF_NUMBERS = 1e-12
"""The same of features, as a share of their mean."""
_MOST_WIDE_BYTES = 512 << 20
"""Numbers of 64 bits in so many bytes are standardised at once, into half of it."""


def fit_scaling(
    stored: Sequence[StoredArray],
    inputs: Sequence[NDArray[Any]],
    form: ArrayForm,
    known: Survey,
    train: NDArray[np.int64],
) -> dict[str, Any]:
    """Return what standardises inputs: a number for pictures, a list for columns or channels.

    `inputs` are the numbers of the `stored` arrays, and `train` rows of them.
    """
    name = stored[0].file.name
    if form.kind == "image":
        moments = _moments(stored, inputs, train, tuple(range(inputs[0].ndim)))
        mean, std = float(moments.mean), float(moments.std())
        _check_finite(math.isfinite(std), name)
        scale = max(abs(known.low), abs(known.high))
        return {
            "mean": mean,
            "std": std if std > _LEAST_STD * scale else 1.0,
            # 0 is black, unless there are numbers below it.
            "black": min(known.low, 0.0),
            "white": 255.0 if inputs[0].dtype == np.uint8 else known.high,
        }
    width = form.shape[-1]
    flat = [array.reshape(len(array), -1, width) for array in inputs]
    moments = _moments(stored, flat, train, (0, 1))
    means, stds = np.asarray(moments.mean), np.asarray(moments.std())
    _check_finite(bool(np.isfinite(stds).all()), name)
    constant = stds <= _LEAST_STD_OF_NUMBERS * np.abs(means)
    return {
        "mean": means.tolist(),
        "std": np.where(constant, 1.0, stds).tolist(),
        "constant": int(constant.sum()),
    }


def _moments(
    stored: Sequence[StoredArray],
    arrays: Sequence[NDArray[Any]],
    train: NDArray[np.int64],
    axes: tuple[int, ...],
) -> Moments:
    """Return the moments of the training rows, out of the cache if they are there.

    `arrays` are the inputs as pixels (N, ...) or as steps of numbers (N, T, C).
    """
    rows = hashlib.sha256(train.tobytes()).hexdigest()
    key = key_for(stored, ["moments", rows, axes, list(arrays[0].shape[1:])])
    if (results := load_results(key)) is not None:
        return Moments.of_results(axes, results)
    moments = moments_of(arrays, train, axes, stored[0].file.name)
    keep_results(key, moments.results)
    return moments


def _check_finite(is_finite: bool, name: str) -> None:
    if not is_finite:
        raise BadInput(f"{name}: the numbers are too large to compute with; rescale them")


def encode_arrays(
    arrays: Sequence[NDArray[Any]], form: ArrayForm, fitted: Mapping[str, Any]
) -> Encoded:
    """Return the inputs of some arrays with the values that `fit_scaling` returned."""
    mean, std = fitted["mean"], fitted["std"]
    scaling: Scaling | None = None
    if _is_wide(arrays):
        arrays = [_standardised(array, form, mean, std) for array in arrays]
    else:
        is_unsigned = arrays[0].dtype == np.uint16
        arrays = [array.view(np.int16) if is_unsigned else array for array in arrays]
        if form.kind != "image":
            mean, std = (torch.tensor(numbers, dtype=torch.float32) for numbers in (mean, std))
        scaling = Scaling(mean, std, is_unsigned)
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


def _standardised(array: NDArray[Any], form: ArrayForm, mean: Any, std: Any) -> NDArray[np.float32]:
    width = () if form.kind == "image" else (form.shape[-1],)
    scaled = np.empty(array.shape, dtype=np.float32)
    for start, block in blocks(array):
        numbers = block.astype(np.float64).reshape(-1, *width)
        part = standardise(numbers, np.asarray(mean), np.asarray(std))
        scaled[start : start + len(block)] = part.reshape(block.shape)
    return scaled
