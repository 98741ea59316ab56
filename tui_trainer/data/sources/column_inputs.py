"""Fits the columns of a table on the training rows, and encodes them as inputs, by their kind.

Layer: data. The fitted values are plain numbers and strings, because they go into a checkpoint.
Their `kind` decides how a column is encoded, then and later.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.files.columns import Column, NumberColumn, TextColumn
from tui_trainer.data.sources.column_kinds import setting_of
from tui_trainer.data.sources.date_columns import encode_dates, fit_dates, width_of_dates
from tui_trainer.data.sources.encoding import MOST_CATEGORIES, encode_column, fit_column
from tui_trainer.data.sources.hashed_columns import encode_hash, fit_hash
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Block = NDArray[np.float32]


def fit_inputs(
    name: str, kind: str, train: Column, section: TableSection, file: str
) -> dict[str, Any]:
    """Fit a column of a kind on its training rows; BadInput if its values cannot be used.

    Categories that are too many are hashed.
    """
    if isinstance(train, TextColumn):
        if kind == "hash" or len(train.texts) > MOST_CATEGORIES:
            return fit_hash(train, section.buckets)
    elif kind == "boolean":
        return _fit_booleans(name, train, file)
    elif kind == "date":
        return fit_dates(name, train, file)
    return fit_column(name, train, file)


def encode_inputs(name: str, column: Column, fitted: dict[str, Any]) -> tuple[Block, list[str]]:
    """Return the inputs (N, width) of a column for all rows, and notes about them."""
    if isinstance(column, TextColumn):
        encode = encode_hash if fitted["kind"] == "hash" else encode_column
        return encode(name, column, fitted)
    if fitted["kind"] == "boolean":
        return _encode_booleans(clean(name, 80), column, fitted)
    if fitted["kind"] == "date":
        return encode_dates(name, column, fitted)
    return encode_column(name, column, fitted)


def width_of(fitted: dict[str, Any]) -> int:
    """Return the number of inputs that a fitted column has."""
    match fitted["kind"]:
        case "number":
            return 1
        case "category":
            return len(fitted["categories"]) + int(fitted["missing"])
        case "hash":
            return int(fitted["buckets"]) + int(fitted["missing"])
        case "date":
            return width_of_dates(fitted)
        case _:
            return 1 + int(fitted["missing"])


def doubt_notes(name: str, column: Column, fitted: dict[str, Any]) -> list[str]:
    """Return notes about columns that look unsuitable for training, such as row numbers."""
    shown, rows = clean(name, 80), len(column.missing)
    if fitted["kind"] == "category" and 2 * len(fitted["categories"]) > rows:
        count = len(fitted["categories"])
        return [
            f"{shown}: {count} categories in {rows} rows; is it a name? dataset.drop leaves it "
            f"out, {setting_of(name, 'hash')} gives it fewer inputs"
        ]
    if (
        fitted["kind"] == "number"
        and isinstance(column, NumberColumn)
        and len(column.values) > 2
        and (np.diff(column.values) == 1).all()
    ):
        return [f"{shown}: only numbers the rows; dataset.drop leaves it out"]
    return []


def _fit_booleans(name: str, train: NumberColumn, file: str) -> dict[str, Any]:
    present = train.values[~train.missing]
    if not len(present):
        raise BadInput(
            f"{file}: column '{clean(name, 80)}' has no value in the training split; "
            "add it to dataset.drop"
        )
    return {
        "kind": "boolean",
        "mean": float(present.mean()),
        "missing": bool(train.missing.any()),
    }


def _encode_booleans(
    shown: str, column: NumberColumn, fitted: dict[str, Any]
) -> tuple[Block, list[str]]:
    """Return 1 or 0, the mean for a gap, and a second input for gaps if training had some."""
    missing, share = column.missing, fitted["mean"]
    inputs = [np.where(missing, share, column.values)]
    if fitted["missing"]:
        inputs.append(missing.astype(np.float64))
    notes = []
    if missing.any():
        values = counted(int(missing.sum()), "missing value")
        notes.append(f"{shown}: {values} filled with the training mean {share:.4g}")
    if share in (0, 1):
        word = "yes" if share else "no"
        notes.append(f"{shown}: always {word} in the training split; no information")
    return np.stack(inputs, axis=1).astype(np.float32), notes
