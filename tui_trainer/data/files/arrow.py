"""pyarrow: why it cannot be imported, and rows of which the cells are texts in its memory.

Layer: data. Its import takes a tenth of a second, and is made when a table that needs it is read.
What Arrow casts to a number is a part of what `to_numbers` reads as one, with the same bits, but
for `nan(1)`: so a result with NaN is not used, and all that Arrow refuses is read there.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cell_values import MISSING_NUMBERS
from tui_trainer.text.clean import clean

if TYPE_CHECKING:
    import pyarrow as pa

_Number = TypeVar("_Number", bound=np.generic)


@cache
def why_no_arrow() -> str:
    """Return why pyarrow cannot be imported, or an empty string."""
    try:
        import pyarrow.compute
        import pyarrow.csv  # noqa: F401
    except (ImportError, OSError) as error:
        return clean(str(error), 200) or type(error).__name__
    return ""


class ArrowTexts:
    """Rows of a table whose cells are texts in Arrow's memory; implements `Rows`."""

    def __init__(
        self,
        columns: dict[str, pa.Array],
        lines: NDArray[np.int64],
        *,
        marks: frozenset[str] | None,
        is_normalised: bool,
        share: float,
    ) -> None:
        self.lines = lines
        self.share = share
        self._columns = columns
        self._marks = marks
        self._is_normalised = is_normalised

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self._columns[name]
        if self._marks is None and (values := _cast(column)) is not None:
            return values
        trimmed = pc.ascii_trim_whitespace(column)
        if self._marks is None:
            is_mark = pc.is_in(pc.ascii_lower(trimmed), value_set=text_array(MISSING_NUMBERS))
        else:
            marks = [mark for mark in self._marks if mark.isascii()]
            is_mark = pc.is_in(trimmed, value_set=text_array(marks))
        return _cast(pc.if_else(is_mark, pa.nulls(1, pa.string())[0], trimmed))

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        encoded = self._columns[name].dictionary_encode()
        texts: list[str] = encoded.dictionary.to_pylist()
        codes = array_of(encoded.indices, np.int32).astype(np.int64)
        if self._is_normalised:
            texts = [text if text.isascii() else normalize("NFC", text) for text in texts]
        return texts, codes

    def text(self, name: str, row: int) -> str:
        text: str = self._columns[name][row].as_py()
        return normalize("NFC", text) if self._is_normalised else text

    def has_point(self, name: str) -> bool:
        column = self._columns[name]
        buffers: list[Any] = column.buffers()
        offsets = np.frombuffer(buffers[1], np.int32)[column.offset :][: len(column) + 1]
        if not len(column) or buffers[2] is None:
            return False
        return bool((np.frombuffer(buffers[2], np.uint8)[offsets[0] : offsets[-1]] == 46).any())


def text_array(texts: Collection[str]) -> pa.Array:
    """Return texts as an array.

    `pyarrow.array` and `pyarrow.scalar` import pandas first where that is installed, and so do
    functions that are given plain values.
    """
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(encoded))
    return pa.StringArray.from_buffers(len(encoded), *buffers)


def _cast(column: pa.Array) -> NDArray[np.float64] | None:
    """Return texts as numbers, NaN for none; None if one is no number, or may be none."""
    import pyarrow as pa

    try:
        numbers = column.cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    values = floats_of(numbers)
    return values if np.count_nonzero(np.isnan(values)) == numbers.null_count else None


def floats_of(column: pa.Array) -> NDArray[np.float64]:
    """Return the values of a column of float64, NaN for its gaps."""
    values = array_of(column, np.float64)
    if column.null_count:
        is_gap = array_of(column.is_null().cast("uint8"), np.uint8)
        values = np.where(is_gap, np.nan, values)
    return values


def array_of(column: pa.Array, kind: type[_Number]) -> NDArray[_Number]:
    """Return the values of a column, anything for its gaps; its type has to be this one.

    `to_numpy` would do so, too, and import pandas first where that is installed.
    """
    if not len(column):
        return np.empty(0, dtype=kind)
    buffer: Any = column.buffers()[1]
    return np.frombuffer(buffer, kind)[column.offset :][: len(column)]
