"""`Section`, the pydantic base class of every part of a configuration; its fields; and registries.

Layer: config. Validation is strict: `epochs: "10"` and `epochs: true` are errors. An int is
accepted for a float, and a YAML list becomes a tuple, so that a section can be frozen. Modules with
sections do not import `annotations` from `__future__`: pydantic would compile and evaluate the type
of each field as a text, and the app would start later.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from pydantic import VERSION, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from tui_trainer.config.plugin_loader import may_have_it
from tui_trainer.config.problem_specs import Places
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.value_errors import worded

T = TypeVar("T")
# Before 2.14 two threads that read the same class for the first time could undo each other's work.
_IS_BUILT_UNDER_A_LOCK = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


class Section(BaseModel):
    """A frozen part of a configuration; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        # A validator is built when the first section of its class is read: a run uses few of them.
        defer_build=_IS_BUILT_UNDER_A_LOCK,
    )


class TypedSection(Section):
    """A section whose `type` names a spec in a registry."""

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
    words: tuple[str, ...] = (),
    limit: bool = False,
    choices: str = "",
    **bounds: Any,
) -> Any:
    """Declare a field of a section.

    `live` fields can be edited while a run is training. `path` fields hold a file name, relative to
    the preset file it is written in, or to the current directory on the command line, unless the
    value is one of `words`. A `limit`
    ends a run or leaves something out, so the app never hides one that is set. `choices` names a
    list of names that may grow, such as `metrics`; see `config.named_choices`. Bounds are those of
    pydantic (`ge`, `gt`, `le`, `lt`, `min_length`).
    """
    extra: dict[str, Any] = {}
    if unit:
        extra["unit"] = unit
    if live:
        extra["live"] = True
    if path:
        extra["path"] = True
    if words:
        extra["words"] = words
    if limit:
        extra["limit"] = True
    if choices:
        extra["choices"] = choices
    return Field(default, description=description, json_schema_extra=extra, **bounds)


def extra_of(field: FieldInfo) -> dict[str, Any]:
    """Return the extra properties that `setting` recorded for a field, as its unit."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


# Specs list the types that a preset can name, without the code that builds them: they do not need
# torch. Implementations in `data`, `models` and `training` refer to them by name, and a test keeps
# the two sets of names equal.


@dataclass(frozen=True, slots=True)
class Spec:
    """A type that a configuration can name.

    `params` is the section that configures it; its `type` field accepts only `name`.
    """

    name: str
    description: str
    params: type[TypedSection]
    suits: Mapping[str, str] = field(default_factory=dict)
    """For a model: the shipped preset that messages suggest, by the kind of data that it takes if
    there is one prediction for a sample; by `step` or `pixel` if there is one at each of these; and
    by `causal` if it must not depend on later steps."""
    places: tuple[Places, ...] = ("one",)
    """For a model: where it can give predictions."""
    origin: str = ""
    """The file and line of a plugin that registered it; empty: it is built in."""


def _check_defaults(spec: Spec, kind: str) -> None:
    """Raise ValueError for a default that is refused for its type or its limits."""
    try:
        spec.params.model_validate({"type": spec.name})
    except ValidationError as error:
        for detail in error.errors():
            # A setting may have no default, and a validator may ask for another one.
            is_refused = detail["type"] not in ("missing", "value_error", "assertion_error")
            if not is_refused or detail["loc"][0] == "type":
                continue
            default = clean(repr(detail["input"]), 60)
            raise ValueError(
                f"the default of the setting {str(detail['loc'][0])!r} of the {kind} "
                f"{spec.name!r} is {default}; it {worded(detail)}"
            ) from None


class Registry:
    """The specs of one kind, in the order they were added."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._specs: dict[str, Spec] = {}

    def add(self, spec: Spec) -> None:
        """Add a spec.

        Raises:
            ValueError: the name is taken, with both places; or a default of a plugin's setting is
                one that the setting does not allow.
        """
        if (taken := self._specs.get(spec.name)) is not None:
            where = f"registered by {taken.origin}, too" if taken.origin else "built in"
            raise ValueError(f"{self.kind} {spec.name!r} is {where}; give this one another name")
        if spec.origin:
            _check_defaults(spec, self.kind)
        self._specs[spec.name] = spec

    def find(self, name: object) -> Spec | None:
        """Return the spec of a name, or None."""
        return self._specs.get(name) if isinstance(name, str) else None

    def complaint(self, name: object) -> str:
        """Return the message for a `name` that is not in this registry; lists all names."""
        known = ", ".join(self._specs)
        hint = suggest(name, self._specs) if isinstance(name, str) else ""
        return (
            f"no {self.kind} type {clean(repr(name), 80)}{hint}; available: {known}{may_have_it()}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._specs)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self._specs.values())


def values_of(section: TypedSection) -> dict[str, Any]:
    """Return the values of the settings of a section by name, as a function takes them."""
    return {name: getattr(section, name) for name in type(section).model_fields if name != "type"}


@functools.lru_cache(maxsize=256)
def parameters_of(function: Callable[..., Any]) -> frozenset[str]:
    """Return the names of the parameters of a function; a schedule asks for them in each step."""
    return frozenset(inspect.signature(function).parameters)


def settings_taken(function: Callable[..., Any], section: TypedSection) -> dict[str, Any]:
    """Return the values of those settings of a section that a function has a parameter for."""
    names = parameters_of(function)
    return {name: value for name, value in values_of(section).items() if name in names}
