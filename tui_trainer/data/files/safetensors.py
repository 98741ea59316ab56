"""Reads the headers of safetensors files.

Layer: data. The length of the header, the header in JSON, and the numbers of the tensors behind it,
little-endian. It is read here because the library copies what it reads for numpy, and arrays of
every format are mapped in the same way. https://github.com/huggingface/safetensors describes it.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.content import Content
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.stored_arrays import StoredArray, beginning
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_MOST_HEADER_BYTES = 100_000_000
"""The limit of the library, too."""
_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"},
    **{"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1"},
}


def is_safetensors(content: Content) -> bool:
    """Whether a content begins as such a file does."""
    head = beginning(content, 9)
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and 2 <= length <= len(content) - 8


def read_safetensors(file: DataFile, path: str) -> list[StoredArray]:
    """Return the tensors of a file; BadInput if the header is wrong, or tensors overlap."""
    head = beginning(file.content, 8)
    length = int.from_bytes(head, "little")
    if len(head) < 8 or length > min(_MOST_HEADER_BYTES, len(file.content) - 8):
        raise BadInput(f"{file.name}: is cut short, or not a safetensors file; copy it again")
    begin = 8 + length
    try:
        entries = json.loads(file.content[8:begin])
        entries.pop("__metadata__", None)
        arrays = [_array(file, path, str(name), entry, begin) for name, entry in entries.items()]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = clean(f"{type(error).__name__}: {error}", 120)
        raise BadInput(f"{file.name}: its header is damaged ({reason}); copy it again") from error
    ends = 0
    for first, last, name in sorted(
        (*entry["data_offsets"], name) for name, entry in entries.items()
    ):
        if first < ends:
            shown = f"{file.name}: {clean(name, 80)}"
            raise BadInput(f"{shown}: lies over another tensor; the file is damaged")
        ends = last
    if not arrays:
        raise BadInput(f"{file.name}: has no tensors")
    return arrays


def _array(file: DataFile, path: str, name: str, entry: dict[str, Any], begin: int) -> StoredArray:
    shown = f"{file.name}: {clean(name, 80)}"
    kind, shape = entry["dtype"], tuple(entry["shape"])
    if kind not in _TYPES:
        raise BadInput(f"{shown}: holds {clean(str(kind), 40)}; save it as float32")
    first, last = entry["data_offsets"]
    numbers = (*shape, first, last)
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise ValueError("sizes that are not whole numbers")
    dtype = np.dtype(_TYPES[kind])
    if last - first != math.prod(shape) * dtype.itemsize:
        raise BadInput(f"{shown}: its size does not fit its shape; the file is damaged")
    if begin + last > len(file.content):
        raise BadInput(f"{shown}: is cut short: the file ends before it; copy it again")
    stored = StoredArray(name, file, shape, dtype, begin + first, path=path if file.is_raw else "")
    if kind != "BF16":
        return stored
    wide = np.dtype(np.float32)
    return StoredArray(name, file, shape, wide, begin + first, unpack=lambda: _widened(stored))


def _widened(stored: StoredArray) -> NDArray[np.float32]:
    """Return the numbers of a bfloat16, which is the upper half of a float32."""
    return (stored.values().astype(np.uint32) << 16).view(np.float32)
