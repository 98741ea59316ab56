"""Reads CSV text as records with line numbers; refuses, by line, all but clean CSV in UTF-8.

Layer: data. A record is reported by the line it begins in: a quoted field may contain line breaks,
so lines are not records.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from unicodedata import normalize

from tui_trainer.data.files.cell_values import to_number
from tui_trainer.data.files.content import PIECE_BYTES, Content, decoded_lines, pieces
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.formats import refuse_binary
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

CHUNK_ROWS = 4096

_NOT_WINDOWS = bytes(byte for byte in range(256) if not 0x80 <= byte <= 0x9F)
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class LineChunk:
    """Consecutive records of equal width, and the lines they begin in (from 1)."""

    lines: list[int]
    records: list[list[str]]


def check_text(file: DataFile) -> None:
    """Raise BadInput unless the content is non-empty UTF-8 text without NUL."""
    refuse_binary(file)
    content = file.content
    if content[:2] in _UTF16_BOMS:
        raise BadInput(f"{file.name}: is UTF-16; save it as UTF-8")
    is_blank, invalid = True, -1
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start, piece in _placed_pieces(content):
        is_blank = is_blank and (not piece or piece.isspace())
        if (zero := piece.find(b"\0")) >= 0:
            line = line_at(content, start + zero)
            # In UTF-16 every other byte of plain text is zero.
            wide = "utf-16-le" if zero % 2 else "utf-16-be"
            zeros, others = (
                piece[zero % 2 : 200 : 2].count(0),
                piece[1 - zero % 2 : 200 : 2].count(0),
            )
            is_wide = zeros > len(piece[:200]) // 4 > 2 * others
            hint = f"dataset.encoding={wide} reads UTF-16" if is_wide else "is this a CSV file?"
            raise BadInput(f"{file.name}:{line}: a NUL character; {hint}")
        cut, _ = decoder.getstate()
        if invalid >= 0 or (not cut and piece.isascii()):
            continue
        try:
            decoder.decode(piece, final=start + len(piece) == len(content))
        except UnicodeDecodeError as error:
            # A NUL in what follows says more about the file.
            invalid = start - len(cut) + error.start
    if is_blank:
        raise BadInput(f"{file.name}: the file is empty")
    if invalid >= 0:
        byte = content[invalid : invalid + 1]
        label, codec = _likely_encoding(content)
        guess = clean(byte.decode(codec, "replace"))
        raise BadInput(
            f"{file.name}:{line_at(content, invalid)}: byte 0x{byte[0]:02x} is not UTF-8 (in "
            f"{label} it is {guess!r}); set dataset.encoding={codec}, or what it is"
        )


def _likely_encoding(content: Content) -> tuple[str, str]:
    """Return the name of the encoding of Western Europe that a file may have, and its codec.

    In Windows-1252, unlike in Latin-1, the bytes from 0x80 to 0x9f are characters such as the sign
    of the euro; control characters are in no table.
    """
    is_windows = any(piece.translate(None, _NOT_WINDOWS) for piece in pieces(content))
    return ("Windows-1252", "cp1252") if is_windows else ("Latin-1", "latin-1")


def _placed_pieces(content: Content) -> Iterator[tuple[int, bytes]]:
    """Yield pieces with the place of their first byte; a mark of the byte order is in none."""
    place = len(_UTF8_BOM) if content[: len(_UTF8_BOM)] == _UTF8_BOM else 0
    while piece := content[place : place + PIECE_BYTES]:
        yield place, piece
        place += len(piece)


class Records:
    """The records of a file from a byte on, each with the line it begins in.

    Without a byte, from its beginning. Raises BadInput for what is not valid CSV.
    """

    def __init__(self, file: DataFile, at: int | None = None, line: int = 1) -> None:
        style = file.style
        if at is None:
            at, line = style.begin, style.begin_line
        if at == 0 and file.content[: len(_UTF8_BOM)] == _UTF8_BOM:
            at = len(_UTF8_BOM)
        self.end = at
        """The byte after the last record."""
        self.next_line = line
        """The line after it."""
        self._file = file
        self._at_start = True
        self._first_line, self._first_byte = line, at
        self._reader = csv.reader(
            self._lines(),
            strict=True,
            delimiter=style.separator,
            skipinitialspace=style.skips_space,
        )

    def _lines(self) -> Iterator[str]:
        comment = self._file.style.comment
        for text in decoded_lines(self._file.content, self.end):
            is_comment = bool(comment) and self._at_start and text.startswith(comment)
            if self._at_start and not is_comment:
                self._first_line, self._first_byte = self.next_line, self.end
                self._at_start = False
            self.end += len(text) if text.isascii() else len(text.encode())
            self.next_line += 1
            if not is_comment:
                yield text

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        is_normalised = self._file.style.is_normalised
        while True:
            self._at_start = True
            try:
                record = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self._error(str(error)) from error
            yield self._first_line, _normalised(record) if is_normalised else record

    def _error(self, reason: str) -> BadInput:
        name, line = self._file.name, self._first_line
        if reason == "unexpected end of data":
            line += self._lines_to_open_quote()
            return BadInput(f"{name}:{line}: a quote opens here and never closes")
        if reason.startswith("field larger than"):
            return BadInput(
                f"{name}:{line}: a field of more than {csv.field_size_limit() // 1024} kB; "
                "does a quote open there that never closes?"
            )
        return BadInput(f"{name}:{self.next_line - 1}: not valid CSV: {clean(reason, 200)}")

    def _lines_to_open_quote(self) -> int:
        """Return how many lines after the first of its record the last field of the file opens."""
        lines = list(decoded_lines(self._file.content, self._first_byte))
        # Without `strict`, the end of the text closes the field; its line breaks give its height.
        style = self._file.style
        reader = csv.reader(lines, delimiter=style.separator, skipinitialspace=style.skips_space)
        field = next(reader)[-1]
        breaks = field.replace("\r\n", "\n").replace("\r", "\n").count("\n")
        ended = lines[-1].endswith(("\n", "\r"))
        return len(lines) - 1 - breaks + int(ended)


def _normalised(record: list[str]) -> list[str]:
    return [text if text.isascii() else normalize("NFC", text) for text in record]


def read_header(file: DataFile) -> list[str]:
    """Return the fields of the first record, stripped of surrounding spaces."""
    for line, record in Records(file):
        header = [field.strip() for field in record]
        if header in ([], [""]):
            raise BadInput(f"{file.name}:{line}: an empty line; remove it")
        return header
    raise BadInput(f"{file.name}: the file is empty")


def read_chunks(
    file: DataFile, width: int, expectation: str, *, header: bool, with_progress: bool = False
) -> Iterator[LineChunk]:
    """Yield the records after the header, if there is one, a few thousand at a time.

    With progress, it says how far it has come.

    Raises:
        BadInput: as `checked_rows`.
    """
    records = Records(file)
    if header:
        next(iter(records), None)
    rows = checked_rows(records, file.name, width, expectation)
    shown = ReadProgress(file.name, len(file.content)) if with_progress else nullcontext()
    with shown as progress:
        while block := list(islice(rows, CHUNK_ROWS)):
            if progress is not None:
                progress.reach(records.end)
            yield LineChunk([line for line, _ in block], [record for _, record in block])


def checked_rows(
    records: Records, name: str, width: int, expectation: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield records of `width` fields, each with the line it begins in.

    `expectation` says why each record should have so many. Empty lines are allowed only at the end
    of the file.

    Raises:
        BadInput: a record of another width, or an empty line between records; names the line.
    """
    blank_line = 0
    for line, record in records:
        if not record:
            blank_line = blank_line or line
            continue
        if blank_line:
            raise BadInput(f"{name}:{blank_line}: an empty line; remove it")
        if len(record) != width:
            raise BadInput(f"{name}:{line}: {_counted(len(record), 'field')}, {expectation}")
        yield line, record


def line_at(content: Content, position: int) -> int:
    """Return the line, counted from 1, that contains the byte at `position`."""
    line, last = 1, b""
    for start in range(0, position, PIECE_BYTES):
        piece = content[start : min(start + PIECE_BYTES, position)]
        line += piece.count(b"\n") + piece.count(b"\r") - piece.count(b"\r\n")
        line -= int(last == b"\r" and piece[:1] == b"\n")
        last = piece[-1:]
    return line


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def check_header(file: DataFile, header: Sequence[str], *, may_be_numbers: bool = False) -> None:
    """Raise BadInput unless every column has a name, and no two have the same."""
    if not may_be_numbers and all(to_number(name) is not None for name in header):
        message = "a table needs a header with the names of its columns"
        raise BadInput(f"{_place_of_header(file)}: {message}")
    names: set[str] = set()
    for position, name in enumerate(header, 1):
        if not name:
            raise BadInput(
                f"{_place_of_header(file)}: column {position} has no name; give it one, and add it "
                "to dataset.drop if it only counts the rows"
            )
        if name in names:
            message = f"two columns are named '{clean(name, 80)}'; rename one"
            if file.style.format == "csv":
                message += ", or set dataset.header=no if the first row is none of names"
            raise BadInput(f"{_place_of_header(file)}: {message}")
        names.add(name)


def _place_of_header(file: DataFile) -> str:
    """Return the name of a file, and the line of its header if it is a text that has one."""
    if file.style.format != "csv":
        return file.name
    return f"{file.name}:{next((line for line, _ in Records(file)), 1)}"


def no_column(name: str, file: DataFile, header: Sequence[str]) -> str:
    """Return the message for a setting that names a column which does not exist."""
    columns = clean(", ".join(header[:20]), 400)
    message = f"no column '{clean(name, 80)}' in {file.name}"
    return f"{message}{clean(suggest(name, header))}; available: {columns}"
