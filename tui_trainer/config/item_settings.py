"""Settings inside of lists, such as `optimizer.groups.0.lr`: the lr of the first group.

Layer: config. A setting that is a list of sections has settings by number and name. They can be
overridden and edited one by one, but they have no short names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from tui_trainer.config.sections.section import Section
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

_NONE = ("none", "nil", "off", "no", "never", "empty")


def section_of_items(info: FieldInfo) -> type[Section] | None:
    """Return the section of the items of a setting, or None if it is no list of sections."""
    arguments = get_args(info.annotation)
    if get_origin(info.annotation) is not tuple or not isinstance(arguments[0], type):
        return None
    return arguments[0] if issubclass(arguments[0], Section) else None


def is_inside(name: str) -> bool:
    """Whether the part of a key behind its section is inside of a list, as `groups.0.lr`."""
    return name.partition(".")[2].partition(".")[0].isdecimal()


def path_of(name: str) -> tuple[str | int, ...]:
    """Return the parts of such a name; the numbers in it are those of items."""
    if not is_inside(name):
        return (name,)
    return tuple(int(part) if part.isdecimal() else part for part in name.split("."))


def any_item(key: str) -> str:
    """Return a key with N in place of the numbers of items, to stand for all of them."""
    return ".".join("N" if part.isdecimal() else part for part in key.split("."))


def item_settings(section: Section) -> Iterator[tuple[str, FieldInfo]]:
    """Yield the settings inside of the lists of a section, as `groups.0.lr`."""
    for name in type(section).model_fields:
        items = getattr(section, name)
        if isinstance(items, tuple):
            for number, item in enumerate(items):
                if isinstance(item, Section):
                    for field, info in type(item).model_fields.items():
                        yield f"{name}.{number}.{field}", info


def setting_info(section: Section, name: str) -> FieldInfo | None:
    """Return the field of a setting of a section, or of one inside of its lists; None: no such."""
    if not is_inside(name):
        return type(section).model_fields.get(name)
    return dict(item_settings(section)).get(name)


def setting_value(section: Section, name: str) -> Any:
    """Return the value of a setting that `setting_info` knows."""
    value: Any = section
    for part in path_of(name):
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


def hint_on_none(info: FieldInfo | None, value: Any) -> str:
    """Return how to leave a setting empty if its value is a word such as none, else nothing."""
    may_be_empty = info is not None and type(None) in get_args(info.annotation)
    is_none = isinstance(value, str) and value.strip().lower() in _NONE
    return "; leave the value empty for none" if may_be_empty and is_none else ""


def plain_value(value: Any) -> Any:
    """Return a value with plain mappings in place of sections, as a file holds them."""
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    if isinstance(value, tuple | list) and any(isinstance(item, Section) for item in value):
        return [plain_value(item) for item in value]
    return value


def with_setting(values: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return the plain values of a section with one of them changed, also inside of a list.

    Raises:
        BadInput: there is no such item of a list; says which there are.
    """
    if not is_inside(name):
        return {**values, name: value}
    whole, _, rest = name.partition(".")
    number, _, field = rest.partition(".")
    items = values.get(whole) or []
    if not isinstance(items, list | tuple):
        raise BadInput(f"{clean(whole, 40)} is not a list; leave out .{clean(rest, 40)}")
    if int(number) >= len(items):
        shown = clean(whole, 40)
        there = f"the last one is {shown}.{len(items) - 1}" if items else "there are none"
        raise BadInput(f"no {shown}.{number}: {there}; {shown}=[...] sets the whole list")
    changed = list(items)
    if field and isinstance(changed[int(number)], Mapping):
        value = {**changed[int(number)], field: value}
    changed[int(number)] = value
    return {**values, whole: changed}


def unknown_item_setting(section: Section, key: str) -> str:
    """Return a hint for the key of a setting in a list of its section that there is not."""
    whole, _, name = key.partition(".")
    first = name.partition(".")[0]
    known = [name for name, _ in item_settings(section) if name.startswith(f"{first}.")]
    there = [f"{whole}.{name}" for name in known]
    return suggest(key, there) or (f"; available: {', '.join(there[:12])}" if there else "")
