"""Objects of a user's class whose attributes are its settings and cannot be set later.

Layer: config. What such an object remembered would be in no checkpoint, so a resumed run would
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def guarded(made_by: type, advice: str) -> Callable[[], Any]:
    """Return a form of a class whose objects refuse attributes once `_is_made` is set.

    `advice` says what to do instead; it may have `{name!r}` in it.
    """

    def refuse(self: Any, name: str, value: Any) -> None:
        if getattr(self, "_is_made", False):
            raise AttributeError(advice.format(name=name))
        object.__setattr__(self, name, value)

    form: type = type(made_by.__name__, (made_by,), {"__setattr__": refuse})
    form.__module__, form.__qualname__ = made_by.__module__, made_by.__qualname__
    return form


def use_settings(made: Any, settings: Mapping[str, Any]) -> None:
    """Give the attributes of an object the values of its settings, also once it is made."""
    for name, value in settings.items():
        object.__setattr__(made, name, value)
