"""`register_type`: adds a type of a plugin to its registry, with its settings as a section.

Layer: config.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import create_model

from tui_trainer.config.sections.section import Registry, Spec, TypedSection
from tui_trainer.config.user_calls import check_name
from tui_trainer.config.user_code import place_of


def register_type(
    registry: Registry,
    factories: dict[str, Callable[..., Any]],
    name: str,
    description: str,
    params: type[TypedSection],
    make: Callable[..., Any],
) -> None:
    """Add a function to a registry and to the functions by type."""
    add_type(registry, name, description or first_line(make), params, place_of(make))
    factories[name] = make


def add_type(
    registry: Registry, name: str, description: str, params: type[TypedSection], origin: str
) -> None:
    """Add a type to a registry; `origin` is the file and line that it comes from."""
    check_name(name)
    fields: dict[str, Any] = {"type": (Literal[name], ...)}
    section = create_model(params.__name__, __base__=params, __doc__=params.__doc__, **fields)
    registry.add(Spec(name, description, section, origin=origin))


def first_line(make: Callable[..., Any]) -> str:
    """Return the description that the docstring of a function or class gives it."""
    return (make.__doc__ or "").strip().partition("\n")[0]
