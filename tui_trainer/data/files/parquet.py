"""`ParquetReader`: the rows of a Parquet file, one row group after another.

Layer: data. Numbers keep their values, and all else becomes the text that stands for it: `true` and
`false`, dates and times as in ISO 8601, and an empty text for null.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.arrow import ArrowTexts, array_of, floats_of, text_array, why_no_arrow
from tui_trainer.data.files.content import open_stream
from tui_trainer.data.files.disk import MAX_BYTES, DataFile
from tui_trainer.data.files.table_rows import EXACT, Rows
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.strict_json import Literal

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 1 << 16


def read_names(file: DataFile) -> list[str]:
    """Return the names of the columns, as they are in the file.

    Raises:
        BadInput: pyarrow is missing, or the file is no whole Parquet file.
    """
    names: list[str] = _open(file).schema_arrow.names
    return names


def text_names(file: DataFile, header: Sequence[str]) -> list[str]:
    """Return the names of the columns of texts; `header` has the names of all."""
    import pyarrow as pa

    kinds = _open(file).schema_arrow.types
    return [
        name
        for name, kind in zip(header, kinds, strict=True)
        if pa.types.is_string(kind) or pa.types.is_large_string(kind)
    ]


def _open(file: DataFile) -> Any:
    if why := why_no_arrow():
        raise BadInput(
            f"{file.name}: Parquet needs pyarrow, which cannot be imported ({why}); install it "
            "(pip install pyarrow), or write the table as CSV"
        )
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.ParquetFile(
            pa.PythonFile(open_stream(file.content), mode="r"), page_checksum_verification=True
        )
        # Names that are no text are found only now.
        list(table.schema_arrow.names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    return table


def _unreadable(file: DataFile, error: Exception) -> BadInput:
    reason = clean(str(error), 200)
    return BadInput(f"{file.name}: cannot be read as Parquet ({reason}); write it again")


@dataclass(frozen=True, slots=True)
class ParquetReader:
    """Reads some columns of a Parquet file; `header` has the names of all."""

    file: DataFile
    header: Sequence[str]
    wanted: Collection[str]

    def rows(self) -> Iterator[Rows]:
        """Yield the rows; their lines are their numbers, from 1.

        Raises:
            BadInput: a column that is wanted has a type without texts or numbers, the file is
                damaged, or the table is too large.
        """
        import pyarrow as pa

        table = _open(self.file)
        # A name in the file may be another form of Unicode, or have spaces around it.
        own_names = dict(zip(self.header, table.schema_arrow.names, strict=True))
        names = {own_names[name]: name for name in self.header if name in self.wanted}
        kinds = {own_name: table.schema_arrow.field(own_name).type for own_name in names}
        unread = {names[own_name]: kind for own_name, kind in kinds.items() if not _is_read(kind)}
        if unread and not self.file.style.keeps_literals:
            raise self._no_texts(*next(iter(unread.items())))
        count = table.metadata.num_rows
        if 8 * count * len(names) > MAX_BYTES:
            raise BadInput(
                f"{self.file.name}: {count:,} rows of {len(names)} columns are too much to hold in "
                "memory; write fewer of them"
            )
        row = 0
        try:
            for batch in table.iter_batches(BATCH_ROWS, columns=[*names], use_threads=False):
                columns = {names[own]: batch.column(own) for own in batch.schema.names}
                columns |= {name: _as_json(columns[name]) for name in unread}
                yield self._rows(columns, unread.keys(), row, count)
                row += len(batch)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(self.file, error) from error

    def _no_texts(self, name: str, kind: pa.DataType) -> BadInput:
        return BadInput(
            f"{self.file.name}: column '{clean(name, 80)}' has values of the type "
            f"{clean(str(kind), 80)}, which are neither numbers nor text; add it to dataset.drop"
        )

    def _rows(
        self, columns: dict[str, pa.Array], unread: AbstractSet[str], row: int, total: int
    ) -> TypedRows:
        import pyarrow as pa

        columns = {name: _decoded(column) for name, column in columns.items()}
        numbers = {
            name: column
            for name, column in columns.items()
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        }
        style = self.file.style
        literals = {name for name, column in columns.items() if _is_literal(column.type)} | unread
        count = len(next(iter(columns.values())))
        lines = np.arange(row + 1, row + count + 1)
        texts = ArrowTexts(
            {name: _texts(column) for name, column in columns.items() if name not in numbers},
            lines,
            marks=style.marks,
            is_normalised=style.is_normalised,
            share=(row + count) / total,
        )
        return TypedRows(self.file, lines, texts, numbers, literals)


def _is_read(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, or have a text."""
    import pyarrow as pa

    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    checks = (
        *(pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating),
        *(pa.types.is_decimal, pa.types.is_timestamp, pa.types.is_date, pa.types.is_time),
        *(pa.types.is_string, pa.types.is_large_string),
        # Older versions have none.
        getattr(pa.types, "is_string_view", pa.types.is_string),
    )
    return any(check(value) for check in checks)


def _is_literal(kind: pa.DataType) -> bool:
    """Whether values of a type are numbers, or true and false."""
    import pyarrow as pa

    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    return any(check(kind) for check in checks)


def _as_json(column: pa.Array) -> pa.Array:
    """Return values as texts in JSON, and those that JSON does not have as Python shows them."""
    values = column.to_pylist()
    return text_array(
        [
            "" if value is None else json.dumps(value, default=str, ensure_ascii=False)
            for value in values
        ]
    )


def _decoded(column: pa.Array) -> pa.Array:
    """Return a column without a dictionary, in a type that Arrow casts from."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    return column


def _texts(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    empty = text_array([""])[0]
    zone = empty
    if pa.types.is_timestamp(column.type):
        zone = text_array(["Z"])[0] if column.type.tz else empty
        column = _at_coarsest(column)
    texts = column.cast(pa.string())
    # Nothing else looks at what a text of the file has.
    texts.validate(full=True)
    if pa.types.is_timestamp(column.type):
        texts = pc.binary_join_element_wise(
            pc.replace_substring(texts, " ", "T"), zone, empty, null_handling="emit_null"
        )
    return pc.fill_null(texts, empty)


def _at_coarsest(column: pa.Array) -> pa.Array:
    """Return times, in UTC and without their zone, in the coarsest unit that has them exactly."""
    import pyarrow as pa

    for unit in ("s", "ms", "us"):
        try:
            return column.cast(pa.timestamp(unit, column.type.tz)).cast(pa.timestamp(unit))
        except pa.ArrowInvalid:
            continue
    return column.cast(pa.timestamp(column.type.unit))


class TypedRows:
    """Rows of which some columns are numbers by their type; implements `Rows`."""

    def __init__(
        self,
        file: DataFile,
        lines: NDArray[np.int64],
        texts: ArrowTexts,
        numbers: dict[str, pa.Array],
        literals: Collection[str],
    ) -> None:
        self.lines = lines
        self.share = texts.share
        self._file = file
        self._texts = texts
        self._numbers = numbers
        self._literals = literals if file.style.keeps_literals else ()

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        import pyarrow as pa

        column = self._numbers.get(name)
        if column is None:
            return self._texts.numbers(name)
        # Arrow refuses to cast whole numbers that may be rounded.
        values = floats_of(column.cast(pa.float64(), safe=False))
        if marks := self._file.style.marks:
            values = values.copy()
            texts, codes = self.distinct(name)
            values[np.array([text in marks for text in texts])[codes]] = np.nan
        return values

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        texts, codes = self._distinct(name)
        return [Literal(text) for text in texts] if name in self._literals else texts, codes

    def _distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        column = self._numbers.get(name)
        if column is None:
            return self._texts.distinct(name)
        encoded = column.dictionary_encode(null_encoding="encode")
        texts = [_number_text(value, column) for value in encoded.dictionary.to_pylist()]
        return texts, array_of(encoded.indices, np.int32).astype(np.int64)

    def text(self, name: str, row: int) -> str:
        column = self._numbers.get(name)
        if column is None:
            return self._texts.text(name, row)
        return _number_text(column[row].as_py(), column)

    def has_point(self, name: str) -> bool:
        return name not in self._numbers and self._texts.has_point(name)


def _number_text(value: int | float | None, column: pa.Array) -> str:
    """Return the shortest text of a number of a column; a whole one has no point."""
    if value is None or math.isnan(value):
        return ""
    if isinstance(value, int):
        return str(value)
    if value.is_integer() and abs(value) < EXACT:
        return str(int(value))
    return str(np.float32(value)) if str(column.type) == "float" else repr(value)
