"""`plain_columns`: the columns of a Hugging Face data set as those of a plain table.

Layer: data. Numbers of a class become its name, and lists of one length a column for each number.
Only Arrow's memory is read: nothing is unpickled, and no code of a data set runs.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tui_trainer.data.files.arrow import text_array
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa

MOST_NUMBERS = 4096
"""The longest list that becomes columns."""
_KEY = b"huggingface"
_OTHER_KINDS = {"Image": "pictures", "Audio": "sounds", "Video": "videos", "Pdf": "documents"}


@dataclass(frozen=True, slots=True)
class Plain:
    """Columns of a plain table, and what was done to get them."""

    table: pa.Table
    notes: tuple[str, ...]
    unread: Mapping[str, str]
    """Columns left out, and what they have."""


def features_in(schema: pa.Schema) -> dict[str, Any]:
    """Return the features that the library wrote beside the types of a table; {} if there are none.

    Values that are no such features are ignored.
    """
    try:
        features = json.loads((schema.metadata or {})[_KEY])["info"]["features"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return {}
    return dict(features) if isinstance(features, dict) else {}


def plain_columns(
    table: pa.Table, features: Mapping[str, Any], name: str, dropped: Collection[str] = ()
) -> Plain:
    """Return a table of which every column is numbers or texts.

    Columns that are dropped are there without their values, whatever these are.

    Raises:
        BadInput: a class has a number that has no name, or a column is too wide.
    """
    import pyarrow as pa

    columns: dict[str, pa.ChunkedArray] = {}
    notes: list[str] = []
    unread: dict[str, str] = {}
    for column in table.schema.names:
        feature = features.get(column)
        kind = feature.get("_type", "") if isinstance(feature, dict) else ""
        values = stored_values(table.column(column))
        shown = clean(str(column), 80)
        if column in dropped:
            columns[column] = pa.chunked_array([pa.nulls(len(values))])
        elif kind == "ClassLabel" and names_of(feature):
            columns[column] = _classes(values, names_of(feature), shown, name)
        elif kind in _OTHER_KINDS:
            unread[column] = _OTHER_KINDS[kind]
        elif is_list(values.type):
            numbers = _numbers(values)
            if numbers is None:
                unread[column] = "lists of different lengths, or not of numbers"
                continue
            if numbers.shape[1] > MOST_NUMBERS:
                raise BadInput(
                    f"{name}: column '{shown}' has {numbers.shape[1]:,} numbers in each row, and "
                    f"at most {MOST_NUMBERS:,} become inputs; add it to dataset.drop"
                )
            last = numbers.shape[1] - 1
            notes.append(f"{shown}: lists of {last + 1} numbers, as columns {shown}_0 to _{last}")
            for place in range(last + 1):
                row = np.ascontiguousarray(numbers[:, place])
                columns[f"{column}_{place}"] = pa.chunked_array([_array(row)])
        elif pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
            unread[column] = f"values of the type {clean(str(values.type), 80)}"
        else:
            columns[column] = values
    return Plain(pa.table(columns), tuple(notes), unread)


def labels_missing(table: pa.Table, features: Mapping[str, Any]) -> str:
    """Return a column of classes in which no row has one, as -1 says; empty if there is none."""
    for name, feature in features.items():
        is_class = isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        if is_class and name in table.schema.names and len(table):
            codes = codes_of(stored_values(table.column(name)))
            if (codes < 0).all():
                return name
    return ""


def stored_values(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column without a type of the library's own."""
    import pyarrow as pa

    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in column.chunks]
        return pa.chunked_array(chunks, type=column.type.storage_type)
    return column


def names_of(feature: Any) -> list[str]:
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else []


def codes_of(values: pa.ChunkedArray) -> Any:
    """Return the numbers of classes, -1 where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.fill_null(values.cast(pa.int64()), _scalar(-1)).combine_chunks()
    return np.frombuffer(whole.buffers()[1], np.int64)[whole.offset :][: len(whole)]


def _scalar(number: int) -> Any:
    return _array(np.array([number]))[0]


def _array(values: Any) -> pa.Array:
    """Return numbers as an array; `pyarrow.array` would import pandas where that is installed."""
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _classes(
    values: pa.ChunkedArray, names: Sequence[str], column: str, file: str
) -> pa.ChunkedArray:
    import pyarrow as pa

    if not pa.types.is_integer(values.type):
        return values
    codes = codes_of(values)
    if len(codes) and codes.max() >= len(names):
        raise BadInput(f"{file}: column '{column}' has class {codes.max()} of {len(names)} classes")
    # Missing ones take the place behind the last name.
    places = np.where(codes < 0, len(names), codes).astype(np.int32)
    return pa.chunked_array([text_array([*names, ""]).take(_array(places))])


def is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _numbers(column: pa.ChunkedArray) -> Any:
    """Return lists of numbers, or lists of such lists, as a matrix; None if they are no such."""
    import pyarrow as pa

    rows = len(column)
    values = column.combine_chunks()
    if isinstance(values, pa.ChunkedArray):
        return None
    while is_list(values.type):
        if values.null_count:
            return None
        values = values.flatten()
    is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if not is_number or not rows or not len(values) or len(values) % rows:
        return None
    if not _are_of_one_length(column, len(values) // rows):
        return None
    numbers = values.cast(pa.float64(), safe=False)
    if numbers.null_count:
        return None
    flat = np.frombuffer(numbers.buffers()[1], np.float64)[numbers.offset :][: len(numbers)]
    return flat.reshape(rows, -1)


def _are_of_one_length(column: pa.ChunkedArray, length: int) -> bool:
    """Whether every row has so many numbers, however they are nested."""
    import pyarrow.compute as pc

    values: Any = column.combine_chunks()
    total = 1
    while is_list(values.type):
        lengths = pc.list_value_length(values)
        low, high = (pc.min_max(lengths)[key].as_py() for key in ("min", "max"))
        if low != high:
            return False
        total *= int(low)
        values = values.flatten()
    return total == length


def describe_unread(unread: Mapping[str, str]) -> Iterable[str]:
    """Yield a note for each column that is left out."""
    for name, reason in unread.items():
        yield f"column '{clean(name, 80)}' has {reason}, and is left out"
