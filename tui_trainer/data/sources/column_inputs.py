"""Fits the columns of a table on the training rows, and encodes them as inputs, by their kind.

Layer: data. The fitted values are plain numbers and strings, because they go into a checkpoint.
Their `kind` decides how a column is encoded, then and later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import TableSection
from tui_trainer.data.base.threads import in_two_threads
from tui_trainer.data.files.columns import Column, NumberColumn, TextColumn
from tui_trainer.data.sources.column_kinds import setting_of
from tui_trainer.data.sources.date_columns import (
    describe_dates,
    encode_dates,
    fit_dates,
    width_of_dates,
)
from tui_trainer.data.sources.encoding import MOST_CATEGORIES, encode_column, fit_column
from tui_trainer.data.sources.hashed_columns import encode_hash, fit_hash
from tui_trainer.data.sources.source import MOST_BYTES, Encoded
from tui_trainer.data.sources.text_columns import encode_texts, encode_words, fit_texts, fit_words
from tui_trainer.data.tokenizers.tokenizer_choice import TokenizerChoice
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted, size_text

Block = NDArray[np.float32]
_FILLED_AT_ONCE = 16
"""Inputs: a line of the processor's cache."""
_CHUNK_ROWS = 8192

_MOST_FILLED = 4
"""That many columns with filled gaps have a note each."""


def fit_all(
    train: Mapping[str, Column],
    kinds: Mapping[str, str],
    section: TableSection,
    file: str,
    tokenizer: TokenizerChoice,
) -> dict[str, dict[str, Any]]:
    """Fit columns of some kinds on their training rows; BadInput if values cannot be used.

    `tokenizer` is for the columns of the kind `text`.
    """
    texts = {
        name: column
        for name, column in train.items()
        if kinds[name] == "text" and isinstance(column, TextColumn)
    }
    of_texts = fit_texts(texts, section.max_text_bytes, tokenizer, file) if texts else {}

    def fit(name: str) -> dict[str, Any]:
        if name in of_texts:
            return of_texts[name]
        return _fit_inputs(name, kinds[name], train[name], section, file)

    rows = len(next(iter(train.values())).missing) if train else 0
    return dict(zip(train, in_two_threads(fit, train, rows), strict=True))


def _fit_inputs(
    name: str, kind: str, train: Column, section: TableSection, file: str
) -> dict[str, Any]:
    """Fit a column that becomes numbers; categories that are too many are hashed."""
    if isinstance(train, TextColumn):
        if kind == "words":
            return fit_words(train, section.word_buckets)
        if kind == "hash" or len(train.texts) > MOST_CATEGORIES:
            return fit_hash(train, section.buckets)
    elif kind == "boolean":
        return _fit_booleans(name, train, file)
    elif kind == "date":
        return fit_dates(name, train, file)
    return fit_column(name, train, file)


def encode_inputs(name: str, column: Column, fitted: dict[str, Any]) -> tuple[Block, list[str]]:
    """Return the inputs (N, width) of a column for all rows, and notes about them."""
    kind = fitted["kind"]
    if isinstance(column, TextColumn):
        encode = {"hash": encode_hash, "words": encode_words}.get(kind, encode_column)
        return encode(name, column, fitted)
    if kind == "boolean":
        return _encode_booleans(clean(name, 80), column, fitted)
    return (
        encode_dates(name, column, fitted)
        if kind == "date"
        else encode_column(name, column, fitted)
    )


def encode_all(
    columns: Mapping[str, Column], fitted: Mapping[str, dict[str, Any]], file: str
) -> Encoded:
    """Return the inputs of all rows: the columns side by side; with texts their tokens, and all
    other columns as the numbers beside them.

    Raises:
        BadInput: they take too much memory; names the column that has most of them.
    """
    texts: dict[str, TextColumn] = {}
    for name, settings in fitted.items():
        column = columns[name]
        if settings["kind"] == "text" and isinstance(column, TextColumn):
            texts[name] = column
    others = {name: settings for name, settings in fitted.items() if name not in texts}
    if not texts:
        return _side_by_side(columns, others, file)
    tokens = encode_texts(texts, {name: fitted[name] for name in texts}, file)
    if not others:
        return tokens
    beside = _side_by_side(columns, others, file)
    return replace(tokens, numbers=beside.inputs, notes=[*tokens.notes, *beside.notes])


def _side_by_side(
    columns: Mapping[str, Column], fitted: Mapping[str, dict[str, Any]], file: str
) -> Encoded:
    """Return columns of numbers as inputs (N, D), side by side; raises as `encode_all`."""
    widths = {name: width_of(settings) for name, settings in fitted.items()}
    widest, total = max(widths, key=lambda name: widths[name]), sum(widths.values())
    rows = len(columns[widest].missing)
    if 4 * rows * total > MOST_BYTES:
        raise BadInput(
            f"{file}: {rows:,} rows of {total:,} inputs take {size_text(4 * rows * total)}; "
            f"{widths[widest]:,} are of the column '{clean(widest, 80)}': add it to dataset.drop, "
            "or lower dataset.buckets or dataset.word_buckets if it is hashed"
        )
    # Filled block by block: side by side they would take the memory twice.
    inputs = np.empty((rows, total), dtype=np.float32)
    place, all_notes = 0, _gap_notes(columns, fitted)
    blocks: list[Block] = []

    def encode(name: str) -> tuple[Block, list[str]]:
        return encode_inputs(name, columns[name], fitted[name])

    for block, column_notes in in_two_threads(encode, fitted, rows):
        blocks.append(block)
        all_notes += column_notes
        if sum(block.shape[1] for block in blocks) >= _FILLED_AT_ONCE:
            place, blocks = _filled(inputs, place, blocks), []
    _filled(inputs, place, blocks)
    return Encoded(torch.from_numpy(inputs), all_notes)


def _gap_notes(columns: Mapping[str, Column], fitted: Mapping[str, dict[str, Any]]) -> list[str]:
    """Return notes on the missing numbers that are filled in: one if many columns have some."""
    gaps = {
        name: columns[name].gap_count
        for name, settings in fitted.items()
        if settings["kind"] == "number"
    }
    gaps = {name: count for name, count in gaps.items() if count}
    if len(gaps) <= _MOST_FILLED:
        return [
            f"{clean(name, 80)}: {counted(count, 'missing value')} filled with the training mean "
            f"{fitted[name]['mean']:.4g}"
            for name, count in gaps.items()
        ]
    most = sorted(gaps, key=lambda name: -gaps[name])[:_MOST_FILLED]
    shown = ", ".join(f"{clean(name, 80)} ({gaps[name]:,})" for name in most)
    return [
        f"{counted(sum(gaps.values()), 'missing value')} in {len(gaps):,} columns filled with the "
        f"training mean of each, most in {shown}"
    ]


def _filled(inputs: Block, place: int, blocks: Sequence[Block]) -> int:
    """Write blocks side by side from a column on, and return the column behind them.

    A few thousand rows at a time, which stay in the processor's cache until all have been written.
    """
    end: int = place + sum(block.shape[1] for block in blocks)
    for start in range(0, len(inputs) if blocks else 0, _CHUNK_ROWS):
        rows = slice(start, start + _CHUNK_ROWS)
        np.concatenate([block[rows] for block in blocks], axis=1, out=inputs[rows, place:end])
    return end


def width_of(fitted: dict[str, Any]) -> int:
    """Return how many numbers a fitted column becomes; a text that is read as tokens, none."""
    match fitted["kind"]:
        case "text":
            return 0
        case "number":
            return 1
        case "category":
            return len(fitted["categories"]) + int(fitted["missing"])
        case "hash" | "words":
            return int(fitted["buckets"]) + int(fitted["missing"])
        case "date":
            return width_of_dates(fitted)
        case _:
            return 1 + int(fitted["missing"])


def column_notes(name: str, column: Column, fitted: dict[str, Any]) -> list[str]:
    """Return notes on how a column of a data set is encoded, or looks unsuitable for training."""
    shown, rows = clean(name, 80), len(column.missing)
    if isinstance(column, NumberColumn):
        if fitted["kind"] == "date" and not column.missing.all():
            return [describe_dates(name, column, fitted)]
        if fitted["kind"] == "number" and rows > 2 and column.counts_rows:
            return [f"{shown}: only numbers the rows; dataset.drop leaves it out"]
        return []
    if fitted["kind"] in ("hash", "words"):
        what, key = {"hash": ("different texts", "buckets"), "words": ("texts", "word_buckets")}[
            fitted["kind"]
        ]
        return [
            f"{shown}: {len(column.texts):,} {what}, hashed to {fitted['buckets']:,} inputs "
            f"(dataset.{key}); dataset.drop leaves it out"
        ]
    if fitted["kind"] == "category" and 2 * len(fitted["categories"]) > rows:
        count = len(fitted["categories"])
        return [
            f"{shown}: {count} categories in {rows} rows; is it a name? dataset.drop leaves it "
            f"out, {setting_of(name, 'hash')} gives it fewer inputs"
        ]
    return []


def _fit_booleans(name: str, train: NumberColumn, file: str) -> dict[str, Any]:
    present = train.present
    if not len(present):
        raise BadInput(
            f"{file}: column '{clean(name, 80)}' has no value in the training split; "
            "add it to dataset.drop"
        )
    return {
        "kind": "boolean",
        "mean": float(present.mean()),
        "missing": train.gap_count > 0,
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
    if column.gap_count:
        values = counted(column.gap_count, "missing value")
        notes.append(f"{shown}: {values} filled with the training mean {share:.4g}")
    if share in (0, 1):
        word = "yes" if share else "no"
        notes.append(f"{shown}: always {word} in the training split; no information")
    return np.stack(inputs, axis=1).astype(np.float32), notes
