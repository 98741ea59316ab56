"""The fields of a configuration as a form shows them: label, kind, bounds, choices, groups.

Layer: config. Fields are derived from the sections and the registries, so a new type needs no
change here; only the groups, the order and the list of rarely changed fields are tables.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from tui_trainer.config.experiment import PLAIN, REGISTRIES
from tui_trainer.config.item_settings import section_of_items
from tui_trainer.config.named_choices import named_choices, own_choices, with_origin
from tui_trainer.config.sections.datasets import ImagesSection, RowsSection
from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.config.sections.section import Section, Spec, extra_of


@dataclass(frozen=True, slots=True)
class Field:
    """One setting as a form shows it. Clean labels and descriptions: plugins may define them."""

    key: str
    label: str
    description: str
    unit: str
    kind: Kind
    optional: bool
    """Whether it may be left empty."""
    live: bool
    bounds: str
    """The bounds in words, as `above 0, at most 10,000`; empty if there are none."""
    choices: tuple[str, ...]
    choice_texts: tuple[str, ...]
    """A description of each choice, or an empty string."""
    advanced: bool
    """Whether it is folded away."""
    of_texts: bool = False
    """Whether it is a list of texts."""
    of_sections: bool = False
    """Whether it is a list of mappings of settings."""
    is_limit: bool = False
    """Whether it ends a run or leaves something out."""
    default: Any = None
    """Its value if nothing is said; None also if it has to be said."""

    @property
    def section(self) -> str:
        return self.key.partition(".")[0]


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """Fields shown under one title; they may come from several sections."""

    title: str
    sections: tuple[str, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A group: its title, its sections, and the fields not folded away (`x.*`: all fields of x)."""

    title: str
    sections: tuple[str, ...]
    shown: tuple[str, ...]


_PLANS = (
    _Plan(
        "Training",
        ("training", "early_stopping", "loss", "recipe", "transform"),
        (
            "training.epochs",
            "training.batch_size",
            "early_stopping.patience",
            "loss.*",
            "recipe.*",
            "transform.*",
            "training.seed",
            "training.device",
        ),
    ),
    _Plan(
        "Optimizer",
        ("optimizer", "schedule"),
        ("optimizer.lr", "optimizer.weight_decay", "optimizer.momentum", "schedule.*"),
    ),
    _Plan("Model", ("model",), ("model.*",)),
    _Plan(
        "Data",
        ("dataset", "problem", "loader"),
        (
            "dataset.path",
            "dataset.target",
            "dataset.missing",
            "dataset.val_fraction",
            "dataset.shift_pixels",
            "dataset.rotate_degrees",
            "loader.num_workers",
        ),
    ),
    _Plan("Checkpoints", ("checkpoint",), ("checkpoint.every_seconds", "checkpoint.monitor")),
    _Plan("Logging", ("logging",), ()),
)
# Usually chosen in the lists of presets; the fields are for types without a preset.
_RARE = frozenset({"model.type", "optimizer.type", "dataset.type"})


def groups_of(
    chosen: Mapping[str, str], unfolded: frozenset[str] = frozenset()
) -> list[FieldGroup]:
    """Return the groups of an experiment whose sections have these types.

    A section of unknown type has only the field for its type. `unfolded` are the keys of fields
    that are not folded away although they are rarely changed.
    """
    types = tuple(chosen.get(section, "") for section in REGISTRIES)
    data = REGISTRIES["dataset"].find(chosen.get("dataset", ""))
    # What to fold away of a built-in data set is in the table above.
    unfolded |= {f"dataset.{name}" for name in own_settings(data)}
    # A plugin that is loaded later adds to them.
    known = (*(registry.names for registry in REGISTRIES.values()), tuple(METRICS))
    return list(_groups(types, known, unfolded))


def own_settings(data: Spec | None) -> list[str]:
    """Return the settings that a plugin's data set has for itself, and no other one has."""
    if data is None or not data.origin:
        return []
    shared = {*RowsSection.model_fields, "path"}
    if issubclass(data.params, ImagesSection):
        shared |= ImagesSection.model_fields.keys()
    return [name for name in data.params.model_fields if name not in shared]


@lru_cache(maxsize=64)
def _groups(
    chosen: tuple[str, ...], known: tuple[tuple[str, ...], ...], unfolded: frozenset[str]
) -> tuple[FieldGroup, ...]:
    kinds: dict[str, type[Section]] = dict(PLAIN)
    for (section, registry), name in zip(REGISTRIES.items(), chosen, strict=True):
        spec = registry.find(name)
        if spec is not None:
            kinds[section] = spec.params
    return tuple(_group(plan, kinds, unfolded) for plan in _PLANS)


def _group(plan: _Plan, kinds: Mapping[str, type[Section]], unfolded: frozenset[str]) -> FieldGroup:
    found: dict[str, Field] = {}
    labels: set[str] = set()
    for section in plan.sections:
        if section in ("recipe", "transform") and len(REGISTRIES[section].names) < 2:
            continue  # nothing to choose
        for field in fields_of(section, kinds.get(section)):
            label = field.label if field.label not in labels else f"{_words(section)} {field.label}"
            labels.add(label)
            advanced = field.key in _RARE or _rank(plan, field.key) == len(plan.shown)
            advanced = advanced and field.key not in unfolded
            found[field.key] = replace(field, label=label, advanced=advanced)

    def place(field: Field) -> tuple[bool, int]:
        return field.advanced, 0 if field.key in unfolded else _rank(plan, field.key)

    # The sort is stable: fields of equal rank stay in the order of their section.
    ordered = sorted(found.values(), key=place)
    return FieldGroup(plan.title, plan.sections, tuple(ordered))


def _rank(plan: _Plan, key: str) -> int:
    """Return the index of a key among the fields shown, or their number for any other key."""
    section = key.partition(".")[0]
    for rank, pattern in enumerate(plan.shown):
        if pattern in (key, f"{section}.*"):
            return rank
    return len(plan.shown)


def fields_of(section: str, kind: type[Section] | None) -> list[Field]:
    """Return the fields of a section, in order; if `kind` is None, only the field for its type."""
    fields = [_type_field(section)] if section in REGISTRIES else []
    if kind is not None:
        for name, info in kind.model_fields.items():
            if not (name == "type" and section in REGISTRIES):
                fields.append(_field(section, name, info))
    return fields


def field_at(key: str, chosen: Mapping[str, str]) -> Field | None:
    """Return the field of a key, given the types of the sections; None if there is none."""
    for group in groups_of(chosen):
        for field in group.fields:
            if field.key == key:
                return field
    return None


def matches(field: Field, words: Sequence[str]) -> bool:
    """Whether all words, which must be lower case, are in the key, label or description."""
    text = f"{field.key} {field.label} {field.description}".lower()
    return all(word in text for word in words)


def best_match(groups: Sequence[FieldGroup], text: str) -> Field | None:
    """Return the best match for a search: equal names first, then prefixes, then words in names,
    then descriptions.
    """
    asked = text.lower().strip()
    words = asked.split()

    def distance(field: Field) -> int:
        names = {field.key, field.key.partition(".")[2], field.label.lower()}
        if asked in names:
            return 0
        if any(name.startswith(asked) for name in names):
            return 1
        return 2 if all(any(word in name for name in names) for word in words) else 3

    found = [field for group in groups for field in group.fields if matches(field, words)]
    return min(found, key=distance, default=None) if words else None


def _type_field(section: str) -> Field:
    registry = REGISTRIES[section]
    return Field(
        key=f"{section}.type",
        label=_words(section),
        description=f"kind of {_words(section)}",
        unit="",
        kind="choice",
        optional=False,
        live=False,
        bounds="",
        choices=registry.names,
        choice_texts=tuple(with_origin(spec.description, spec.origin) for spec in registry),
        advanced=False,
    )


def _field(section: str, name: str, info: FieldInfo) -> Field:
    extra = extra_of(info)
    shape = shape_of(info.annotation)
    texts = dict.fromkeys(shape.choices, "")
    description = info.description or ""
    if names := named_choices(extra.get("choices")):
        if shape.kind == "text":
            shape, texts = Shape("choice", shape.optional, tuple(names)), names
        elif own := own_choices(extra.get("choices")):
            # First, because a form cuts a long description.
            description = f"of plugins: {own}; {description}"
    return Field(
        key=f"{section}.{name}",
        label=_words(name),
        description=description,
        unit=str(extra.get("unit", "")),
        kind=shape.kind,
        optional=shape.optional,
        live=bool(extra.get("live")),
        bounds=bounds_of(shape, info),
        choices=shape.choices,
        choice_texts=tuple(texts.values()),
        advanced=False,
        of_texts=shape.item is not None and shape_of(shape.item).kind == "text",
        of_sections=section_of_items(info) is not None,
        is_limit=bool(extra.get("limit")),
        default=None if info.is_required() else info.default,
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


# Annotations of settings: kind, choices, whether the field may be empty, and bounds. Only
# annotations that the sections use are distinguished; anything else is `other`.

Kind = Literal["int", "float", "bool", "choice", "text", "list", "other"]
"""A value of kind `other` is typed as YAML."""

# Bounds from here on are limits of the YAML reader, and of no interest to the user.
_HUGE = 2**53


@dataclass(frozen=True, slots=True)
class Shape:
    """The kind of value that an annotation describes."""

    kind: Kind
    optional: bool = False
    choices: tuple[str, ...] = ()
    """Of a bool only where there are more than false and true."""
    item: Any = None
    """The annotation of the items of a list."""


_SIMPLE: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}


def shape_of(annotation: Any) -> Shape:
    """Return the shape of an annotation: a scalar, a choice or a list, each possibly optional."""
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
    if len(shapes) == 2 and bool in parts and words:
        return Shape("bool", optional, ("false", "true", *words[0].choices))
    return Shape("other", optional)


def bounds_of(shape: Shape, info: FieldInfo) -> str:
    """Return the bounds in words, as `above 0, at most 10,000`; empty if there are none."""
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
    """Return bounds in words from the metadata of pydantic."""
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
    """Return the allowed number of items of a list, in words."""
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
