"""The sections of `optimizer.groups`: settings of the parameters whose names match a pattern.

Layer: config. What a group leaves out is as in `optimizer` itself. Of several groups whose patterns
match a parameter, the first one has it.
"""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    BeforeValidator,
    Field,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    model_serializer,
)
from pydantic_core import PydanticCustomError

from tui_trainer.config.sections.schedules import (
    SCHEDULES,
    follows_validation,
    needs_horizon,
    needs_length,
)
from tui_trainer.config.sections.section import Items, Section, TypedSection, setting
from tui_trainer.config.tree import Path_
from tui_trainer.text.clean import suggest
from tui_trainer.text.value_errors import worded

Decay = Literal["all", "matrices"]
Pattern = Annotated[str, Field(min_length=1)]

IDLE = "has no effect in a group with freeze: true"


def _schedule_of(value: Any) -> Any:
    """Return the section of a schedule that is given by its type, or by its type and settings."""
    values = {"type": value} if isinstance(value, str) else value
    if not isinstance(values, dict):
        return value
    spec = SCHEDULES.find(values.get("type"))
    if spec is None:
        raise _refused(SCHEDULES.complaint(values.get("type")))
    try:
        schedule = spec.params.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = [key for key in spec.params.model_fields if key != "type"]
            hint = suggest(name, known) or f"; available: {', '.join(known)}"
            raise _refused(f"{name}: unknown key{hint}") from error
        raise _refused(f"{name} {worded(first)}") from error
    if follows_validation(schedule):
        raise _refused(f"{spec.name} is for the whole run; use it as the schedule of the run")
    return schedule


def _refused(message: str) -> PydanticCustomError:
    return PydanticCustomError("own_schedule", "{message}", {"message": message})


OwnSchedule = Annotated[
    SerializeAsAny[TypedSection],
    BeforeValidator(_schedule_of),
    WithJsonSchema({"section": "schedule"}),
]


class GroupSection(Section):
    """Settings of the parameters that a pattern matches."""

    match: Pattern | Annotated[Items[Pattern], Field(min_length=1)] = setting(
        ...,
        "a layer or parameter by name, or a pattern such as blocks.* or *.bias; or a list of them",
    )
    lr: float | None = setting(
        None,
        "learning rate in place of optimizer.lr, before the schedule's factor",
        live=True,
        gt=0,
        le=1e4,
    )
    lr_factor: float | None = setting(
        None, "factor of optimizer.lr, in place of lr", live=True, gt=0, le=1e4
    )
    weight_decay: float | None = setting(
        None, "in place of optimizer.weight_decay", live=True, ge=0, le=1e3
    )
    decay: Decay | None = setting(None, "what decays, in place of optimizer.decay")
    schedule: OwnSchedule | None = setting(
        None,
        "a schedule of its own: a type, or a mapping with type; it counts from the first step that "
        "trains the group",
    )
    freeze: bool = setting(False, "do not train these parameters")
    freeze_until: int | None = setting(
        None,
        "the first step that trains these parameters; before it they are frozen",
        unit="steps",
        live=True,
        ge=1,
        lt=2**53,
    )

    @property
    def patterns(self) -> tuple[str, ...]:
        return (self.match,) if isinstance(self.match, str) else self.match

    @property
    def first_step(self) -> int:
        """The first step that trains the group, counted from 1."""
        return self.freeze_until or 1

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is as in the optimizer, as people write it."""
        defaults = {name: field.default for name, field in type(self).model_fields.items()}
        values = cast(dict[str, Any], serialize(self))
        return {name: value for name, value in values.items() if value != defaults[name]}


class MomentumGroupSection(GroupSection):
    """Settings of some parameters, with an optimizer that has a momentum."""

    momentum: float | None = setting(None, "in place of optimizer.momentum", live=True, ge=0, lt=1)


def group_contradictions(
    groups: tuple[GroupSection, ...], *, has_length: bool
) -> list[tuple[Path_, str]]:
    """Return contradictions inside of groups: the key to blame, and the message.

    `has_length`: the total number of steps is known.
    """
    found: list[tuple[Path_, str]] = []
    for index, group in enumerate(groups):
        key = ("optimizer", "groups", index)
        if group.schedule is not None and needs_horizon(group.schedule) and not has_length:
            found.append(((*key, "schedule"), needs_length(group.schedule)))
        if group.lr is not None and group.lr_factor is not None:
            found.append(((*key, "lr_factor"), "set this or lr, not both"))
        if group.freeze and group.freeze_until is not None:
            found.append(((*key, "freeze_until"), "set this or freeze, not both"))
    return found


def idle_settings(groups: tuple[GroupSection, ...]) -> list[tuple[Path_, str]]:
    """Return settings without effect, because their group is frozen for good, as above."""
    return [
        (("optimizer", "groups", index, name), f"{IDLE}; leave out either this or freeze")
        for index, group in enumerate(groups)
        if group.freeze
        for name in type(group).model_fields
        if name not in ("match", "freeze", "freeze_until") and getattr(group, name) is not None
    ]
