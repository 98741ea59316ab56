"""Writes JSON on one line that every parser accepts and any terminal can be shown.

Layer: text. A number that is not finite becomes null, because JSON has none, and everything but
printable ASCII is escaped, including DEL, which Python's own writer leaves as it is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_PLAIN = json.JSONEncoder(allow_nan=False)
_WORDS = {"": None, "true": True, "false": False}


class Literal(str):
    """The JSON of a value that is not a text, and empty for nothing; JSON does not quote it."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        if self in _WORDS:
            return _WORDS[self]
        for parse in (int, float):
            with suppress(ValueError):
                return parse(self)
        return json.loads(self)


def strict_json(value: Any, default: Callable[[Any], Any] | None = None) -> str:
    """Return the value as JSON; `default` converts what JSON cannot hold into plain data."""
    # `json.dumps` would make an encoder for each call.
    encoder = _PLAIN if default is None else json.JSONEncoder(allow_nan=False, default=default)
    try:
        text = encoder.encode(value)
    except ValueError:
        text = encoder.encode(_finite(value))
    return text.replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
