"""Encodes texts of any number by hashing each to one of a fixed number of inputs.

Layer: data. The hashing trick of Weinberger et al., "Feature Hashing for Large Scale Multitask
Learning" (ICML 2009): nothing is learned, so a text that no training row has is encoded as well as
any other. Texts with the same hash share an input.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import TextColumn
from tui_trainer.text.clean import clean
from tui_trainer.text.format import counted

Block = NDArray[np.float32]

_MOST_BUCKETS = 65536
"""The bound of `dataset.buckets` and `dataset.word_buckets`."""


def hash_of(text: str) -> int:
    """Return a number below 2^64 that is the same in every version and on every machine."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def check_buckets(saved: Any) -> int:
    """Return the buckets that a checkpoint says; ValueError if no setting can have given them."""
    if type(saved) is not int or not 0 < saved <= _MOST_BUCKETS:
        raise ValueError(f"{saved!r:.40} buckets")
    return saved


def fit_hash(train: TextColumn, buckets: int) -> dict[str, Any]:
    """Return the settings of a column whose texts are hashed; a gap has an input of its own."""
    return {"kind": "hash", "buckets": buckets, "missing": train.gap_count > 0}


def encode_hash(name: str, column: TextColumn, fitted: dict[str, Any]) -> tuple[Block, list[str]]:
    """Return the inputs of all rows, (N, buckets) or one more, each row with a single 1."""
    shown, buckets = clean(name, 80), check_buckets(fitted["buckets"])
    # A missing value has the code -1, which indexes the last entry.
    place = np.array([hash_of(text) % buckets for text in column.texts] + [-1], dtype=np.int64)
    if fitted["missing"]:
        place[-1] = buckets
    places = place[column.codes]
    block = np.zeros((len(places), buckets + int(fitted["missing"])), dtype=np.float32)
    rows = np.flatnonzero(places >= 0)
    block[rows, places[rows]] = 1.0
    notes = []
    missing = column.gap_count
    if missing:
        way = "read as a separate input" if fitted["missing"] else "encoded as zeros"
        notes.append(f"{shown}: {counted(missing, 'missing value')} {way}")
    return block, notes
