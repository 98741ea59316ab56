"""`JsonLinesReader`: the rows of a file with one JSON object per line.

Layer: data. A value becomes the text that stands for it: numbers as they are written, `true` and
`false`, and an empty text for null and for a key that a row does not have.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from tui_trainer.data.files.content import Content, pieces
from tui_trainer.data.files.csv import CHUNK_ROWS
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.table_rows import RecordRows
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.strict_json import Literal

HEADER_ROWS = 1000
"""The keys of so many rows are the columns."""
MOST_LINE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not blank."""

    number: int
    content: bytes
    end: int
    """The byte after it."""


def read_keys(file: DataFile) -> list[str]:
    """Return the keys of the first rows, in the order in which they first occur.

    Raises:
        BadInput: a line is no JSON object, or there is none.
    """
    keys: dict[str, None] = {}
    for count, line in enumerate(_lines(file), 1):
        keys.update(dict.fromkeys(_normal(file, key) for key in _object(file, line)))
        if count == HEADER_ROWS:
            break
    if not keys:
        raise BadInput(f"{file.name}: the file is empty")
    return [*keys]


@dataclass(frozen=True, slots=True)
class JsonLinesReader:
    """Reads some columns of a file of JSON objects."""

    file: DataFile
    header: Sequence[str]
    wanted: Collection[str]

    def rows(self) -> Iterator[RecordRows]:
        """Yield the rows.

        Raises:
            BadInput: a line is no JSON object, has a key that none of the first rows has, or a list
                or object in a column that is wanted; names the line.
        """
        lines: list[_Line] = []
        cells: list[list[str]] = []
        for line in _lines(self.file):
            lines.append(line)
            cells.append(self._cells(line))
            if len(lines) == CHUNK_ROWS:
                yield self._rows(lines, cells)
                lines, cells = [], []
        if lines:
            yield self._rows(lines, cells)

    def _rows(self, lines: list[_Line], cells: list[list[str]]) -> RecordRows:
        columns = dict(zip(self.wanted, zip(*cells, strict=True), strict=True))
        share = lines[-1].end / len(self.file.content)
        return RecordRows([line.number for line in lines], columns, self.file, share)

    def _cells(self, line: _Line) -> list[str]:
        """Return the texts of the columns that are wanted."""
        found = _object(self.file, line)
        values = {_normal(self.file, key): value for key, value in found.items()}
        if unknown := values.keys() - {*self.header}:
            key = clean(min(unknown), 80)
            raise BadInput(
                f"{self.file.name}:{line.number}: the key '{key}' is in none of the first "
                f'{HEADER_ROWS:,} rows; add "{key}": null to the first'
            )
        return [self._text(name, values.get(name), line.number) for name in self.wanted]

    def _text(self, name: str, value: Any, line: int) -> str:
        match value:
            case str():
                return _normal(self.file, value)
            case None:
                return self._literal("")
            case bool():
                return self._literal("true" if value else "false")
            case _ if self.file.style.keeps_literals:
                return Literal(_json_of(value))
            case _:
                kind = "a list" if isinstance(value, list) else "an object"
                raise BadInput(
                    f"{self.file.name}:{line}: the key '{clean(name, 80)}' has {kind}; write one "
                    "key for each value, or add it to dataset.drop"
                )

    def _literal(self, text: str) -> str:
        return Literal(text) if self.file.style.keeps_literals else text


def _lines(file: DataFile) -> Iterator[_Line]:
    """Yield the lines that are not blank."""
    number, end, rest = 0, 0, b""
    for piece in _ended(file.content):
        parts = (rest + piece).split(b"\n")
        rest = parts.pop()
        for part in parts:
            number, end = number + 1, end + len(part) + 1
            text = part.removeprefix(b"\xef\xbb\xbf") if number == 1 else part
            if text and not text.isspace():
                yield _Line(number, text, min(end, len(file.content)))
        if len(rest) > MOST_LINE_BYTES:
            raise BadInput(f"{file.name}:{number + 1}: a line of more than 16 MiB")


def _ended(content: Content) -> Iterator[bytes]:
    """Yield the pieces, and a line break that ends the last line."""
    yield from pieces(content)
    yield b"\n"


def _json_of(value: Any) -> str:
    """Return a value as JSON, with numbers as they are written."""
    match value:
        case Literal():
            return value
        case dict():
            pairs = (
                f"{json.dumps(key, ensure_ascii=False)}: {_json_of(value[key])}" for key in value
            )
            return f"{{{', '.join(pairs)}}}"
        case list():
            return f"[{', '.join(map(_json_of, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _object(file: DataFile, line: _Line) -> dict[str, Any]:
    """Return the object of a line; its numbers are texts."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise BadInput(f"{file.name}:{line.number}: two keys are '{clean(twice, 80)}'")
        return values

    number = Literal if file.style.keeps_literals else str
    try:
        value = json.loads(
            line.content,
            parse_int=number,
            parse_float=number,
            parse_constant=number,
            object_pairs_hook=unique,
        )
        # Escapes can produce what no text in UTF-8 has.
        if b"\\u" in line.content:
            if "\0" in (text := "\n".join(_texts(value))):
                raise BadInput(f"{file.name}:{line.number}: a NUL character in a text")
            text.encode()
    except (ValueError, RecursionError) as error:
        reason = clean(str(error), 120)
        raise BadInput(f"{file.name}:{line.number}: not valid JSON: {reason}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{file.name}:{line.number}: not a JSON object; each line must be one")
    return value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _normal(file: DataFile, text: str) -> str:
    if text.isascii() or not file.style.is_normalised:
        return text
    return normalize("NFC", text)
