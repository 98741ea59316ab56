"""Reads CSV text as records with line numbers; refuses, by line, all but clean CSV in UTF-8.

Layer: data. A record is reported by the line it begins in: a quoted field may contain line breaks,
so lines are not records. Python would read `1_000` and the digits of other scripts as numbers; here
they are text, so that nothing becomes a number by accident.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.number_forms import NumberForm
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

CHUNK_ROWS = 4096

_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records of equal width, and the lines they begin in (from 1)."""

    lines: list[int]
    records: list[list[str]]


def check_text(file: DataFile) -> None:
    """Raise BadInput unless the content is non-empty UTF-8 text without NUL."""
    content = file.content
    if content.startswith(_UTF16_BOMS):
        raise BadInput(f"{file.name}: is UTF-16; save it as UTF-8")
    text = content.removeprefix(_UTF8_BOM)
    if not text or text.isspace():
        raise BadInput(f"{file.name}: the file is empty")
    zero = content.find(b"\0")
    if zero >= 0:
        line = line_at(content, zero)
        raise BadInput(f"{file.name}:{line}: a NUL character; is this a CSV file?")
    if content.isascii():
        return
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = line_at(content, error.start)
        guess = content[error.start : error.start + 1].decode("latin-1")
        raise BadInput(
            f"{file.name}:{line}: byte 0x{content[error.start]:02x} is not UTF-8 (in Latin-1 it "
            f"is {clean(guess)!r}); set dataset.encoding=latin-1, or what it is"
        ) from error


def read_header(file: DataFile) -> list[str]:
    """Return the fields of the first record, stripped of surrounding spaces."""
    for _, record in _records(file):
        return [field.strip() for field in record]
    raise BadInput(f"{file.name}: the file is empty")


def read_chunks(file: DataFile, width: int, expectation: str, *, header: bool) -> Iterator[Chunk]:
    """Yield the records after the header, if there is one, a few thousand at a time.

    `expectation` says why each record should have `width` fields. Empty lines are allowed only at
    the end of the file.

    Raises:
        BadInput: a record of another width, or an empty line between records; names the line.
    """
    records = islice(_records(file), 1 if header else 0, None)
    blank_line = 0
    while block := list(islice(records, CHUNK_ROWS)):
        chunk = Chunk([], [])
        for line, record in block:
            if not record:
                blank_line = blank_line or line
                continue
            if blank_line:
                raise BadInput(f"{file.name}:{blank_line}: an empty line; remove it")
            if len(record) != width:
                raise BadInput(
                    f"{file.name}:{line}: {_counted(len(record), 'field')}, {expectation}"
                )
            chunk.lines.append(line)
            chunk.records.append(record)
        if chunk.records:
            yield chunk


def _records(file: DataFile) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(decoded_lines(file), strict=True, delimiter=file.style.separator)
    is_normalised = file.style.is_normalised and not file.content.isascii()
    line = 1
    try:
        for record in reader:
            yield line, [normalize("NFC", text) for text in record] if is_normalised else record
            line = reader.line_num + 1
    except csv.Error as error:
        raise _csv_error(file, line, reader.line_num, str(error)) from error


def decoded_lines(file: DataFile) -> Iterator[str]:
    """Return lines with their line breaks, decoded lazily: never the whole text at once."""
    return io.TextIOWrapper(io.BytesIO(file.content), encoding="utf-8-sig", newline="")


def _csv_error(file: DataFile, first_line: int, last_line: int, reason: str) -> BadInput:
    if reason == "unexpected end of data":
        line = _open_quote_line(file, first_line)
        return BadInput(f"{file.name}:{line}: a quote opens here and never closes")
    if reason.startswith("field larger than"):
        return BadInput(
            f"{file.name}:{first_line}: a field of more than {csv.field_size_limit() // 1024} kB; "
            "does a quote open there that never closes?"
        )
    return BadInput(f"{file.name}:{last_line}: not valid CSV: {clean(reason, 200)}")


def _open_quote_line(file: DataFile, first_line: int) -> int:
    """Return the line in which the last field of the file opens.

    `first_line` is the line in which its record begins.
    """
    lines = list(islice(decoded_lines(file), first_line - 1, None))
    # Without `strict`, the end of the text closes the field; its line breaks give its height.
    field = next(csv.reader(lines, delimiter=file.style.separator))[-1]
    breaks = field.replace("\r\n", "\n").replace("\r", "\n").count("\n")
    ended = lines[-1].endswith(("\n", "\r"))
    return first_line + len(lines) - 1 - breaks + int(ended)


def line_at(content: bytes, position: int) -> int:
    """Return the line, counted from 1, that contains the byte at `position`."""
    before = content[:position].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return before.count(b"\n") + 1


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def check_header(file: DataFile, header: Sequence[str]) -> None:
    """Raise BadInput unless every column has a name, and no two have the same."""
    if all(to_number(name) is not None for name in header):
        raise BadInput(f"{file.name}:1: a table needs a header with the names of its columns")
    names: set[str] = set()
    for position, name in enumerate(header, 1):
        if not name:
            raise BadInput(
                f"{file.name}:1: column {position} has no name; give it one, and add it to "
                "dataset.drop if it only counts the rows"
            )
        if name in names:
            raise BadInput(f"{file.name}:1: two columns are named '{clean(name, 80)}'; rename one")
        names.add(name)


def no_column(name: str, file: DataFile, header: Sequence[str]) -> str:
    """Return the message for a setting that names a column which does not exist."""
    columns = clean(", ".join(header[:20]), 400)
    message = f"no column '{clean(name, 80)}' in {file.name}"
    return f"{message}{clean(suggest(name, header))}; there are: {columns}"


MISSING = frozenset({"", "na", "nan", "?", "null"})
"""Lower-case texts that stand for a missing value."""
MISSING_NUMBERS = MISSING | {"n/a", "#n/a", "#na", "<na>", "none", "-", "--", "."}
"""Those that do so among numbers, where they cannot be anything else."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def is_missing(text: str, marks: frozenset[str] | None = None) -> bool:
    """Whether a text stands for a missing value; `marks` takes the place of the usual ones."""
    return text.strip().lower() in MISSING if marks is None else text.strip() in marks


def to_number(
    text: str, marks: frozenset[str] | None = None, form: NumberForm | None = None
) -> float | None:
    """Return a field's number, NaN for a missing value, None for text; infinity is a number.

    `form` is how the numbers are written, if not as in Python.
    """
    stripped = text.strip()
    if stripped.lower() in MISSING_NUMBERS if marks is None else stripped in marks:
        return float("nan")
    if form is not None:
        plain = form.plain(text)
        return None if plain is None else float(plain)
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def to_numbers(
    texts: Sequence[str], marks: frozenset[str] | None = None, form: NumberForm | None = None
) -> tuple[NDArray[np.float64], list[int]]:
    """Return the numbers, NaN for missing values and texts, and the positions of the texts."""
    joined = "".join(texts)
    if form is None and marks is None and "_" not in joined and joined.isascii():
        try:
            return np.array(texts, dtype=np.float64), []
        except ValueError:
            pass
    values = [to_number(text, marks, form) for text in texts]
    foreign = [position for position, value in enumerate(values) if value is None]
    return np.array([np.nan if value is None else value for value in values]), foreign


def order_classes(texts: Collection[str]) -> tuple[str, ...]:
    """Return the distinct texts, sorted by number if all are integers, else alphabetically."""
    if all(_INTEGER.fullmatch(text) for text in texts):
        return tuple(sorted(set(texts), key=lambda text: (int(text), text)))
    return tuple(sorted(set(texts)))
