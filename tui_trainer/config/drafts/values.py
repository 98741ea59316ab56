"""Converts text typed into a field to its value, and values back to such text.

Layer: config. Text is read by `parse_value`, as on the command line. A form is more lenient only
with lists (`32, 64`) and with texts that look like numbers, because it knows each field's kind.
"""

from __future__ import annotations

import math
from typing import Any

from tui_trainer.config.drafts.fields import Field
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.config.yaml.scalars import read_quoted, to_flow
from tui_trainer.text.clean import harmless
from tui_trainer.text.errors import BadInput
from tui_trainer.text.shell import is_plain


def read_entry(field: Field | None, text: str) -> Any:
    """Return the value of a text in a field (None: an unknown field); raises BadInput."""
    stripped = text.strip()
    if field is None or field.kind in ("int", "float", "bool", "other"):
        if not stripped and field is not None and not field.optional:
            if isinstance(field.default, dict):
                return {}
            raise _needed(field)
        return parse_value(stripped)
    if field.kind == "list":
        return _read_list(field, stripped)
    value = parse_value(stripped)
    if not stripped:
        if field.optional:
            return None
        if field.default == "":
            return ""
        raise _needed(field)
    # Keep numbers and booleans as text: a column may be named 5, or true.
    return value if isinstance(value, (str, list, dict)) else stripped


def _needed(field: Field) -> BadInput:
    wanted = field.bounds or field.description
    return BadInput(f"a value is needed: {wanted}" if wanted else "a value is needed")


def _read_list(field: Field, text: str) -> Any:
    if not text:
        return None if field.optional else []
    if text in field.choices or text.startswith("[" if field.of_sections else ("[", "{")):
        return parse_value(text)
    try:
        return parse_value(f"[{text}]")
    except BadInput as error:
        if field.of_texts and not any(sign in text for sign in "'\"[]{}"):
            # Texts such as *.txt mean something else in YAML.
            return [_bare_text(part.strip()) for part in text.split(",")]
        example = "{match: head, lr: 1e-3}, {match: blocks.*}" if field.of_sections else "1, 2"
        raise BadInput(f"expected values separated by commas, as in: {example}") from error


def _bare_text(text: str) -> str:
    """Return a text that was typed without quotes; BadInput if a file cannot hold it."""
    value, problem = read_quoted(text)
    if problem:
        raise BadInput(problem)
    return value


def entry_text(value: Any, field: Field | None = None) -> str:
    """Return the text to type for a value; `read_entry` turns it back into an equal value."""
    if value is None or (value == {} and field is not None):
        return ""
    if isinstance(value, (list, tuple)) and field is not None and field.kind == "list":
        items = ", ".join(argument_text(item, in_list=True) for item in value)
        if value and items not in field.choices:
            is_bare = items == items.strip() and not items.startswith(("[", "{"))
            return items if is_bare else f"[{items}]"
        return f"[{items}]" if value else ""
    if isinstance(value, str) and field is not None and field.kind in ("text", "choice"):
        return value if _reads_back(field, value) else argument_text(value)
    return argument_text(value)


def _reads_back(field: Field, text: str) -> bool:
    try:
        return bool(read_entry(field, text) == text)
    except BadInput:
        return False


def argument_text(value: Any, *, in_list: bool = False) -> str:
    """Return a value as written after `KEY=`; `parse_value` turns it back into an equal value."""
    match value:
        case None:
            return "null" if in_list else ""
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _float_text(value)
        case list() | tuple():
            return f"[{', '.join(argument_text(item, in_list=True) for item in value)}]"
        case str():
            return _plain_or_quoted(value, in_list)
        case _:
            return to_flow(value)


def _float_text(value: float) -> str:
    """Return the shortest text of a number, as `30`, `0.003` or `1e-8`."""
    if math.isnan(value) or math.isinf(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if value == 0 and math.copysign(1.0, value) < 0:
        return "-0.0"
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    mantissa, e, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _plain_or_quoted(text: str, in_list: bool) -> str:
    if not is_plain(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
        # The escapes of `harmless` are also those of YAML.
        return f'"{harmless(escaped)}"'
    try:
        bare = parse_value(f"[{text}]") == [text] if in_list else parse_value(text) == text
    except BadInput:
        bare = False
    return text if bare else to_flow(text)
