"""Reads the headers of IDX files, the format of MNIST.

Layer: data. Two zero bytes, the type of the numbers, the number of axes, their sizes as big-endian
numbers of 32 bits, and then the numbers, big-endian.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tui_trainer.data.files.content import Content
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.stored_arrays import MOST_AXES, StoredArray, beginning, check_size
from tui_trainer.text.errors import BadInput

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_idx(content: Content) -> bool:
    """Whether a content begins as an IDX file does."""
    magic = beginning(content, 4)
    return (
        len(magic) == 4
        and magic[:2] == b"\0\0"
        and magic[2] in _TYPES
        and 0 < magic[3] <= MOST_AXES
    )


def idx_size(file: DataFile) -> int:
    """Return the bytes that an IDX file has by its beginning; BadInput as `read_idx`."""
    shape, dtype, begin = _header(file)
    return begin + math.prod(shape) * dtype.itemsize


def read_idx(file: DataFile, name: str, path: str) -> StoredArray:
    """Return the array of an IDX file; BadInput if its header or its size is wrong."""
    shape, dtype, begin = _header(file)
    check_size(file.name, len(file.content), begin, math.prod(shape) * dtype.itemsize)
    return StoredArray(name, file, shape, dtype, begin, path=path if file.is_raw else "")


def _header(file: DataFile) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and the type, and the byte in which the numbers begin."""
    if not is_idx(file.content):
        magic = beginning(file.content, 4).hex(" ") or "nothing"
        raise BadInput(
            f"{file.name}: begins with {magic}, which is not the header of an IDX file (00 00, a "
            "type and the number of axes); download it again"
        )
    head = beginning(file.content, 4)
    sizes = beginning(file.content, 4 + 4 * head[3])[4:]
    if len(sizes) < 4 * head[3]:
        raise BadInput(f"{file.name}: is cut short: it ends within its header; copy it again")
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    dtype = np.dtype(_TYPES[head[2]])
    begin = 4 + len(sizes)
    return shape, dtype, begin
