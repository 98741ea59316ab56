"""`CsvReader`: the rows of a CSV file, by pyarrow where a block of it is plain, else carefully.

Layer: data. Arrow reads some text silently that is not valid CSV, and tells no lines. So it gets a
block only if everything in it is where RFC 4180 puts it, and whatever it refuses is read again from
the first byte of the block, by the reader that names the line.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.arrow import ArrowTexts, why_no_arrow
from tui_trainer.data.files.csv import CHUNK_ROWS, Records, checked_rows
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_rows import RecordRows, Rows

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 4 << 20
CAREFUL_BYTES = 64 << 10
"""What the careful reader reads at least where a block is not plain."""
LITTLE_BYTES = 256 << 10
"""Importing pyarrow takes longer than reading so much without it."""
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CsvReader:
    """Reads some columns of a CSV file, after its header."""

    file: DataFile
    header: Sequence[str]
    wanted: Collection[str]
    block_bytes: int = BLOCK_BYTES
    careful_bytes: int = CAREFUL_BYTES

    def rows(self) -> Iterator[Rows]:
        """Yield the rows, in whichever way is faster; the same either way.

        Raises:
            BadInput: something is not valid CSV, or a row has another width; names the line.
        """
        is_little = len(self.file.content) < LITTLE_BYTES
        return self.careful_rows() if is_little or why_no_arrow() else self.fast_rows()

    def careful_rows(self) -> Iterator[Rows]:
        """Yield the rows as the careful reader alone reads them."""
        records = self._after_header()
        yield from self._read(records, len(self.file.content) + 1)

    def fast_rows(self) -> Iterator[Rows]:
        """Yield the rows block by block, those of plain blocks by pyarrow."""
        total = len(self.file.content)
        records = self._after_header()
        at, line, size = records.end, records.next_line, self.block_bytes
        while at < total:
            block = _plain_block(self.file, self.file.content[at : at + size], at + size >= total)
            rows = None if block is None else self._parse(block, at, line)
            if block is not None and rows is not None:
                yield rows
                at, line = at + len(block.content), line + block.newlines
                size = min(size * 2, self.block_bytes)
            elif size > self.careful_bytes:
                size = max(size // 8, self.careful_bytes)
            else:
                records = Records(self.file, at, line)
                yield from self._read(records, at + self.careful_bytes)
                at, line = records.end, records.next_line

    def _after_header(self) -> Records:
        records = Records(self.file)
        if self.file.style.has_header:
            next(iter(records), None)
        return records

    def _read(self, records: Records, until: int) -> Iterator[Rows]:
        """Yield the rows up to the end of the record that reaches a byte."""
        row = "header" if self.file.style.has_header else "first row"
        expectation = f"but the {row} has {len(self.header)}"
        lines: list[int] = []
        cells: list[list[str]] = []
        for line, record in checked_rows(records, self.file.name, len(self.header), expectation):
            lines.append(line)
            cells.append(record)
            is_over = records.end >= until
            if is_over or len(lines) == CHUNK_ROWS:
                yield self._record_rows(lines, cells, records.end)
                lines, cells = [], []
            if is_over:
                return
        if lines:
            yield self._record_rows(lines, cells, records.end)

    def _record_rows(self, lines: list[int], cells: list[list[str]], end: int) -> RecordRows:
        columns = dict(zip(self.header, zip(*cells, strict=True), strict=True))
        return RecordRows(lines, columns, self.file, end / len(self.file.content))

    def _parse(self, block: _Block, at: int, line: int) -> ArrowTexts | None:
        """Return the rows of a block; None if pyarrow does not read what the block has."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        names = [str(position) for position in range(len(self.header))]
        wanted = [names[place] for place, name in enumerate(self.header) if name in self.wanted]
        # Without any, all would be converted.
        wanted = wanted or names[:1]
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(block.content),
                arrow_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block.content) + 1
                ),
                arrow_csv.ParseOptions(
                    delimiter=self.file.style.separator,
                    quote_char='"' if block.has_quotes else False,
                    newlines_in_values=block.has_quotes,
                    ignore_empty_lines=False,
                ),
                arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()),
                    include_columns=wanted,
                    strings_can_be_null=False,
                    check_utf8=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        if len(table) != len(block.starts):
            return None
        style = self.file.style
        return ArrowTexts(
            {self.header[int(name)]: _single_chunk(table.column(name)) for name in wanted},
            line + block.starts,
            marks=style.marks,
            is_normalised=style.is_normalised and not block.content.isascii(),
            share=(at + len(block.content)) / len(self.file.content),
        )


def _single_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole records of plain CSV."""

    content: bytes
    has_quotes: bool
    starts: Places
    """The line each record begins in, counted from 0."""
    newlines: int


def _plain_block(file: DataFile, content: bytes, is_last: bool) -> _Block | None:
    """Return as many whole records as there are in some bytes that begin one.

    Returns None if there is none, or if anything is not plain: a line break that is a lone carriage
    return, an empty line, a comment, a quote at any other place than RFC 4180 has it, a long field.
    """
    if b"\r" in content and content.count(b"\r") != content.count(b"\r\n"):
        # A last one may be half of a line break.
        if is_last or not content.endswith(b"\r"):
            return None
        return _plain_block(file, content[:-1], is_last)
    if content.startswith(codecs.BOM_UTF8):
        # Arrow would leave it out, and here it is a part of a text.
        return None
    comment = file.style.comment.encode()
    if comment and (content.startswith(comment) or b"\n" + comment in content):
        return None
    if b'"' in content:
        return _quoted_block(file, content, is_last)
    end = len(content) if is_last else content.rfind(b"\n") + 1
    content = content[:end]
    if not content or content.startswith((b"\n", b"\r\n")):
        return None
    breaks = np.flatnonzero(np.frombuffer(content, np.uint8) == _NEWLINE)
    lengths = np.diff(breaks, prepend=-1, append=len(content) - 1)
    if (lengths[:-1] == 1).any() or (b"\r" in content and b"\n\r\n" in content):
        return None
    if lengths.max() > csv.field_size_limit() and _has_long_field(content, file):
        return None
    rows = len(breaks) + int(not content.endswith(b"\n"))
    return _Block(content, has_quotes=False, starts=np.arange(rows), newlines=len(breaks))


def _has_long_field(content: bytes, file: DataFile) -> bool:
    """Whether a field without quotes is longer than `csv` allows."""
    signs = np.frombuffer(content, np.uint8)
    ends = np.flatnonzero((signs == _NEWLINE) | (signs == ord(file.style.separator)))
    return bool(np.diff(ends, prepend=-1, append=len(content)).max() > csv.field_size_limit())


def _quoted_block(file: DataFile, content: bytes, is_last: bool) -> _Block | None:
    signs = np.frombuffer(content, np.uint8)
    quotes, newlines = np.flatnonzero(signs == _QUOTE), np.flatnonzero(signs == _NEWLINE)
    # Whether a newline ends a record: as many quotes before it have opened as have closed.
    breaks = newlines[np.searchsorted(quotes, newlines) % 2 == 0]
    if not is_last:
        end = int(breaks[-1]) + 1 if len(breaks) else 0
        signs, content = signs[:end], content[:end]
        quotes, newlines = quotes[quotes < end], newlines[newlines < end]
    if not content or len(quotes) % 2 or not _are_in_place(signs, quotes, file):
        return None
    lengths = np.diff(breaks, prepend=-1, append=len(content) - 1)
    before = signs[np.maximum(breaks - 1, 0)]
    is_empty = (lengths[:-1] == 1) | ((lengths[:-1] == 2) & (before == _RETURN))
    if is_empty.any() or lengths.max() > csv.field_size_limit():
        return None
    starts = np.concatenate([[0], breaks + 1])
    starts = starts[starts < len(content)]
    lines = np.searchsorted(newlines, starts)
    return _Block(content, has_quotes=True, starts=lines, newlines=len(newlines))


def _are_in_place(signs: NDArray[np.uint8], quotes: Places, file: DataFile) -> bool:
    """Whether quotes stand around whole fields, and inside of them are doubled."""
    opening, closing = quotes[::2], quotes[1::2]
    is_doubled = np.zeros(len(opening) + 1, dtype=np.bool_)
    is_doubled[1:-1] = opening[1:] == closing[:-1] + 1
    separator = ord(file.style.separator)
    before = signs[opening - 1]
    is_open = (before == separator) | (before == _NEWLINE) | is_doubled[:-1] | (opening == 0)
    after = signs[np.minimum(closing + 1, len(signs) - 1)]
    is_closed = (after == separator) | (after == _NEWLINE) | (after == _RETURN) | is_doubled[1:]
    return bool((is_open & (is_closed | (closing == len(signs) - 1))).all())
