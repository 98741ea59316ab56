"""Overrides on the command line, such as `optimizer.lr=3e-4` or `optimizer=sgd`, and live edits.

Layer: config. Whole sections are replaced first, then types are set, then other fields, in
whatever order they are on the command line; of two overrides of a key the later one wins. A live
edit never changes config.yaml: the configuration in force at a step is that file plus all edits up
to the step. A setting may be named by its last part alone, as in `lr=3e-4`; which setting that is
depends on the types of the experiment, so `with_full_keys` decides it later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from tui_trainer.config.experiment import (
    SECTIONS,
    Experiment,
    absolute_paths,
    contradictions,
    kinds_of,
)
from tui_trainer.config.item_settings import (
    any_item,
    hint_on_none,
    is_inside,
    item_settings,
    section_of_items,
    setting_info,
    unknown_item_setting,
    with_setting,
)
from tui_trainer.config.sections.parameter_groups import IDLE, idle_settings
from tui_trainer.config.sections.section import extra_of
from tui_trainer.config.setting_names import (
    all_settings,
    full_key,
    keys_named,
    other_name,
    suggest_key,
)
from tui_trainer.config.tree import COMMAND_LINE, Tree
from tui_trainer.config.user_code import describe_user_error
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.value_errors import worded

DATA_PLACE = "dataset.path"
"""The setting for where the data are. Every command on a run takes it, because data are moved; the
fingerprint tells whether they are still the same."""


@dataclass(frozen=True, slots=True)
class Override:
    """One KEY=VALUE; `field` is empty if it replaces a whole section.

    `section` is empty as long as only the last part of the key is known.
    """

    section: str
    field: str
    value: Any

    @property
    def key(self) -> str:
        return ".".join(filter(None, (self.section, self.field)))


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """Parse KEY=VALUE words; ConfigError names every word that cannot be used."""
    problems: list[Problem] = []
    overrides: list[Override] = []
    for argument in arguments:
        key, equals, text = argument.partition("=")
        section, dot, name = key.partition(".")
        if not dot and section not in SECTIONS:
            section, name = "", key
        shown = clean(argument, 80)
        if not equals or not key or key.endswith("."):
            problems.append(Problem(f"expected KEY=VALUE, got {shown!r}", "", COMMAND_LINE))
        elif dot and section not in SECTIONS:
            hint = _hint_on_item(key) or suggest_key(section, SECTIONS)
            hint = hint or f"; available: {', '.join(SECTIONS)}"
            problems.append(Problem(f"unknown section{hint}", clean(key, 80), COMMAND_LINE))
        else:
            try:
                overrides.append(Override(section, name, parse_value(text)))
            except BadInput as error:
                problems.append(Problem(str(error), clean(key, 80), COMMAND_LINE))
    if problems:
        raise ConfigError(problems)
    return overrides


def _hint_on_item(key: str) -> str:
    """Return the whole key that `groups.0.lr` stands for, as a hint, or an empty string.

    A setting inside of a list has no short name.
    """
    name, _, rest = key.partition(".")
    keys = keys_named(name, all_settings()) or other_name(name, all_settings())
    lists = [f"{whole}.{rest}" for whole in keys if _has_items(whole)] if is_inside(key) else []
    if not lists:
        return ""
    return f" (did you mean {' or '.join(repr(clean(meant, 80)) for meant in lists)}?)"


def _has_items(key: str) -> bool:
    """Whether a setting is a list of sections in a type of its section."""
    section, _, name = key.partition(".")
    fields = [kind.model_fields[name] for kind in kinds_of(section) if name in kind.model_fields]
    return any(section_of_items(info) is not None for info in fields)


def with_full_keys(
    overrides: Sequence[Override], keys: Collection[str]
) -> tuple[list[Override], list[Problem]]:
    """Return the overrides with the sections of those that have only the last part of a key.

    Those that mean no setting among `keys`, or more than one, are left out; a problem names each.
    """
    found: list[Override] = []
    problems: list[Problem] = []
    for override in overrides:
        if override.section:
            found.append(override)
            continue
        try:
            section, _, name = full_key(override.field, (*keys, *SECTIONS)).partition(".")
            found.append(replace(override, section=section, field=name))
        except BadInput as error:
            problems.append(Problem(str(error), clean(override.field, 80), COMMAND_LINE))
    return found, problems


def overrides_of(experiment: Experiment, overrides: Sequence[Override]) -> tuple[Override, ...]:
    """Return the overrides with full keys of this experiment; raises ConfigError."""
    found, problems = with_full_keys(overrides, experiment.all_keys())
    if problems:
        raise ConfigError(problems)
    return tuple(found)


def live_keys(experiment: Experiment) -> list[str]:
    """Return the keys that can be edited while this experiment is training."""
    keys: list[str] = []
    for key in SECTIONS:
        section = getattr(experiment, key)
        fields = [*type(section).model_fields.items(), *item_settings(section)]
        keys += [f"{key}.{name}" for name, info in fields if extra_of(info).get("live")]
    return keys


def editable_keys(experiment: Experiment) -> list[str]:
    """Return the live keys without those of groups that are frozen for good.

    A new edit of those has no effect and is refused, but a recorded one must still be replayed.
    """
    groups = enumerate(experiment.optimizer.groups)
    frozen = tuple(f"optimizer.groups.{number}." for number, group in groups if group.freeze)
    return [key for key in live_keys(experiment) if not key.startswith(frozen)]


def check_live(experiment: Experiment, key: str) -> None:
    """Raise BadInput unless the key can be edited while this experiment is training."""
    live = live_keys(experiment)
    if key in live:
        return
    if key in SECTIONS or experiment.info(key) is not None:
        raise BadInput(
            f"{key} cannot be edited while training, because earlier steps depend on it; "
            f"these can: {', '.join(dict.fromkeys(map(any_item, live)))}"
        )
    section, _, name = key.partition(".")
    if section in SECTIONS and is_inside(name):
        hint = unknown_item_setting(getattr(experiment, section), key)
    else:
        inside = [known for known in live if known.endswith(f".{key}")]
        hint = suggest_key(key, inside or experiment.all_keys())
    raise BadInput(f"no setting {clean(key, 80)!r}{hint}")


def edited(experiment: Experiment, key: str, value: Any, *, is_new: bool = True) -> Experiment:
    """Return the experiment with one live setting changed.

    Edits that a run has recorded may set what has no effect, which is refused in a new one.

    Raises:
        BadInput: the key is unknown or not live, or the value is invalid; gives the reason.
    """
    check_live(experiment, key)
    changed = with_value(experiment, key, value)
    wrong = contradictions(changed)
    if is_new:
        known = idle_settings(experiment.optimizer.groups)
        wrong += [
            (blamed, f"{IDLE}, which holds for the whole run")
            for blamed, message in idle_settings(changed.optimizer.groups)
            if (blamed, message) not in known
        ]
    if wrong:
        raise BadInput(f"{key}={clean(repr(value), 60)}: {wrong[0][1]}")
    return changed


def with_value(experiment: Experiment, key: str, value: Any) -> Experiment:
    """Return the experiment with one setting changed, live or not.

    The section is validated, but contradictions with other sections are not checked. A relative
    file name starts from the current directory.

    Raises:
        BadInput: the value is invalid; gives the reason.
    """
    section, _, name = key.partition(".")
    old = getattr(experiment, section)
    if is_inside(name):
        given = with_setting(old.model_dump(mode="json"), name, value)
    else:
        given = absolute_paths(Tree(), section, type(old), {name: value})
    try:
        new = type(old).model_validate({**old.model_dump(mode="json"), **given})
    except ValidationError as error:
        message = worded(error.errors(include_url=False)[0])
        if hint := hint_on_none(setting_info(old, name), value):
            message += f"{hint}, as {key}="
        raise BadInput(f"{key}={clean(repr(value), 60)}: {message}") from error
    except Exception as error:
        # A plugin's section may have validators of its own.
        if not (text := describe_user_error(error)):
            raise
        raise BadInput(f"{key}={clean(repr(value), 60)}: {text}") from error
    return replace(experiment, **{section: new})
