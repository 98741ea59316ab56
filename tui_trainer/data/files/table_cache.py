"""Tables that were read from large files, kept as plain arrays in the cache.

Layer: data. A file has a header in JSON and then arrays as they are in memory; every length is held
against the size of the file before anything is read, and every array against its sum. What does not
fit in any way is as good as not there.
"""

from __future__ import annotations

import json
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tui_trainer import __version__
from tui_trainer.data.files.cache_store import (
    MOST_BYTES,
    TABLE,
    CacheFolder,
    FileState,
    KnownSum,
    keep_sum,
    key_of,
    make_room,
    open_cache,
    open_entry,
    reason,
    write_entry,
)
from tui_trainer.data.files.columns import Column, NumberColumn, RequestedKind, Table, TextColumn
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.number_forms import FORMS, NumberForm

FORMAT = 3
"""Raised with every change of what is read from a file, or how it is kept."""
_MAGIC = b"tui-trainer table\n"
_MOST_HEADER_BYTES = 64 << 20
_ALIGNMENT = 64
_SUM_THREADS = 2
"""More would wait for the memory."""
_NOT_A_TABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, AttributeError),
    *(OverflowError, RecursionError, MemoryError),
)


@dataclass(frozen=True, slots=True)
class TableKey:
    """The file that a table in the cache was read from, and the settings it was read with."""

    state: FileState
    settings: str

    @property
    def name(self) -> str:
        return f"{self.state.key}-{self.settings}{TABLE}"


def key_for(
    file: DataFile,
    header: Sequence[str],
    requested: Mapping[str, RequestedKind],
    classes: str,
    forms: Mapping[str, NumberForm],
) -> TableKey | None:
    """Return the key of a table; None if it is not kept."""
    if file.state is None or not file.state.is_cached:
        return None
    style = {**asdict(file.style), "marks": file.style.marks and sorted(file.style.marks)}
    written = {name: form.name for name, form in forms.items()}
    how = [FORMAT, __version__, style, [*header], [*requested.items()], classes, written]
    return TableKey(file.state, key_of(how))


def load_table(key: TableKey) -> Table | None:
    """Return a table out of the cache; None if it is not there, or is damaged."""
    try:
        with open_cache() as folder, open_entry(folder, key.name) as file:
            return _read(file)
    except _NOT_A_TABLE:
        return None


def keep_table(key: TableKey, file: DataFile, table: Table) -> list[str]:
    """Keep a table, and the sum of its file; return a note if that fails."""
    try:
        with open_cache(writing=True) as folder:
            parts = [*_parts(key, table)]
            size = sum(len(part) for part in parts)
            disk = os.statvfs(folder.descriptor)
            if size > min(MOST_BYTES, disk.f_bavail * disk.f_frsize) // 2:
                return []
            make_room(folder, size)
            write_entry(folder, key.name, parts)
            is_text = file.is_raw and file.style.format != "parquet"
            keep_sum(folder, key.state, KnownSum(file.sha256, is_text))
    except OSError as error:
        return [f"the table cannot be kept in the cache: {reason(error)}"]
    return []


def path_of(folder: CacheFolder, name: str) -> str:
    """Return the path of the data file of a table in the cache; empty if the table is damaged."""
    try:
        with folder.reader(name) as file:
            return str(_header(file)["path"])
    except _NOT_A_TABLE:
        return ""


def _parts(key: TableKey, table: Table) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a table: its header, then its arrays, each at an aligned place."""
    arrays: list[memoryview] = []
    columns: list[dict[str, Any]] = []
    for name, column in table.columns.items():
        if isinstance(column, NumberColumn):
            columns.append({"name": name, "form": column.form})
            arrays.append(_bytes_of(column.values, "<f8"))
        else:
            columns.append({"name": name, "texts": len(column.texts)})
            arrays.append(_bytes_of(column.codes, "<i4"))
            arrays.append(memoryview(json.dumps(column.texts).encode()))
    first = int(table.lines[0])
    is_counted = bool((np.diff(table.lines) == 1).all())
    if not is_counted:
        arrays.append(_bytes_of(table.lines, "<i8"))
    header = {
        "path": key.state.path,
        "rows": len(table.lines),
        "first_line": first if is_counted else None,
        "columns": columns,
        "notes": [*table.notes],
        "arrays": [[len(array), zlib.crc32(array)] for array in arrays],
    }
    text = json.dumps(header).encode()
    place = len(_MAGIC) + 12 + len(text)
    yield _MAGIC + len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little") + text
    for array in arrays:
        yield bytes(-place % _ALIGNMENT)
        yield array
        place += -place % _ALIGNMENT + len(array)


def _bytes_of(values: NDArray[Any], kind: str) -> memoryview:
    return np.ascontiguousarray(values.astype(kind, copy=False)).data.cast("B")


def _header(file: BufferedReader) -> dict[str, Any]:
    size = os.fstat(file.fileno()).st_size
    if file.read(len(_MAGIC)) != _MAGIC:
        raise ValueError("another file")
    length, total = (int.from_bytes(file.read(count), "little") for count in (8, 4))
    if length > min(_MOST_HEADER_BYTES, size):
        raise ValueError("a header that is too long")
    text = file.read(length)
    if len(text) != length or zlib.crc32(text) != total:
        raise ValueError("a damaged header")
    header: dict[str, Any] = json.loads(text)
    return header


class _Arrays:
    """Reads the arrays of a file, one after another, and checks each."""

    def __init__(
        self, file: BufferedReader, known: list[list[int]], threads: ThreadPoolExecutor
    ) -> None:
        # A file of the cache is never written to again, and what is changed in memory stays there.
        self._memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._known = known
        self._threads = threads
        self._sums: list[Future[int]] = []
        self._next = 0
        self._place = file.tell()

    def next(self, kind: str, count: int) -> NDArray[Any]:
        """Return the next array, of `count` values; whether it is damaged is known at the end."""
        length, _ = self._known[self._next]
        self._next += 1
        start = self._place + -self._place % _ALIGNMENT
        size = np.dtype(kind).itemsize
        if count < 0 or length != count * size or start + length > len(self._memory):
            raise ValueError("an array of another length")
        self._place = start + length
        values = np.frombuffer(self._memory, kind, count, start)
        self._sums.append(self._threads.submit(zlib.crc32, values.data))
        return values

    def next_texts(self, count: int) -> tuple[str, ...]:
        """Return the next array, which is a list of texts."""
        length = self._known[self._next][0]
        texts = json.loads(self.next("u1", length).tobytes())
        if len(texts) != count or not all(isinstance(text, str) for text in texts):
            raise ValueError("no texts")
        return tuple(texts)

    def end(self) -> None:
        """Raise ValueError unless all arrays were read, and none is damaged."""
        for (_, total), computed in zip(self._known, self._sums, strict=True):
            if computed.result() != total:
                raise ValueError("a damaged array")
        if self._place != len(self._memory):
            raise ValueError("more than a table")


def _read(file: BufferedReader) -> Table:
    """Read a table; any of several errors if the file is not one."""
    header = _header(file)
    with ThreadPoolExecutor(_SUM_THREADS, thread_name_prefix="cache") as pool:
        return _read_arrays(header, _Arrays(file, header["arrays"], pool))


def _read_arrays(header: dict[str, Any], arrays: _Arrays) -> Table:
    rows, first = header["rows"], header["first_line"]
    columns: dict[str, Column] = {}
    for column in header["columns"]:
        if "form" in column:
            form = column["form"]
            if form and form not in FORMS:
                raise ValueError("an unknown form of numbers")
            columns[column["name"]] = NumberColumn(arrays.next("<f8", rows), form)
            continue
        codes = arrays.next("<i4", rows).astype(np.int64)
        texts = arrays.next_texts(column["texts"])
        if len(codes) and not -1 <= codes.min() <= codes.max() < len(texts):
            raise ValueError("codes without texts")
        columns[column["name"]] = TextColumn(codes, texts)
    lines = arrays.next("<i8", rows) if first is None else np.arange(first, first + rows)
    arrays.end()
    return Table(columns, lines, tuple(header["notes"]))
