"""`Composition`: the result of an experiment preset, other presets chosen, and typed texts.

Layer: config. It is immutable: a draft makes a new one at each edit, and gets texts, problems and
the experiment from it. Everything is computed on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tui_trainer.config.drafts.fields import Field, FieldGroup, field_at, groups_of
from tui_trainer.config.drafts.values import argument_text, entry_text, read_entry
from tui_trainer.config.experiment import PLAIN, REGISTRIES, SECTIONS, Experiment, check_section
from tui_trainer.config.item_settings import is_inside, plain_value, setting_info, setting_value
from tui_trainer.config.overrides import Override
from tui_trainer.config.presets import PresetLibrary, assemble, compose, experiment_path
from tui_trainer.config.sections.section import Section
from tui_trainer.config.tree import COMMAND_LINE, Tree
from tui_trainer.config.yaml.reader import Document, parse_value
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.shell import is_plain

WHOLE = "experiment"
"""The key of a problem with the experiment's file as a whole."""

_NUMBERS = ("should be a number", "should be a whole number")
_MOST_GIVEN = 60


class PresetValues:
    """The sections of a tree, each checked on its own, so a broken one does not hide the rest."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._sections = {key: _checked(tree, key) for key in SECTIONS}

    def raw(self, section: str) -> dict[str, Any]:
        """Return the values written for a section, unchecked."""
        values = self._tree.values.get(section)
        return values if isinstance(values, dict) else {}

    def type_of(self, section: str) -> str:
        """Return the type of a section as it is written, even if there is no such type."""
        value = self.raw(section).get("type", "")
        return value if isinstance(value, str) else ""

    def value(self, key: str) -> Any:
        """Return the value of a field: checked, or as written, or the default; else None."""
        section, _, name = key.partition(".")
        whole = self._sections[section]
        if whole is not None:
            return None if setting_info(whole, name) is None else value_in(whole, name)
        if name in self.raw(section):
            return self.raw(section)[name]
        spec = REGISTRIES[section].find(self.type_of(section)) if section in REGISTRIES else None
        kind = spec.params if spec is not None else PLAIN.get(section)
        info = kind.model_fields.get(name) if kind is not None else None
        return None if info is None or info.is_required() else info.default


def value_in(section: Section, name: str) -> Any:
    """Return the value of a setting of a section as a form has it: sections in it as mappings."""
    return plain_value(setting_value(section, name))


def _checked(tree: Tree, section: str) -> Section | None:
    try:
        return check_section(tree, section)
    except ConfigError:
        return None


@dataclass(frozen=True)
class Composition:
    """An experiment preset (or file), presets chosen by kind, and typed texts by key."""

    library: PresetLibrary
    base: str
    chosen: Mapping[str, str]
    texts: Mapping[str, str]

    @cached_property
    def document(self) -> tuple[Document, Path] | None:
        """The base file; None if it cannot be read."""
        try:
            return self.read_base()
        except BadInput:
            return None

    def read_base(self) -> tuple[Document, Path]:
        """Read the base file; raises BadInput."""
        path = experiment_path(self.library, self.base)
        return self.library.read(path), path

    def preset_of_base(self, kind: str) -> tuple[str, bool]:
        """Return the preset that the base file names for a kind, and whether it is used as is."""
        value = self.document[0].data.get(kind) if self.document is not None else None
        if isinstance(value, str):
            is_type = not self.library.has(kind, value) and REGISTRIES[kind].find(value)
            return ("", False) if is_type else (value, True)
        if isinstance(value, dict) and isinstance(value.get("preset"), str):
            return value["preset"], len(value) == 1
        return "", False

    @cached_property
    def presets(self) -> PresetValues:
        """The values of the presets, before typed types are applied."""
        return self._assembled([])

    @cached_property
    def unedited(self) -> PresetValues:
        """The values of the presets with typed types applied: those that a reset restores."""
        typed = [
            Override(section, "type", self.types[section])
            for section in REGISTRIES
            if f"{section}.type" in self.texts
        ]
        return self._assembled(typed) if typed else self.presets

    def _assembled(self, typed: list[Override]) -> PresetValues:
        if self.document is None:
            return PresetValues(Tree())
        chosen = [Override(kind, "", name) for kind, name in self.chosen.items()]
        tree, _ = assemble(self.library, *self.document, [*chosen, *typed])
        return PresetValues(tree)

    @cached_property
    def types(self) -> dict[str, str]:
        """The type of each section that has one, as typed or else as written."""
        found = {}
        for section in REGISTRIES:
            text = self.texts.get(f"{section}.type")
            found[section] = self.presets.type_of(section) if text is None else _type_in(text)
        return found

    @cached_property
    def groups(self) -> list[FieldGroup]:
        """The groups of fields; limits that the presets set are not folded away."""
        fields = [field for group in groups_of(self.types) for field in group.fields]
        limits = [field for field in fields if field.is_limit and field.advanced]
        set_there = [
            field.key
            for field in limits
            if self.unedited.value(field.key) not in (None, field.default)
        ]
        return groups_of(self.types, frozenset(set_there))

    def field(self, key: str) -> Field | None:
        """Return the field of a key, or None if the current types have no such field."""
        return field_at(key, self.types)

    def text(self, key: str) -> str:
        """Return the text of a field: as typed, or else as the presets have it."""
        return self.texts[key] if key in self.texts else self.preset_text(key)

    def preset_text(self, key: str) -> str:
        """Return the text of a field into which nothing was typed."""
        section, _, name = key.partition(".")
        if name == "type" and section in REGISTRIES:
            return self.presets.type_of(section)
        return entry_text(self.unedited.value(key), self.field(key)) if name else ""

    def value(self, key: str) -> Any:
        """Return the value of the text typed for a key; raises BadInput."""
        return read_entry(self.field(key), self.texts[key])

    def is_changed(self, key: str) -> bool:
        """Whether the typed text has another value than the preset."""
        if key not in self.texts:
            return False
        if key.endswith(".type") or self.field(key) is None:
            return True
        try:
            return not _alike(self.value(key), self.unedited.value(key))
        except BadInput:
            return True

    @cached_property
    def changed(self) -> list[str]:
        """The keys whose texts differ from the presets, by section, types before other fields."""
        place = {section: index for index, section in enumerate(SECTIONS)}
        keys = [key for key in self.texts if self.is_changed(key)]
        return sorted(keys, key=lambda key: (place[key.partition(".")[0]], key[-5:] != ".type"))

    def argument(self, key: str) -> str:
        """Return the text of a key as it is written on a command line."""
        text = self.texts[key].strip()
        try:
            value = self.value(key)
        except BadInput:
            return text
        try:
            plain = parse_value(text)
        except BadInput:
            return argument_text(value)
        if type(plain) is type(value) and plain == value and is_plain(text):
            return text
        return argument_text(value)

    @property
    def readable(self) -> list[Override]:
        """The choices and the texts that can be read, as overrides."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[list[Override], dict[str, str]]:
        """The overrides that can be read, and the errors of the others by key."""
        overrides = [Override(kind, "", name) for kind, name in self.chosen.items()]
        wrong: dict[str, str] = {}
        for key in self.changed:
            section, _, name = key.partition(".")
            try:
                overrides.append(Override(section, name, self.value(key)))
            except BadInput as error:
                wrong[key] = str(error)
        return overrides, wrong

    @cached_property
    def _found(self) -> tuple[Experiment | None, tuple[Problem, ...]]:
        """The resolved experiment, or its problems; texts that cannot be read are left out."""
        try:
            document, path = self.read_base()
            experiment = compose(self.library, self.base, document, path, self._read[0])
        except ConfigError as error:
            return None, error.problems
        except BadInput as error:
            return None, (Problem(str(error)),)
        # What is typed into a form is not on a command line, where a message would look for it.
        typed = {path for path, place in experiment.places.items() if place.source == COMMAND_LINE}
        places = {path: experiment.places[path] for path in experiment.places.keys() - typed}
        return replace(experiment, places=places), ()

    @cached_property
    def result(self) -> tuple[Experiment | None, dict[str, str]]:
        """The experiment and no problems, or None and the problems by key."""
        experiment, found = self._found
        problems = dict(self._read[1])
        for problem in found:
            key = _field_key(problem)
            if key not in self._read[1]:
                told = problems.get(key)
                message = item_name(problem) + self._worded(problem, self.field(key))
                problems[key] = f"{told}; {message}" if told else message
        return (None if problems else experiment), problems

    def _worded(self, problem: Problem, field: Field | None) -> str:
        """Return a problem's message, with the value or, if the cause is in a file, the place."""
        if problem.source not in ("", COMMAND_LINE) and problem in self._of_files:
            line = "" if problem.line is None else f":{problem.line}"
            return f"{problem.source}{line}: {problem.message}"
        message, got, given = problem.message.partition(" (got ")
        if field is not None and message.startswith("should match pattern"):
            message = f"should be {field.description.partition(';')[0]}"
        elif field is not None and field.kind in ("int", "float") and message in _NUMBERS:
            message = f"{message}, {field.bounds}" if field.bounds else message
        if field is None:
            return message + got + given
        text = clean(self.text(field.key).strip(), _MOST_GIVEN)
        if given == "())":
            got = given = ""
        if not got and text and text not in message:
            got, given = " (got ", f"{text})"
        return message + got + given

    @cached_property
    def _of_files(self) -> tuple[Problem, ...]:
        """The problems that exist before anything is typed."""
        if not self.texts:
            return self._found[1]
        return Composition(self.library, self.base, self.chosen, {})._found[1]


def _type_in(text: str) -> str:
    try:
        value = parse_value(text)
    except BadInput:
        value = text
    return value if isinstance(value, str) else text.strip()


def _alike(one: Any, other: Any) -> bool:
    """Whether values are equal: lists equal tuples and ints equal floats, but true is not 1."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_alike, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _field_key(problem: Problem) -> str:
    """Return the key of the field or section at which a problem is shown."""
    return field_key(problem) or WHOLE


def field_key(problem: Problem) -> str:
    """Return the key of the field of a form that a problem is about; empty if it is of none."""
    return ".".join(problem.key.split(".")[:2])


def item_name(problem: Problem) -> str:
    """Return the name of a setting inside of a list that a problem is about, or an empty string."""
    _, _, name = problem.key.partition(".")
    return f"{name} " if is_inside(name) and name.count(".") > 1 else ""
