"""Reads scalars of YAML by the core schema of YAML 1.2, and writes data that reads back equal.

Layer: config. PyYAML behaves differently: here `1e-3` is a number, and `no`, `1:30`, `1_000` and
dates are texts. Integers of 2^63 and more are refused, and so are floats that would overflow or
underflow.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

CORE = "tag:yaml.org,2002:"

_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"([-+]?)\.(inf|Inf|INF)")
_NOT_ZERO = re.compile(r"[-+.0]*[1-9]")
_UNFIT = re.compile("[\0\ud800-\udfff]")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_TYPES: dict[str, type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "null": type(None),
}


def read_plain(text: str) -> tuple[Any, str]:
    """Return the value of a scalar without quotes, and an error message or an empty string."""
    if text in _WORDS:
        return _WORDS[text], ""
    if _INT.fullmatch(text):
        if len(text) > 40:
            return None, "a number of too many digits"
        value = int(text, 0) if text[:2] in ("0x", "0o") else int(text)
        return (value, "") if abs(value) < 2**63 else (None, "a number too large (2^63 and more)")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if number == 0 and _NOT_ZERO.match(text):
            return None, "a number too small for a float"
        return (number, "") if math.isfinite(number) else (None, "a number too large for a float")
    if match := _INF.fullmatch(text):
        return (-math.inf if match[1] == "-" else math.inf), ""
    return text, ""


def read_quoted(text: str) -> tuple[str, str]:
    """Return a text unchanged, and an error message or an empty string.

    Escapes can produce characters that no file name or UTF-8 file may contain.
    """
    return text, "a text with NUL or half a surrogate pair in it" if _UNFIT.search(text) else ""


def has_scalar_tag(tag: str) -> bool:
    """Whether a tag is one of `!!str`, `!!int`, `!!float`, `!!bool` and `!!null`."""
    return tag.startswith(CORE) and tag.removeprefix(CORE) in _TYPES


def read_tagged(tag: str, text: str) -> tuple[Any, str]:
    """Return the value of a scalar with a type tag, and an error message or an empty string."""
    kind = tag.removeprefix(CORE)
    if kind == "str":
        return read_quoted(text)
    value, wrong = read_plain(text)
    if kind == "float" and type(value) is int:
        value = float(value)
    if not wrong and type(value) is not _TYPES[kind]:
        return None, f"not of the type !!{kind}"
    return value, wrong


# Writing for the strict reader. It follows YAML 1.2 and refuses aliases, so texts that it would
# take for numbers (`1e3`, `08`) are quoted, and an object that occurs twice is written twice.


class _Writer(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(writer: yaml.SafeDumper, text: str) -> yaml.Node:
    style = None if isinstance(read_plain(text)[0], str) else "'"
    if not text.isprintable():
        style = '"'  # any other style would change line breaks, including U+0085
    return writer.represent_scalar(CORE + "str", text, style=style)


_Writer.add_representer(str, _represent_text)


def to_yaml(data: dict[str, Any]) -> str:
    """Write plain data as a YAML document; the order of keys is kept."""
    text: str = yaml.dump(data, Dumper=_Writer, sort_keys=False, allow_unicode=True)
    return text


def to_flow(value: Any) -> str:
    """Write a value on one line, bracketed or quoted such that it can be part of a flow list."""
    # Written as the only item of a list, because texts need more quoting inside lists.
    text: str = yaml.dump(
        [value],
        Dumper=_Writer,
        sort_keys=False,
        default_flow_style=True,
        allow_unicode=True,
        width=2**31,
    )
    return text.strip().removeprefix("[").removesuffix("]")
