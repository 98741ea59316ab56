"""What the annotation of a setting asks for: kind, choices, whether it may be empty, and bounds.

Layer: config. Only what the sections use is told apart; anything else is `other`.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

Kind = Literal["int", "float", "bool", "choice", "text", "list", "other"]
"""`other` is what a form has no better name for; it is typed as YAML."""

# A bound as large as this is the reader's own limit, not news to the user.
_HUGE = 2**53


@dataclass(frozen=True, slots=True)
class Shape:
    """What an annotation asks for."""

    kind: Kind
    optional: bool = False
    choices: tuple[str, ...] = ()
    item: Any = None
    """The annotation of the items of a list."""


_SIMPLE: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}


def shape_of(annotation: Any) -> Shape:
    """What an annotation asks for: a scalar, a choice, a list, or one of these or nothing."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _SIMPLE:
        return Shape(_SIMPLE[annotation])
    if origin is Annotated:
        return shape_of(arguments[0])
    if origin is Literal and all(isinstance(choice, str) for choice in arguments):
        return Shape("choice", choices=arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return Shape("list", item=arguments[0])
    if origin in (Union, types.UnionType):
        return _union([part for part in arguments if part is not type(None)], len(arguments))
    return Shape("other")


def _union(parts: list[Any], count: int) -> Shape:
    optional = len(parts) < count
    shapes = [shape_of(part) for part in parts]
    if len(shapes) == 1:
        only = shapes[0]
        return Shape(only.kind, optional, only.choices, only.item)
    lists = [shape for shape in shapes if shape.kind == "list"]
    words = [shape for shape in shapes if shape.kind == "choice"]
    if len(shapes) == 2 and lists and words:
        return Shape("list", optional, words[0].choices, lists[0].item)
    return Shape("other", optional)


def bounds_of(shape: Shape, info: FieldInfo) -> str:
    """The bounds in words, as `above 0, at most 10,000`; empty where anything goes."""
    parts: list[str] = []
    if shape.kind == "list":
        item = shape.item.__metadata__ if get_origin(shape.item) is Annotated else ()
        inside = [part for entry in item for part in getattr(entry, "metadata", [entry])]
        each = _bounds(inside)
        size = _size(info.metadata)
        if shape.choices:
            parts.append(f"{' or '.join(shape.choices)}, or a list")
        parts += [size] if size else []
        parts += [f"each {each}"] if each else []
        return ", ".join(parts)
    if bounds := _bounds(info.metadata):
        parts.append(bounds)
    if shape.optional:
        parts.append("or empty")
    return " ".join(parts)


def _bounds(metadata: list[Any]) -> str:
    """`above 0, at most 10,000` from the marks of pydantic."""
    low = {"gt": "above", "ge": "at least"}
    high = {"lt": "below", "le": "at most"}
    found: dict[str, Any] = {}
    for mark in metadata:
        for name in (*low, *high):
            limit = getattr(mark, name, None)
            if limit is not None and abs(limit) < _HUGE:
                found[name] = limit
    if set(found) == {"ge", "le"}:
        return f"{_number(found['ge'])} to {_number(found['le'])}"
    return ", ".join(
        f"{word} {_number(found[name])}" for name, word in (low | high).items() if name in found
    )


def _size(metadata: list[Any]) -> str:
    """How many items a list may have."""
    least = max((getattr(mark, "min_length", 0) or 0 for mark in metadata), default=0)
    mosts = [getattr(mark, "max_length", None) for mark in metadata]
    most = min((limit for limit in mosts if limit is not None), default=None)
    if most is not None and least == most:
        return f"{most} values"
    if most is None:
        return f"{least} values or more" if least else ""
    return f"{least} to {most} values" if least else f"up to {most} values"


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:,.10g}"
