"""The identity of rows: hashes of their cells, the same for all time, on every platform.

Layer: data. A hash depends on nothing but the cells of its row: not on other rows, on the order of
the columns, or on the number that stands for a text. Never change a constant here, or every row of
every run becomes another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.columns import Column, NumberColumn

RULE = 1
"""Is part of the name of keys in the cache: raised if a key ever became another one."""

Keys = NDArray[np.uint64]
"""Hashes of 64 bits. Two of a million different rows have the same with a chance of 3e-8."""

# Constants of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
_GOLDEN, _FIRST, _SECOND = (
    np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
_NO_TEXT = np.uint64(0x6E6F2074657874)
"""Stands for the text of an empty cell."""
_CHUNK_ROWS = 16384


def mixed(values: Keys) -> Keys:
    """Return the values mixed as splitmix64 does: every bit of a result depends on all bits."""
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))


def text_key(text: str | bytes) -> np.uint64:
    """Return the key of a text, in whichever form of Unicode it is written, or of bytes."""
    if isinstance(text, str):
        text = normalize("NFC", text).encode("utf-8", "surrogatepass")
    return np.uint64(int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little"))


def text_keys(texts: Iterable[str | bytes]) -> Keys:
    """Return the key of each text."""
    return np.array([text_key(text) for text in texts], dtype=np.uint64)


def number_keys(values: NDArray[np.float64]) -> Keys:
    """Return a key for each number; both zeros have one, and so have all NaN, which are gaps."""
    # Adding 0 makes one zero of two.
    normal = np.where(np.isnan(values), np.nan, values + 0.0)
    return mixed(np.ascontiguousarray(normal).view(np.uint64) + _GOLDEN)


def column_keys(name: str, column: Column) -> Keys:
    """Return a key (N,) for each cell of a column, to be added to those of the other columns."""
    own = text_key(name)
    if not isinstance(column, NumberColumn):
        by_text = mixed(np.append(text_keys(column.texts), _NO_TEXT) + own)
        return by_text[column.codes]
    keys = np.empty(len(column.values), dtype=np.uint64)
    # What is in between stays in the processor's cache.
    for start in range(0, len(keys), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        keys[part] = mixed(number_keys(column.values[part]) + own)
    return keys


def row_keys(columns: Mapping[str, Column]) -> Keys:
    """Return a key (N,) for each row of some columns, whatever their order."""
    count = len(next(iter(columns.values())).missing)
    sums = np.zeros(count, dtype=np.uint64)
    for name, column in columns.items():
        sums += column_keys(name, column)
    return mixed(sums)


def vector_keys(vectors: NDArray[np.float32]) -> Keys:
    """Return a key (N,) for each row of numbers (N, K)."""
    places = mixed(np.arange(1, vectors.shape[1] + 1, dtype=np.uint64) * _GOLDEN)
    keys = np.empty(len(vectors), dtype=np.uint64)
    for start in range(0, len(vectors), _CHUNK_ROWS):
        block = vectors[start : start + _CHUNK_ROWS].astype(np.float64)
        cells = mixed(number_keys(block) + places)
        keys[start : start + _CHUNK_ROWS] = mixed(cells.sum(axis=1, dtype=np.uint64))
    return keys


def joined(keys: Keys, others: Keys) -> Keys:
    """Return a key for each pair of keys."""
    return mixed(mixed(keys + _GOLDEN) + others)


def count_different(keys: Keys) -> int:
    """Return the number of different keys; quicker than `np.unique` where most differ."""
    ordered = np.sort(keys)
    return len(keys) and 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def sorting_order(keys: Keys, others: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the order of rows by `keys` and, where these are equal, by `others`; it is stable."""
    order = np.argsort(keys)
    ordered = keys[order]
    # A stable sort by two keys takes several times as long, and hashes are hardly ever equal.
    return np.lexsort((others, keys)) if (ordered[1:] == ordered[:-1]).any() else order


def target_keys(classes: Sequence[str], values: NDArray[Any]) -> Keys:
    """Return a key (N,) for what is to be predicted of each row, see `Target`."""
    if not classes:
        keys = number_keys(values.astype(np.float64).reshape(len(values), -1))
        places = mixed(np.arange(1, keys.shape[1] + 1, dtype=np.uint64))
        return mixed(joined(keys, places).sum(axis=1, dtype=np.uint64))
    keys = text_keys(classes)
    if values.ndim == 1:
        own: Keys = keys[values]
        return own
    return mixed((values.astype(np.uint64) * keys).sum(axis=1, dtype=np.uint64))


def numbered(keys: Keys) -> Keys:
    """Return keys that differ: that of the n-th row with a key depends on n, too."""
    if count_different(keys) == len(keys):
        return joined(keys, np.zeros(len(keys), dtype=np.uint64))
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1]) if len(keys) else np.empty(0, bool)
    places = np.arange(len(keys))
    occurrences = np.empty(len(keys), dtype=np.uint64)
    occurrences[order] = places - np.maximum.accumulate(np.where(is_first, places, 0))
    return joined(keys, occurrences)


def numbers_of(keys: Keys, seed: int) -> Keys:
    """Return the number that a seed gives to each key, from 0 to 2^64 - 1 for 0 to 1."""
    return joined(keys, np.full(len(keys), seed, dtype=np.uint64))
