"""Turns lines of events.jsonl back into events.

Layer: runs. The file may have been written by anyone: a line that does not fit, or is out of
bounds, is not an event and never an error. Every integer of an event is a count, so none is
negative.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tui_trainer.runs import events
from tui_trainer.runs.bounds import (
    is_count,
    is_list,
    is_mapping,
    is_number,
    is_plain,
    is_text,
    number_or_nan,
)
from tui_trainer.runs.events import UNWRITTEN, Event, name_of_kind
from tui_trainer.text.format import LATEST_S

_KINDS: dict[str, type[Event]] = {
    name_of_kind(kind): kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
}
_BEST = {"metric": str, "value": float, "step": int, "epoch": int, "metrics": dict[str, float]}


def event_of(record: dict[str, Any]) -> Event | None:
    """Return the event in a line; None if it is unknown, or if a value does not fit.

    Unknown keys are ignored: a newer version may have written them.
    """
    word = str(record.get("event"))
    if word not in _KINDS:
        return None
    values = {}
    try:
        for name, hint, needed in _shape(word):
            if name in record:
                values[name] = _fitted(record[name], hint)
            elif needed:
                return None
        if isinstance(best := values.get("best"), dict):
            values["best"] = best | {key: _fitted(best[key], _BEST[key]) for key in _BEST}
    except (TypeError, KeyError):
        return None
    return _KINDS[word](**values, at_s=_seconds(record.get("time")))


def _seconds(text: object) -> float:
    """Return an ISO 8601 time in Unix seconds, or 0 if it is not a time that a run can have."""
    try:
        seconds = datetime.fromisoformat(str(text)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return seconds if 0 < seconds < LATEST_S else 0.0


@cache
def _shape(word: str) -> tuple[tuple[str, Any, bool], ...]:
    """Return the fields with their types, and whether a line must have them."""
    kind = _KINDS[word]
    hints = get_type_hints(kind)
    found = []
    for field in fields(kind):
        if field.name in UNWRITTEN:
            continue
        needed = field.default is MISSING and field.default_factory is MISSING
        found.append((field.name, hints[field.name], needed))
    return tuple(found)


def _fitted(value: Any, hint: Any) -> Any:
    """Return the value in the form the type wants; null is NaN for a float.

    Raises:
        TypeError: the value is of another type, or out of bounds.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any and is_plain(value):
        return value
    if origin in (Union, UnionType):
        return None if value is None else _first_fitting(value, inner)
    if origin is Literal and isinstance(value, str) and value in inner:
        return value
    if origin is tuple and is_list(value):
        return tuple(_fitted(item, inner[0]) for item in value)
    if origin is dict and is_mapping(value):
        return {key: _fitted(item, inner[1]) for key, item in value.items()}
    if hint is float and (value is None or is_number(value)):
        return number_or_nan(value)
    if (hint is int and is_count(value)) or (hint is str and is_text(value)):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    raise TypeError(f"not a {hint}")


def _first_fitting(value: Any, hints: tuple[Any, ...]) -> Any:
    for hint in hints:
        if hint is not type(None):
            try:
                return _fitted(value, hint)
            except TypeError:
                continue
    raise TypeError(f"none of {hints}")
