"""Reading back what `to_yaml` writes of an experiment, some ten times faster than any YAML.

Layer: config. It knows sections of plain scalars and lists of them, and nothing else: what it does
not know for sure it leaves to the strict reader, so that both always say the same.
"""

from __future__ import annotations

import re
from typing import Any

from tui_trainer.config.scalars import read_plain

_LINE = re.compile(r"( {2})?(?:([A-Za-z_][A-Za-z0-9_]*):|-)(?: (\S.*))?")
_PLAIN = re.compile(r"[A-Za-z0-9_./~-](?:[^:#\s]|[ ](?=[^#\s])|:(?=[^\s]))*")
_QUOTED = re.compile(r"'[ -&(-~]*'")
_UNLIKE = re.compile(r"-(?![0-9.])|\.\.\.|---|[^ -~]")


class _UnknownError(Exception):
    """Not of the form that is read here."""


def read_written(text: str) -> dict[str, Any] | None:
    """The data of a document; None where only the strict reader can tell what it means."""
    try:
        return _read(text)
    except _UnknownError:
        return None


def _read(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    # Where a key may go, and the key that may still get a list or a section.
    into, open_key = found, ""
    section = ""
    for line in text.split("\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise _UnknownError
        indent, key, value = match.groups()
        if key is None:
            if not open_key or value is None or bool(indent) != (into is not found):
                raise _UnknownError
            into[open_key] = [*(into[open_key] or ()), _scalar(value)]
            continue
        if not indent:
            into, section = found, "" if value else key
        elif not section:
            raise _UnknownError
        elif into is found:
            if found[section] is not None:
                raise _UnknownError
            into = found[section] = {}
        if key in into:
            raise _UnknownError
        into[key] = None if value is None else _value(value)
        open_key = key if value is None else ""
    if not found:
        raise _UnknownError
    return found


def _value(text: str) -> Any:
    return [] if text == "[]" else _scalar(text)


def _scalar(text: str) -> Any:
    if _QUOTED.fullmatch(text):
        return text[1:-1]
    if not _PLAIN.fullmatch(text) or _UNLIKE.match(text):
        raise _UnknownError
    value, wrong = read_plain(text)
    if wrong:
        raise _UnknownError
    return value
