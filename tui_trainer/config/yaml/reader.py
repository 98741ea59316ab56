"""The strict reader of YAML files and of values on the command line.

Layer: config. It returns plain data (dicts with text keys, lists, str, int, float, bool, None) and
the place of every key; no object is ever constructed from a tag.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.yaml.parser import (
    MOST_BYTES,
    KeyPath,
    parse_yaml,
    place_after,
    shown_key,
    unreadable_text,
)
from tui_trainer.config.yaml.scalars import read_plain
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem

_BEGINNINGS_OF_YAML = ("[", "{", '"', "'", "!", "&", "*")
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a document, and the 1-based (line, column) of each key and list item."""

    source: str
    data: dict[str, Any]
    places: Mapping[KeyPath, tuple[int, int]]

    def problem(self, path: KeyPath, message: str) -> Problem:
        """Return a problem at the place of a key, or of the nearest key above it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                line, column = self.places[path[:length]]
                return Problem(message, shown_key(path), self.source, line, column)
        return Problem(message, shown_key(path), self.source)


def read_document(path: Path, *, may_be_empty: bool = False) -> Document:
    """Read a file; with `may_be_empty`, one without content is an empty mapping.

    Raises:
        BadInput: there is no such file, it cannot be opened, or it is not a regular file.
        ConfigError: the content is refused; the error lists all problems.
    """
    source = clean(str(path))
    try:
        data = _bytes_of(path, source)
    except OSError as error:
        raise BadInput(f"{source}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise BadInput(f"{source}: not the name of a file: {clean(str(error))}") from error
    return document_of(data, source, may_be_empty=may_be_empty)


def document_of(data: bytes, source: str, *, may_be_empty: bool = False) -> Document:
    """Read a document from the bytes of a file; raises ConfigError."""
    return parse_document(_decoded(data, source), source, may_be_empty=may_be_empty)


def parse_document(text: str, source: str, *, may_be_empty: bool = False) -> Document:
    """Read a document from a text; `source` is its name in problems. Raises ConfigError."""
    composed = parse_yaml(text, source)
    if composed.problems:
        raise ConfigError(composed.problems)
    data = {} if composed.data is None and may_be_empty else composed.data
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "empty" if data is None else "a single value"
        raise _refused(source, f"{what}; expected 'key: value' lines", 1, 1)
    return Document(source, data, composed.places)


def parse_value(text: str) -> Any:
    """Read the value of an override: a flow list, a flow mapping or a scalar; raises BadInput.

    A text that does not begin like a list, a mapping, a quoted text, a tag, an anchor or an alias
    is a single scalar, so `C:\\data`, `builtin:x.csv` and `a #1` need no quotes.
    """
    stripped = text.strip()
    if stripped.startswith(_BEGINNINGS_OF_YAML):
        composed = parse_yaml(stripped, "")
        value, wrong = composed.data, [problem.message for problem in composed.problems[:3]]
    elif unreadable := unreadable_text(stripped, ""):
        value, wrong = None, [unreadable.message]
    else:
        value, complaint = read_plain(stripped)
        wrong = [complaint] if complaint else []
    if wrong:
        raise BadInput(f"{clean(stripped, 60)}: {'; '.join(dict.fromkeys(wrong))}")
    return value


def _bytes_of(path: Path, source: str) -> bytes:
    """Read a regular file of at most MOST_BYTES; never waits for a pipe or a device."""
    _check_kind(path.stat(), source)
    # The file may have become a pipe since the check; O_NONBLOCK keeps open from waiting for it.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        _check_kind(os.fstat(file.fileno()), source)
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise _refused(source, f"more than {MOST_BYTES:,} bytes; is it the right file?")
    return data


def _check_kind(facts: os.stat_result, source: str) -> None:
    if stat.S_ISDIR(facts.st_mode):
        raise BadInput(f"{source}: a directory; name a file in it")
    if not stat.S_ISREG(facts.st_mode):
        raise BadInput(f"{source}: not a file but a pipe, a socket or a device")
    if facts.st_size > MOST_BYTES:
        message = f"{facts.st_size:,} bytes, and at most {MOST_BYTES:,} are read"
        raise _refused(source, f"{message}; is it the right file?")


def _decoded(data: bytes, source: str) -> str:
    # In UTF-16, every second byte of plain text is zero; in UTF-32, three of four are.
    zeros = data.count(0) / len(data) if data else 0
    if data.startswith(_WIDE_MARKS) or 0.3 < zeros < 0.8:
        raise _refused(source, "looks like UTF-16 or UTF-32; save it as UTF-8", 1, 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = place_after(data[: error.start].decode(errors="replace"))
        message = f"not UTF-8 (byte 0x{data[error.start]:02X} at offset {error.start})"
        raise _refused(source, f"{message}; save it as UTF-8", line, column) from error


def _refused(
    source: str, message: str, line: int | None = None, column: int | None = None
) -> ConfigError:
    return ConfigError([Problem(message, "", source, line, column)])
