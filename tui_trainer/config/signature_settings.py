"""`settings_of`: the section that holds the settings which a function or class of the user's has.

Layer: config. A setting is a parameter or an attribute with a type and, if it need not be given, a
default: a plain value, or `setting(...)` with a description and bounds.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Collection
from typing import Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import create_model
from pydantic.fields import FieldInfo

from tui_trainer.config.sections.section import Items, TypedSection, setting, settings_taken

SIGNATURE = "signature"
"""The parameter of a model's function that says what the data are."""
_PLAIN = (bool, int, float, str)


def settings_of(
    function: Callable[..., Any],
    filled: Collection[str],
    base: type[TypedSection] = TypedSection,
) -> type[TypedSection]:
    """Return a section with a field for each parameter of a function that is not filled by us.

    Args:
        function: of the user's.
        filled: the names of the parameters that are no settings.
        base: the section that it extends; a parameter with the name of a field of it is that field.

    Raises:
        ValueError: a parameter has no type, or one that a file cannot hold.
    """
    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        if name in filled or name in base.model_fields:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name not in hints:
            raise ValueError(
                f"the parameter {name!r} has no type, which a setting needs, as in "
                f"{name}: float = 0.5; these are not settings: {', '.join(filled)}"
            )
        fields[name] = (_as_field(name, hints[name]), _default(parameter.default))
    doc = inspect.getdoc(function)
    return create_model("Settings", __base__=base, __doc__=doc, **fields)


def has_settings(function: Callable[..., Any], base: type[TypedSection]) -> bool:
    """Whether the parameters of a function are settings, and not a section that holds them."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        return True
    first = parameters[0]
    is_named_so = first.annotation is first.empty or first.name == "params"
    is_section = first.default is first.empty and is_named_so
    return not is_section or first.name in base.model_fields or first.name == SIGNATURE


def called_with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of a section that calls the user's with the settings it asks for."""

    @functools.wraps(function)
    def call(params: TypedSection, *signature: Any) -> Any:
        return function(*signature, **settings_taken(function, params))

    return call


def settings_of_class(made: type, base: type[TypedSection] = TypedSection) -> type[TypedSection]:
    """Return a section with a field for each attribute of a class that has a type, beside `base`.

    Raises:
        ValueError: a type is one that a file cannot hold.
    """
    hints = {
        name: hint
        for name, hint in get_type_hints(made, include_extras=True).items()
        if not name.startswith("_") and name != "parts" and ClassVar not in (hint, get_origin(hint))
    }
    fields: dict[str, Any] = {
        name: (
            _as_field(name, hint),
            _default(getattr(made, name, inspect.Parameter.empty)),
        )
        for name, hint in hints.items()
    }
    return create_model("Settings", __base__=base, __doc__=inspect.getdoc(made), **fields)


def _default(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return setting(..., "")
    return default if isinstance(default, FieldInfo) else setting(default, "")


def _as_field(name: str, hint: Any) -> Any:
    """Return the type of a field for the type of a parameter: a list becomes a tuple."""
    origin, parts = get_origin(hint), get_args(hint)
    if hint in _PLAIN or hint is type(None) or origin is Literal:
        return hint
    if origin in (Union, types.UnionType):
        return Union[tuple(_as_field(name, part) for part in parts)]  # noqa: UP007
    if origin in (list, tuple) and parts and (origin is list or parts[1:] == (...,)):
        return Items[_as_field(name, parts[0])]  # type: ignore[misc]
    raise ValueError(
        f"the type of the setting {name!r} is {hint}; it may be bool, int, float, str, Literal, a "
        "list of one of these, or any of them or None"
    )
