"""`Section`, the pydantic model under every part of a configuration, and its fields.

Layer: config. Reading is strict: `epochs: "10"` and `epochs: true` are errors, an int is a
float where one is asked for, and a YAML list is a tuple here, so that a section can be frozen.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo

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
