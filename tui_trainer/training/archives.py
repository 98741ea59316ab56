"""`load_archive`: the only place that unpickles a file, after checking how large it can become.

Layer: training. torch stores tensors uncompressed in a zip archive. An archive whose entries hold
more bytes than the file was made to fill the memory, and its directory alone is enough to refuse
it. The directory is parsed here and accepted only in the form that torch writes: a lenient parser
might find another directory in the same file than torch does. No code in the file is run.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from struct import Struct
from typing import Any, BinaryIO, NamedTuple

import torch

_PIECE_BYTES = 2**20
MOST_ENTRIES = 2**20
"""The largest number of entries in an archive; there is one per tensor, and a few more."""

_END = Struct("<4s4H2LH")
_LOCATOR = Struct("<4sLQL")
_WIDE_END = Struct("<4sQ2H2L4Q")
_ENTRY = Struct("<4s6HL2L5H2L")
_LOCAL = Struct("<4s5HL2L2H")
_WIDE = 0xFFFFFFFF
"""Stands in a 32-bit field if the number needs 64 bits, and is in the extra field (ZIP64)."""


class ArchiveRefused(Exception):
    """Raised when a file could unpack to more than its own size; the message says how."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; refused before any of it was unpacked")


class _Entry(NamedTuple):
    name: bytes
    is_stored: bool
    packed: int
    size: int
    offset: int


def load_archive(file: BinaryIO) -> Any:
    """Load tensors and plain data from an open file that `torch.save` wrote, onto the CPU.

    Raises:
        ArchiveRefused: the content could take more memory than the file is long.
        OSError: the file cannot be read.
        Exception: of any type; the file is damaged, or holds something else.
    """
    file.seek(0)
    _check(file)
    file.seek(0)
    return torch.load(file, map_location="cpu", weights_only=True)


def _check(file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if file.read(4) != b"PK\3\4":
        # The old format of torch: a pickle, followed by the tensors uncompressed.
        _check_pickle(file, 0, size)
        return
    entries = list(_entries(file, size))
    for entry in entries:
        if not entry.is_stored or entry.packed != entry.size:
            raise ArchiveRefused("it is a compressed archive, which torch never writes")
    # Entries can overlap, and so unpack to many times the bytes that they share.
    held = sum(_LOCAL.size + len(entry.name) + entry.size for entry in entries)
    if held > size:
        raise ArchiveRefused(f"its entries hold {held:,} bytes and the file {size:,}")
    for entry in entries:
        if entry.name.lower().endswith(b"data.pkl"):
            file.seek(entry.offset)
            # The name and the extra field before the content may have another length here.
            names = _LOCAL.unpack(_read(file, _LOCAL.size))[-2:]
            _check_pickle(file, entry.offset + _LOCAL.size + sum(names), entry.size)


def _check_pickle(file: BinaryIO, start: int, size: int) -> None:
    """Refuse bytearray(NUMBER), the only call with which a few bytes can ask for any size."""
    file.seek(start)
    # The end of the previous piece is searched again, because the word may span two pieces.
    before = b""
    while piece := file.read(min(size, _PIECE_BYTES)):
        if b"bytearray\n" in before + piece:
            raise ArchiveRefused("it holds a bytearray, which could be of any size")
        before = piece[-len(b"bytearray") :]
        size -= len(piece)


def _entries(file: BinaryIO, size: int) -> Iterator[_Entry]:
    """Yield the entries of the directory, which must end the file in the form that torch writes.

    Raises:
        ValueError: the file is no such archive.
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
    """Return the numbers, with those of more than 32 bits taken from the extra field."""
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
