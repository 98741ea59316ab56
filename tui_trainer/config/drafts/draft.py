"""`Draft`: an experiment that is being composed: a preset, other presets chosen, and what is typed.

Layer: config; one thread. A draft holds texts, not values: what is typed stays as it was typed,
wrong or not, and becomes an experiment by the same code as the words of a command line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.drafts.composition import Composition
from tui_trainer.config.drafts.export import command_of, write_preset
from tui_trainer.config.drafts.fields import Field, FieldGroup, groups_of
from tui_trainer.config.drafts.values import argument_text, entry_text
from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.overrides import Override
from tui_trainer.config.presets import (
    DEFAULT_EXPERIMENT,
    KINDS,
    PresetLibrary,
)
from tui_trainer.config.sections.section import Section
from tui_trainer.text.errors import TrainerError

CHOSEN_KINDS: tuple[str, ...] = tuple(kind for kind in KINDS if kind != "experiment")


@dataclass(frozen=True, slots=True)
class Change:
    """A difference from the experiment preset: the name of a kind or of a field, and texts."""

    key: str
    before: str
    after: str


class Draft:
    """The experiment being composed; pure data that belongs to one thread."""

    def __init__(
        self,
        library: PresetLibrary,
        experiment: str = DEFAULT_EXPERIMENT,
    ) -> None:
        self._library = library
        self._base = experiment
        self._chosen: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        # Of each type that a section had: coming back to it brings its fields back.
        self._set_aside: dict[tuple[str, str], dict[str, str]] = {}
        self._now = self._composed()

    @property
    def library(self) -> PresetLibrary:
        """Where its presets are."""
        return self._library

    @property
    def base(self) -> str:
        """The experiment preset, or file, that it started from."""
        return self._base

    def preset(self, kind: str) -> str:
        """The name of the preset that fills a kind; empty where none does."""
        if kind == "experiment":
            return self._base
        if f"{kind}.type" in self._texts:
            return ""
        return self._chosen.get(kind, self._now.preset_of_base(kind)[0])

    def choose_experiment(self, name: str) -> None:
        """Start anew from another experiment; every choice and every edit is dropped."""
        self._base = name
        self._chosen.clear()
        self._texts.clear()
        self._set_aside.clear()
        self._now = self._composed()

    def choose(self, kind: str, name: str) -> None:
        """Fill a kind from a preset; edits of its own fields are dropped, those of others kept."""
        if kind == "experiment":
            self.choose_experiment(name)
            return
        if kind not in CHOSEN_KINDS:
            raise KeyError(kind)
        self._drop(kind)
        if self._now.preset_of_base(kind) == (name, True):
            self._chosen.pop(kind, None)
        else:
            self._chosen[kind] = name
        self._now = self._composed()

    def groups(self) -> list[FieldGroup]:
        """What a form shows; it depends on the types that are chosen."""
        return groups_of(self._now.types)

    def text(self, key: str) -> str:
        """What stands in a field: what was typed, or else what the presets give."""
        return self._texts[key] if key in self._texts else self.preset_text(key)

    def set(self, key: str, text: str) -> None:
        """Type a text into a field; what is wrong with it is a problem, and it stays as it is.

        Another type takes the fields of the old one away; what was typed into them comes back
        with the type. KeyError when there is no such section.
        """
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name:
            raise KeyError(key)
        if name == "type" and section in REGISTRIES:
            self._set_type(section, text)
        elif text == self.preset_text(key):
            self._texts.pop(key, None)
        else:
            self._texts[key] = text
        self._now = self._composed()

    def set_section(self, section: str, text: str) -> None:
        """Have a whole section be what a word of a command line says: a mapping."""
        self._texts[section] = text
        self._now = self._composed()

    def reset(self, key: str) -> None:
        """Take back what was typed into a field, or, with the name of a kind, what was chosen."""
        section, _, name = key.partition(".")
        if key in CHOSEN_KINDS:
            self._drop(key)
            self._chosen.pop(key, None)
        elif name == "type" and section in REGISTRIES:
            self._set_type(section, self.preset_text(key))
        else:
            self._texts.pop(key, None)
        self._now = self._composed()

    def field(self, key: str) -> Field | None:
        """The field of a key, with the types that are chosen."""
        return self._now.field(key)

    def preset_value(self, key: str) -> Any:
        """What the presets give a field, as a value."""
        return self._now.unedited.value(key)

    def preset_text(self, key: str) -> str:
        """What resetting a field gives."""
        return self._now.preset_text(key)

    def is_changed(self, key: str) -> bool:
        """Whether a field means something else than the preset's value."""
        return self._now.is_changed(key)

    def problem(self, key: str) -> str:
        """What is wrong with a field, or nothing."""
        return self.problems.get(key, "")

    @property
    def problems(self) -> dict[str, str]:
        """Everything that is wrong, by field.

        What blames no field is under its section, and what is wrong with the file as a whole
        under `experiment`.
        """
        return self._now.result[1]

    @property
    def experiment(self) -> Experiment | None:
        """What it resolves to; None while there are problems."""
        return self._now.result[0]

    @property
    def changes(self) -> list[Change]:
        """The difference from the experiment preset: presets chosen, then fields."""
        chosen = [Change(kind, self._described(kind), name) for kind, name in self._chosen.items()]
        return chosen + [
            Change(key, self.preset_text(key), self._texts[key].strip())
            for key in self._now.changed
        ]

    def command(self) -> str:
        """The command line that starts an equal experiment, quoted for a shell."""
        return command_of(self._now)

    def save(self, name: str, folder: Path, *, replace: bool = False) -> Path:
        """Write it as an experiment preset of one's own below `folder`, and return the file.

        The file names the presets and the differences from them, and resolves to an equal
        experiment but for its name.

        Raises:
            BadInput: there are problems, the name is unsafe, or the file exists already.
            CannotWrite: the file cannot be written.
        """
        return write_preset(self._now, name, folder, replace=replace)

    def _composed(self) -> Composition:
        return Composition(self._library, self._base, dict(self._chosen), dict(self._texts))

    def _described(self, kind: str) -> str:
        name, pure = self._now.preset_of_base(kind)
        if not name:
            return "its own"
        return name if pure else f"{name}, changed"

    def _drop(self, section: str) -> None:
        """Forget what was typed into a section, and what was set aside of it."""
        for key in [key for key in self._texts if key.partition(".")[0] == section]:
            del self._texts[key]
        for place in [place for place in self._set_aside if place[0] == section]:
            del self._set_aside[place]

    def _set_type(self, section: str, text: str) -> None:
        key = f"{section}.type"
        if text == self.text(key):
            return
        typed = {k: self._texts[k] for k in self._texts if k.startswith(f"{section}.")}
        for old in typed:
            del self._texts[old]
        typed.pop(key, None)
        self._set_aside[section, self._now.types[section]] = typed
        if text != self.preset_text(key):
            self._texts[key] = text
        self._now = self._composed()
        self._texts.update(self._set_aside.pop((section, self._now.types[section]), {}))


# Drafts of what there is already: the words of a command line, the experiment of a run.
#
# A draft is typed into as a person would, so that what it then says, shows and resolves to
# follows from the same code.


def draft_with(
    library: PresetLibrary,
    experiment: str = DEFAULT_EXPERIMENT,
    overrides: Sequence[Override] = (),
) -> Draft:
    """A draft of a preset with overrides.

    They are taken over in the order in which `compose` would: sections, types, fields.
    """
    draft = Draft(library, experiment)
    for override in overrides:
        if not override.field:
            _set_section(draft, override.section, override.value)
    for override in overrides:
        if override.field == "type":
            draft.set(override.key, _written(override.value))
    for override in overrides:
        if override.field not in ("", "type"):
            _set_field(draft, override.section, override.field, override.value)
    return draft


def draft_of(library: PresetLibrary, experiment: Experiment, source: Path | None = None) -> Draft:
    """A draft that resolves to a run's experiment.

    It starts from the preset of that name; where there is none, or one that was broken since, from
    `source`, a file as a run's config.yaml, or else from the default preset. Name and description
    are the start's.
    """
    base = experiment.name
    if not _resolves(library, base):
        base = os.path.abspath(source) if source is not None else DEFAULT_EXPERIMENT
    draft = Draft(library, base)
    for section in SECTIONS:
        _adopt(draft, section, getattr(experiment, section))
    return draft


def _resolves(library: PresetLibrary, name: str) -> bool:
    try:
        library.experiment(library.find("experiment", name).name)
    except TrainerError:
        return False
    return True


def _set_section(draft: Draft, section: str, value: Any) -> None:
    """A preset's name, a type, or a mapping with either and fields beside it."""
    if not isinstance(value, str) or section not in REGISTRIES:
        draft.set_section(section, argument_text(value))
    elif section in CHOSEN_KINDS and (
        draft.library.has(section, value) or not REGISTRIES[section].find(value)
    ):
        draft.choose(section, value)
    else:
        draft.set(f"{section}.type", value)


def _set_field(draft: Draft, section: str, name: str, value: Any) -> None:
    key = f"{section}.{name}"
    field = draft.field(key)
    draft.set(key, _written(value) if field is None else entry_text(value, field))


def _adopt(draft: Draft, section: str, wanted: Section) -> None:
    """Make a section resolve to `wanted`, by a preset that gives it or field by field."""
    fields = type(wanted).model_fields
    if all(draft.preset_value(f"{section}.{name}") == getattr(wanted, name) for name in fields):
        return
    for preset in draft.library.list(section) if section in CHOSEN_KINDS else []:
        trial = Draft(draft.library, draft.base)
        trial.choose(section, preset.name)
        if trial.experiment is not None and getattr(trial.experiment, section) == wanted:
            draft.choose(section, preset.name)
            return
    if section in REGISTRIES:
        draft.set(f"{section}.type", str(getattr(wanted, "type", "")))
    for name in fields:
        value = getattr(wanted, name)
        if name != "type" and draft.preset_value(f"{section}.{name}") != value:
            _set_field(draft, section, name, value)


def _written(value: Any) -> str:
    """A value as a text that stands for it even where nothing is known of the field."""
    return "null" if value is None else argument_text(value)
