"""Keeps the results of passes over large arrays in the cache, beside tables.

Layer: data. A file has one line of JSON with names, types and shapes, and then the numbers. What
does not fit in any way is as good as not there, and is computed again.
"""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cache_store import (
    ARRAYS,
    key_of,
    make_room,
    open_cache,
    open_entry,
    write_entry,
)
from tui_trainer.data.files.stored_arrays import StoredArray

FORMAT = 1
"""Raised with every change of what is kept, or how it is computed."""
_MOST_HEADER_BYTES = 1 << 16
_DAMAGES = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error)

Results = dict[str, NDArray[Any]]


def key_for(arrays: Sequence[StoredArray], what: Sequence[Any]) -> str:
    """Return the name for results on some arrays; empty if they are not kept.

    `what` tells the results apart, as plain values.
    """
    states = [file.state for array in arrays for file in (array.file, *array.more_files)]
    if not any(state is not None and state.is_cached for state in states):
        return ""
    files = [None if state is None else state.key for state in states]
    names = [[array.name, array.offset, array.form] for array in arrays]
    return key_of([FORMAT, files, names, *what]) + ARRAYS


def load_results(name: str) -> Results | None:
    """Return results out of the cache; None if they are not there, or are damaged."""
    if not name:
        return None
    try:
        with open_cache() as folder, open_entry(folder, name) as file:
            header = json.loads(file.readline(_MOST_HEADER_BYTES))
            results = {}
            for key, kind, shape in header["arrays"]:
                count = math.prod(shape) * np.dtype(kind).itemsize
                results[key] = np.frombuffer(file.read(count), kind).reshape(shape).copy()
            is_whole = not file.read(1) and _sum(results) == header["sum"]
    except _DAMAGES:
        return None
    return results if is_whole else None


def keep_results(name: str, results: Mapping[str, NDArray[Any]]) -> None:
    """Keep results; without room for them, or without a cache, they are computed again."""
    if not name:
        return
    arrays = [[key, array.dtype.str, array.shape] for key, array in results.items()]
    header = json.dumps({"arrays": arrays, "sum": _sum(results)}) + "\n"
    contents = [header.encode(), *(array.tobytes() for array in results.values())]
    with contextlib.suppress(OSError), open_cache(writing=True) as folder:
        make_room(folder, sum(map(len, contents)))
        write_entry(folder, name, contents)


def _sum(results: Mapping[str, NDArray[Any]]) -> int:
    total = 0
    for array in results.values():
        total = zlib.crc32(np.ascontiguousarray(array).data, total)
    return total
