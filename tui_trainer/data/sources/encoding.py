"""Fits a column of a table on the training rows, and encodes it as model inputs.

Layer: data. The fitted values are plain numbers and strings, because they go into a checkpoint.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.files.columns import Column, NumberColumn, TextColumn
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

MOST_CATEGORIES = 1000
"""A column with more distinct texts has no input for each."""

_CHUNK_ROWS = 8192

Block = NDArray[np.float32]


def fit_column(name: str, train: Column, file_name: str) -> dict[str, Any]:
    """Fit a column on its training rows; BadInput if its values cannot be used."""
    match train:
        case NumberColumn():
            form = {"form": train.form} if train.form else {}
            return {"kind": "number", **_fit_numbers(name, train, file_name), **form}
        case TextColumn():
            return {"kind": "category", **_fit_texts(train)}


def moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean and population standard deviation; the latter is 0 if all are equal."""
    # Rounding can give equal numbers a deviation above 0.
    if values.min() == values.max():
        return float(values[0]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.mean()), float(values.std())


def standardise(
    values: NDArray[np.float64],
    mean: float | NDArray[np.float64],
    std: float | NDArray[np.float64],
) -> Block:
    """Standardise numbers by the training split's mean and deviation; the shape is kept.

    A number of another split that is far outside the training range may become infinite.
    """
    scaled = np.empty(values.shape, dtype=np.float32)
    # Some thousand at a time: their differences stay in the processor's cache.
    with np.errstate(over="ignore"):
        for start in range(0, len(values), _CHUNK_ROWS):
            rows = slice(start, start + _CHUNK_ROWS)
            scaled[rows] = (values[rows] - mean) / std
    return scaled


def _fit_numbers(name: str, train: NumberColumn, file_name: str) -> dict[str, Any]:
    present = train.present
    where = f"{file_name}: column '{clean(name, 80)}'"
    if not len(present):
        raise BadInput(f"{where} has no value in the training split; add it to dataset.drop")
    mean, std = moments(present)
    if not (math.isfinite(mean) and math.isfinite(std)):
        raise BadInput(f"{where} has numbers too large to compute with; rescale or drop it")
    return {"mean": mean, "std": std or 1.0, "constant": std == 0}


def _fit_texts(train: TextColumn) -> dict[str, Any]:
    return {"categories": list(order_classes(train.texts)), "missing": train.gap_count > 0}


def encode_column(name: str, column: Column, fitted: dict[str, Any]) -> tuple[Block, list[str]]:
    """Return the inputs of all rows, (N, 1) or (N, categories), and notes about them."""
    match column:
        case NumberColumn():
            return _encode_numbers(clean(name, 80), column, fitted)
        case TextColumn():
            return _encode_texts(clean(name, 80), column, fitted)


def _encode_numbers(
    shown: str, column: NumberColumn, fitted: dict[str, Any]
) -> tuple[Block, list[str]]:
    scaled = standardise(column.values, fitted["mean"], fitted["std"])
    if column.gap_count:
        scaled[column.missing] = 0.0
    if not np.isfinite(scaled).all():
        raise BadInput(f"column '{shown}' has numbers of too large a range; rescale or drop it")
    notes = []
    if fitted["constant"]:
        notes.append(f"{shown}: always {fitted['mean']:.4g} in the training split; no information")
    return scaled[:, None], notes


def _encode_texts(
    shown: str, column: TextColumn, fitted: dict[str, Any]
) -> tuple[Block, list[str]]:
    positions = {text: position for position, text in enumerate(fitted["categories"])}
    # Missing values have the code -1, which indexes the last entry of the lookup.
    lookup = np.array([positions.get(text, -1) for text in column.texts] + [-1], dtype=np.int64)
    if fitted["missing"]:
        lookup[-1] = len(positions)
    codes = lookup[column.codes]
    block = np.zeros((len(codes), len(positions) + int(fitted["missing"])), dtype=np.float32)
    rows = np.flatnonzero(codes >= 0)
    block[rows, codes[rows]] = 1.0
    notes = []
    missing = column.gap_count
    if missing and fitted["missing"]:
        values = _counted(missing, "missing value")
        notes.append(f"{shown}: {values} read as a separate category")
    unseen = np.flatnonzero(codes < 0)
    if len(unseen):
        notes.append(_unseen_note(shown, column, column.codes[unseen]))
    return block, notes


def _unseen_note(shown: str, column: TextColumn, codes: NDArray[np.int64]) -> str:
    texts = ["a missing value" if c < 0 else repr(column.texts[c]) for c in np.unique(codes)[:3]]
    return (
        f"{shown}: {_counted(len(codes), 'row')} with values that no training row has "
        f"({clean(', '.join(texts), 120)}) encoded as zeros"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
