"""Turns lines of events.jsonl back into events.

Layer: runs. The file may have been written by anyone: a line that does not fit, or is out of
bounds, is not an event and never an error. Every integer of an event is a count, so none is
negative.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
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
"""The types of what the end of a run says about its best step."""

Fit = Callable[[Any], Any]
"""Returns a value of JSON in the form that a type wants; raises TypeError if it does not fit."""


def event_of(record: dict[str, Any]) -> Event | None:
    """Return the event in a line; None if it is unknown, or if a value does not fit.

    Unknown keys are ignored: a newer version may have written them.
    """
    word = str(record.get("event"))
    if word not in _KINDS:
        return None
    values = {}
    try:
        for name, fit, needed in _shape(word):
            if name in record:
                values[name] = fit(record[name])
            elif needed:
                return None
        if isinstance(best := values.get("best"), dict):
            values["best"] = best | {key: _fit_of(kind)(best[key]) for key, kind in _BEST.items()}
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
def _shape(word: str) -> tuple[tuple[str, Fit, bool], ...]:
    """Return the fields by name, each with its function and whether a line must have it."""
    kind = _KINDS[word]
    hints = get_type_hints(kind)
    parts = []
    for field in fields(kind):
        if field.name in UNWRITTEN:
            continue
        needed = field.default is MISSING and field.default_factory is MISSING
        parts.append((field.name, _fit_of(hints[field.name]), needed))
    return tuple(parts)


def _fit_of(hint: Any) -> Fit:
    """Return the function for a type; it also checks bounds, and null is NaN for a float."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _first_of([_fit_of(member) for member in inner if member is not type(None)])
    if origin is tuple:
        return _items_of(_fit_of(inner[0]))
    if origin is dict:
        return _values_of(_fit_of(inner[1]))
    if origin is Literal:
        return _checked(lambda value: isinstance(value, str) and value in inner)
    if hint is float:
        return _float
    return _checked(_CHECKS[hint])


_CHECKS: dict[Any, Callable[[object], bool]] = {
    Any: is_plain,
    int: is_count,
    str: is_text,
    bool: lambda value: isinstance(value, bool),
}


def _checked(is_fitting: Callable[[object], bool]) -> Fit:
    def fit(value: Any) -> Any:
        if not is_fitting(value):
            raise TypeError
        return value

    return fit


def _float(value: Any) -> float:
    if value is not None and not is_number(value):
        raise TypeError
    return number_or_nan(value)


def _items_of(fit: Fit) -> Fit:
    def fit_all(value: Any) -> Any:
        if not is_list(value):
            raise TypeError
        return tuple(fit(item) for item in value)

    return fit_all


def _values_of(fit: Fit) -> Fit:
    def fit_all(value: Any) -> Any:
        if not is_mapping(value):
            raise TypeError
        return {key: fit(item) for key, item in value.items()}

    return fit_all


def _first_of(fits: Sequence[Fit]) -> Fit:
    """Fit a value by the first function that accepts it; None stays None."""

    def fit_first(value: Any) -> Any:
        if value is None:
            return None
        for fit in fits:
            with contextlib.suppress(TypeError):
                return fit(value)
        raise TypeError

    return fit_first
