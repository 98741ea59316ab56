"""Reads the headers of `.npy` and `.npz` files.

Layer: data. Headers are read by numpy, which evaluates literals only. The sizes in them are held
against those of the file before anything is unpacked.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from functools import partial
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from tui_trainer.data.files.content import open_stream
from tui_trainer.data.files.disk import MAX_BYTES, DataFile
from tui_trainer.data.files.stored_arrays import (
    NotNumbers,
    StoredArray,
    beginning,
    check_form,
    check_size,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text

NPY = b"\x93NUMPY"
ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
_MOST_HEADER_BYTES = 1 << 16
_MOST_MEMBERS = 1000
_LOCAL_HEADER_BYTES = 30
_IS_ENCRYPTED = 1
_DAMAGES = (
    *(OSError, ValueError, EOFError, TypeError, SyntaxError, RecursionError, MemoryError),
    *(zlib.error, zipfile.BadZipFile, NotImplementedError, KeyError, OverflowError),
    *(TokenError, struct.error, IndexError, AttributeError, AssertionError),
)
"""Are raised by numpy and zipfile for bytes that are not what they should be."""


def read_npy(file: DataFile, name: str, path: str) -> StoredArray:
    """Return the array of a `.npy` file; BadInput if its header or its size is wrong."""
    header = io.BytesIO(beginning(file.content, _MOST_HEADER_BYTES))
    shape, is_fortran, dtype = _header(file.name, header)
    check_form(file.name, shape, dtype)
    begin = header.tell()
    check_size(file.name, len(file.content), begin, math.prod(shape) * dtype.itemsize)
    return StoredArray(name, file, shape, dtype, begin, is_fortran, path if file.is_raw else "")


def npy_size(file: DataFile) -> int:
    """Return the bytes that a `.npy` file has by its beginning; BadInput as `read_npy`."""
    header = io.BytesIO(file.content[:])
    shape, _, dtype = _header(file.name, header)
    check_form(file.name, shape, dtype)
    return header.tell() + math.prod(shape) * dtype.itemsize


def _header(shown: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, order and type, with the stream where the numbers begin."""
    try:
        version = npy_format.read_magic(stream)
        with warnings.catch_warnings():
            # It may be of Python 2, which is no concern of the user's.
            warnings.simplefilter("ignore")
            if version == (1, 0):
                return npy_format.read_array_header_1_0(stream)
            if version == (2, 0):
                return npy_format.read_array_header_2_0(stream)
    except _DAMAGES as error:
        reason = clean(str(error).partition("\n")[0], 120)
        raise BadInput(f"{shown}: is damaged, or not a .npy file ({reason})") from error
    raise BadInput(
        f"{shown}: is of version {version[0]}.{version[1]} of the format, which holds no plain "
        "numbers; save it again with numpy.save"
    )


def read_npz(file: DataFile, path: str) -> tuple[list[StoredArray], dict[str, str]]:
    """Return the arrays of a `.npz` file, and by name why others are not read.

    Raises:
        BadInput: it is damaged, has no arrays of numbers, or is larger unpacked than may be held.
    """
    arrays: list[StoredArray] = []
    refused: dict[str, str] = {}
    try:
        with zipfile.ZipFile(open_stream(file.content)) as archive:
            members = archive.infolist()
            _check_members(file, members)
            for member in members:
                if not member.filename.endswith(".npy"):
                    continue
                try:
                    arrays.append(_member(file, archive, member, path))
                except NotNumbers as error:
                    refused[member.filename.removesuffix(".npy")] = str(error)
    except _DAMAGES as error:
        reason = clean(str(error), 120)
        raise BadInput(f"{file.name}: is damaged or cut short ({reason}); copy it again") from error
    if refused and not arrays:
        raise NotNumbers(next(iter(refused.values())))
    if not arrays:
        raise BadInput(f"{file.name}: has no arrays; np.savez('data.npz', x=x, y=y) writes them")
    return arrays, refused


def _check_members(file: DataFile, members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if any(name.endswith("data.pkl") for name in names):
        raise BadInput(
            f"{file.name}: was written by torch.save, as a pickle; save its tensors as arrays: "
            "np.savez('data.npz', x=x.numpy(), y=y.numpy())"
        )
    if len(members) > _MOST_MEMBERS:
        raise BadInput(f"{file.name}: {len(members):,} members; at most {_MOST_MEMBERS:,} are read")
    if len({*names}) < len(names):
        raise BadInput(f"{file.name}: has two arrays with the same name; save it again")
    packed = sum(member.file_size for member in members if member.compress_type)
    if packed > MAX_BYTES:
        raise BadInput(
            f"{file.name}: {size_text(packed)} unpacked, more than the {size_text(MAX_BYTES)} that "
            "may be held in memory; save the arrays as .npy, which are mapped"
        )


def _member(
    file: DataFile, archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str
) -> StoredArray:
    name = member.filename.removesuffix(".npy")
    shown = f"{file.name}: {clean(name, 80)}"
    if member.flag_bits & _IS_ENCRYPTED:
        raise BadInput(f"{shown}: is encrypted; unpack it first")
    with archive.open(member) as stream:
        head = io.BytesIO(stream.read(_MOST_HEADER_BYTES))
    shape, is_fortran, dtype = _header(shown, head)
    check_form(shown, shape, dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    check_size(shown, member.file_size, head.tell(), nbytes)
    if member.compress_type == zipfile.ZIP_STORED and file.is_raw:
        begin = _begin(file, member) + head.tell()
        if begin + nbytes > len(file.content):
            raise zipfile.BadZipFile("a member ends after the file")
        return StoredArray(name, file, shape, dtype, begin, is_fortran, path)
    unpack = partial(_unpacked, file, member.filename, head.tell(), nbytes)
    return StoredArray(name, file, shape, dtype, is_fortran=is_fortran, unpack=unpack)


def _begin(file: DataFile, member: zipfile.ZipInfo) -> int:
    """Return the byte in which a stored member begins, by the header in front of it."""
    start = member.header_offset
    local = file.content[start : start + _LOCAL_HEADER_BYTES]
    if len(local) < _LOCAL_HEADER_BYTES or not local.startswith(ZIP):
        raise zipfile.BadZipFile("a member has no header")
    sizes = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    return start + _LOCAL_HEADER_BYTES + sizes


def _unpacked(file: DataFile, member: str, begin: int, nbytes: int) -> bytes:
    """Return the numbers of a packed member, no more than its header says."""
    try:
        with (
            zipfile.ZipFile(open_stream(file.content)) as archive,
            archive.open(member) as stream,
        ):
            stream.read(begin)
            numbers = stream.read(nbytes)
            # The sum of the member is checked at its end.
            more = stream.read(1)
    except _DAMAGES as error:
        reason = clean(str(error), 120)
        raise BadInput(f"{file.name}: is damaged or cut short ({reason}); copy it again") from error
    if len(numbers) < nbytes or more:
        raise BadInput(f"{file.name}: {clean(member, 80)} is not as long as its header says")
    return numbers
