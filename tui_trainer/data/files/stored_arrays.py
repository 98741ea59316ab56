"""`StoredArray`: an array in a file, whose form is known before any of its numbers are read.

Layer: data. Numbers that are stored as torch takes them are mapped, so that they take no memory of
the process; all others are converted in memory, up to a limit. Nothing is ever unpickled.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.content import Content
from tui_trainer.data.files.disk import MAX_BYTES, DataFile, reason_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted, size_text

MOST_AXES = 8
_NUMBERS = frozenset("biuf")
_TEXTS = frozenset("US")
_WAYS_OUT = {
    "O": "holds Python objects, which could run code when they are read; save it as numbers: "
    "np.save('x.npy', np.array(x.tolist(), dtype='float32')), or as texts: dtype=str",
    "c": "holds complex numbers; save their real and imaginary parts as two channels",
    "M": "holds dates; save them as numbers: x.astype('datetime64[s]').astype('int64')",
    "m": "holds durations; save them as numbers: x.astype('timedelta64[s]').astype('int64')",
    "V": "holds records of several fields; save each field as an array of its own, or a CSV table",
}


class NotNumbers(BadInput):
    """An array holds neither numbers nor texts; it is never read."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """An array of numbers or texts in a file."""

    name: str
    """Of the array, as in the file, or of the file without its ending."""
    file: DataFile
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """As it is stored."""
    offset: int = 0
    """The byte of the content in which it begins; of no meaning if there is `unpack`."""
    is_fortran: bool = False
    """Whether the first axis changes fastest."""
    path: str = ""
    """The file that can be mapped; empty if its content is packed."""
    unpack: Callable[[], bytes | NDArray[Any]] | None = None
    """Returns its numbers, for an array that is packed."""
    more_files: tuple[DataFile, ...] = ()
    """The other files that it is in parts of."""

    def __post_init__(self) -> None:
        check_form(self.shown, self.shape, self.dtype)

    @property
    def shown(self) -> str:
        """The file and the array, for messages."""
        own = clean(self.name, 80)
        is_whole = own == os.path.basename(self.file.name).partition(".")[0]
        return self.file.name if is_whole else f"{self.file.name}: {own}"

    @property
    def form(self) -> str:
        """The shape and the type, as `(60000, 28, 28) uint8`."""
        shape = ", ".join(map(str, self.shape))
        kind = "text" if self.is_text else self.dtype.name
        return f"({shape}{',' * (len(self.shape) == 1)}) {kind}"

    @property
    def is_text(self) -> bool:
        return self.dtype.kind in _TEXTS

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_mapped(self) -> bool:
        """Whether its numbers are used where they are, without a copy in memory."""
        is_plain = self.dtype.isnative and not (self.is_fortran and len(self.shape) > 1)
        return bool(self.path) and self.unpack is None and is_plain

    @property
    def conversion(self) -> str:
        """Why its numbers are copied into memory; empty if they are mapped."""
        if self.is_mapped:
            return ""
        if self.unpack is not None or not self.path:
            return "packed"
        return "of another byte order" if not self.dtype.isnative else "in the order of Fortran"

    def values(self) -> NDArray[Any]:
        """Return the numbers, native and in C order; they may be written to without any effect.

        Raises:
            BadInput: they are too many to be converted in memory, or the file cannot be read.
        """
        if not self.is_mapped and self.nbytes > MAX_BYTES:
            raise BadInput(
                f"{self.shown}: {size_text(self.nbytes)} {self.conversion}, too much to convert in "
                f"memory (up to {size_text(MAX_BYTES)}); save it once as numpy.save writes it: "
                "np.save('x.npy', np.ascontiguousarray(x, dtype=x.dtype.newbyteorder('=')))"
            )
        if self.unpack is not None:
            return self._native(self.unpack())
        if not self.path:
            return self._native(self.file.content[self.offset : self.offset + self.nbytes])
        try:
            stored = np.memmap(self.path, self.dtype, "c", self.offset, self.shape, self._order)
            check_unchanged(self.file)
        except (OSError, ValueError) as error:
            raise BadInput(f"{self.file.name}: cannot be mapped: {reason_of(error)}") from error
        # numpy reads numbers at any place; a copy of few is cheaper than to rely on others.
        is_aligned = self.offset % self.dtype.itemsize == 0
        if self.is_mapped and (is_aligned or self.nbytes > MAX_BYTES // 16):
            return stored.view(np.ndarray)
        return self._native(stored)

    @property
    def _order(self) -> Any:
        return "F" if self.is_fortran else "C"

    def _native(self, numbers: bytes | NDArray[Any]) -> NDArray[Any]:
        is_ours = not isinstance(numbers, bytes | np.memmap)
        if isinstance(numbers, bytes):
            numbers = np.frombuffer(numbers, self.dtype).reshape(self.shape, order=self._order)
        native = self.dtype.newbyteorder("=")
        return np.array(numbers, dtype=native, order="C", copy=None if is_ours else True)


def check_form(shown: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise NotNumbers for an array of other things, and BadInput for an impossible shape."""
    if dtype.hasobject:
        raise NotNumbers(f"{shown}: {_WAYS_OUT['O']}")
    if dtype.kind not in _NUMBERS | _TEXTS:
        raise NotNumbers(f"{shown}: {_WAYS_OUT.get(dtype.kind, f'holds {dtype}, not numbers')}")
    if dtype.kind == "f" and dtype.itemsize > 8:
        raise NotNumbers(f"{shown}: holds {dtype.name}; save it as float64: x.astype('float64')")
    if len(shape) > MOST_AXES or any(size < 0 for size in shape):
        raise BadInput(f"{shown}: its shape is {clean(str(shape), 80)}; the file is damaged")


def check_size(shown: str, size: int, begin: int, nbytes: int) -> None:
    """Raise BadInput if the numbers do not end where the content does."""
    if begin + nbytes > size:
        raise BadInput(
            f"{shown}: is cut short: {size - begin:,} of {nbytes:,} bytes are there; copy it "
            "again, or wait until it is complete"
        )
    if begin + nbytes < size:
        more = counted(size - begin - nbytes, "byte")
        raise BadInput(
            f"{shown}: {more} more than its header says; if it has several arrays, save "
            "them as .npz: np.savez('data.npz', x=x, y=y)"
        )


def check_unchanged(file: DataFile) -> None:
    """Raise BadInput if a file on the disk is no more as it was when it was opened."""
    state = file.state
    if state is None:
        return
    try:
        facts = os.stat(state.path)
    except OSError as error:
        raise BadInput(f"{file.name}: is gone while it is used: {reason_of(error)}") from error
    if (facts.st_size, facts.st_mtime_ns) != (state.size, state.mtime_ns):
        raise BadInput(f"{file.name}: changed while it is used; wait until it is complete")


def beginning(content: Content, count: int) -> bytes:
    """Return up to so many bytes from the beginning."""
    return content[: min(count, len(content))]
