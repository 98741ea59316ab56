"""`load_archive`: the one place that unpickles a file, once it is known to be as large as it looks.

Layer: training. torch stores every tensor as it is, in a zip archive that it never compresses. So
an archive whose entries hold more than the file does was made to fill the memory, and it is refused
by its directory alone. That is read here, as strictly as torch ever writes it: a lenient reader may
find another directory in the same file than torch does. Nothing in the file is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

import torch

_PIECE_BYTES = 2**20
MOST_ENTRIES = 2**20
"""Of an archive; there is one for each tensor, and a few more."""

_END = Struct("<4s4H2LH")
_LOCATOR = Struct("<4sLQL")
_WIDE_END = Struct("<4sQ2H2L4Q")
_ENTRY = Struct("<4s6HL2L5H2L")
_LOCAL = Struct("<4s5HL2L2H")
_WIDE = 0xFFFFFFFF
"""A 32-bit number that stands for one in the extra field."""


class ArchiveRefused(Exception):
    """The file unpacks to more than it is; the message says how and what to do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; refused before anything of it is unpacked")


class _Entry(NamedTuple):
    name: bytes
    is_stored: bool
    packed: int
    size: int
    offset: int


def load_archive(file: BinaryIO) -> Any:
    """Tensors and plain data of an open file that `torch.save` wrote, on the CPU.

    Raises:
        ArchiveRefused: it would take more memory than it is long.
        OSError: it cannot be read.
        Exception: of any kind there is, where it holds something else or is damaged.
    """
    file.seek(0)
    _check(file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def _check(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if file.read(4) != b"PK\3\4":
        # A pickle, with the tensors behind it as they are.
        _check_pickle(file, 0, size)
        return
    entries = list(_entries(file, size))
    for entry in entries:
        if not entry.is_stored or entry.packed != entry.size:
            raise ArchiveRefused("it is a compressed archive, which torch never writes")
    held = sum(_LOCAL.size + len(entry.name) + entry.size for entry in entries)
    if held > size:
        raise ArchiveRefused(f"its entries hold {held:,} bytes and the file {size:,}")
    for entry in entries:
        if entry.name.lower().endswith(b"data.pkl"):
            file.seek(entry.offset)
            names = _LOCAL.unpack(_read(file, _LOCAL.size))[-2:]
            _check_pickle(file, entry.offset + _LOCAL.size + sum(names), entry.size)


def _check_pickle(file: BinaryIO, start: int, size: int) -> None:
    """Refuse the one thing that a few bytes make as large as they say: bytearray(NUMBER)."""
    file.seek(start)
    before = b""
    while piece := file.read(min(size, _PIECE_BYTES)):
        if b"bytearray\n" in before + piece:
            raise ArchiveRefused("it holds a bytearray, which could be of any size")
        before = piece[-len(b"bytearray") :]
        size -= len(piece)


def _entries(file: BinaryIO, size: int) -> Iterator[_Entry]:
    """The directory of an archive that ends with it, as it is written by torch.

    Raises:
        ValueError: it is no such archive.
    """
    end = size - _END.size
    file.seek(max(end - _LOCATOR.size - _WIDE_END.size, 0))
    tail = file.read()
    if len(tail) < _END.size:
        raise ValueError("cut short")
    sign, _, _, _, count, length, start, comment = _END.unpack(tail[-_END.size :])
    if sign != b"PK\5\6" or comment:
        raise ValueError("no end of an archive")
    if tail[-_END.size - _LOCATOR.size :].startswith(b"PK\6\7"):
        end -= _LOCATOR.size + _WIDE_END.size
        sign, _, _, _, _, _, _, count, length, start = _WIDE_END.unpack(tail[: _WIDE_END.size])
        _, _, at, _ = _LOCATOR.unpack(tail[_WIDE_END.size : -_END.size])
        if sign != b"PK\6\6" or at != end:
            raise ValueError("no end of a large archive")
    if start + length != end or count > MOST_ENTRIES:
        raise ValueError("the directory is not where it should be, or too long")
    file.seek(start)
    for _ in range(count):
        fields = _ENTRY.unpack(_read(file, _ENTRY.size))
        sign, method, packed, unpacked = fields[0], fields[4], fields[8], fields[9]
        name, extra, note, offset = *fields[10:13], fields[16]
        if sign != b"PK\1\2":
            raise ValueError("no entry")
        called = _read(file, name)
        sizes = _widened(_read(file, extra), unpacked, packed, offset)
        _read(file, note)
        yield _Entry(called, method == 0, sizes[1], sizes[0], sizes[2])
    if file.tell() != end:
        raise ValueError("more than the entries")


def _widened(extra: bytes, *numbers: int) -> list[int]:
    """The numbers, those of more than 32 bits out of the extra field."""
    if _WIDE not in numbers:
        return list(numbers)
    place = 0
    while place + 4 <= len(extra):
        kind, length = (int.from_bytes(extra[at : at + 2], "little") for at in (place, place + 2))
        field = extra[place + 4 : place + 4 + length]
        if kind == 1:
            return list(_from_field(field, numbers))
        place += 4 + length
    raise ValueError("no sizes")


def _from_field(field: bytes, numbers: tuple[int, ...]) -> Iterator[int]:
    place = 0
    for number in numbers:
        if number == _WIDE:
            if len(field) < place + 8:
                raise ValueError("no sizes")
            yield int.from_bytes(field[place : place + 8], "little")
            place += 8
        else:
            yield number


def _read(file: BinaryIO, count: int) -> bytes:
    read = file.read(count)
    if len(read) < count:
        raise ValueError("cut short")
    return read
