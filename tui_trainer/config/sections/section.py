"""`Section`, the pydantic model under every part of a configuration, and its fields.

Layer: config. Reading is strict: `epochs: "10"` and `epochs: true` are errors, an int is a
float where one is asked for, and a YAML list is a tuple here, so that a section can be frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

from tui_trainer.text.clean import clean, suggest

T = TypeVar("T")


class Section(BaseModel):
    """A frozen part of a configuration; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False
    )


class TypedSection(Section):
    """A section whose `type` names an entry of a registry."""

    type: str


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Items = Annotated[tuple[T, ...], BeforeValidator(_as_tuple)]
"""A list in YAML, a tuple in Python."""


def setting(
    default: Any,
    description: str,
    *,
    unit: str = "",
    live: bool = False,
    path: bool = False,
    **bounds: Any,
) -> Any:
    """Declare a field of a section.

    `live` fields can be edited while a run is training; `path` fields hold a file name, which is
    relative to the preset file it stands in, or to the current directory on the command line.
    Bounds are pydantic's (`ge`, `gt`, `le`, `lt`, `min_length`).
    """
    extra: dict[str, Any] = {}
    if unit:
        extra["unit"] = unit
    if live:
        extra["live"] = True
    if path:
        extra["path"] = True
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """What `setting` recorded beside the field: unit, live, path."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


# Registries of specs: what can be named in a preset, without the code that builds it.
#
# A spec knows no torch; the implementation binds to it by name in `data`, `models` or `training`,
# and a test holds the two sets of names equal.


@dataclass(frozen=True, slots=True)
class Spec:
    """One thing that a configuration can name.

    `params` is the section that configures it; its `type` field accepts exactly `name`.
    """

    name: str
    description: str
    params: type[TypedSection]
    suits: tuple[str, ...] = ()
    """Of a model: the kinds of data for which a message proposes it, and `per_step` if it can
    predict something at each step."""


class Registry:
    """The specs of one kind, in the order they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._specs: dict[str, Spec] = {}

    def add(self, spec: Spec) -> None:
        """Add a spec; a name that is taken is refused with ValueError."""
        if spec.name in self._specs:
            raise ValueError(f"{self.kind} {spec.name!r} is registered already")
        self._specs[spec.name] = spec

    def find(self, name: object) -> Spec | None:
        """The spec of that name, or None."""
        return self._specs.get(name) if isinstance(name, str) else None

    def complaint(self, name: object) -> str:
        """Why `name` is not in this registry, with what is."""
        known = ", ".join(self._specs)
        hint = suggest(name, self._specs) if isinstance(name, str) else ""
        return f"no {self.kind} type {clean(repr(name), 80)}{hint}; there are: {known}"

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._specs)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._specs.values())
