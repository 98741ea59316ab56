"""`Draft`: an experiment being composed from a preset, other presets chosen, and typed texts.

Layer: config; one thread. A draft holds texts, not values: a text stays as it was typed, valid or
not, and becomes part of an experiment by the same code as the words of a command line. The
functions that make drafts from overrides or from a run fill them in the way a user would.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.drafts.composition import Composition, value_in
from tui_trainer.config.drafts.export import StartOptions, command_of, write_preset
from tui_trainer.config.drafts.fields import Field, FieldGroup
from tui_trainer.config.drafts.values import argument_text, entry_text
from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.item_settings import is_inside, with_setting
from tui_trainer.config.overrides import Override, with_full_keys
from tui_trainer.config.presets import DEFAULT_EXPERIMENT, KINDS, PresetLibrary
from tui_trainer.config.sections.section import Section
from tui_trainer.text.errors import ConfigError, TrainerError

CHOSEN_KINDS: tuple[str, ...] = tuple(kind for kind in KINDS if kind != "experiment")


@dataclass(frozen=True, slots=True)
class Change:
    """A difference from the experiment preset: a kind or the key of a field, and the texts."""

    key: str
    before: str
    after: str


class Draft:
    """An experiment being composed; pure data, to be used from one thread."""

    def __init__(
        self,
        library: PresetLibrary,
        experiment: str = DEFAULT_EXPERIMENT,
    ) -> None:
        self._library = library
        self._base = experiment
        self._chosen: dict[str, str] = {}
        self._texts: dict[str, str] = {}
        # Texts by section and type, restored when the user returns to that type.
        self._set_aside: dict[tuple[str, str], dict[str, str]] = {}
        self._reported: dict[str, str] = {}
        self._now = self._composed()

    @property
    def library(self) -> PresetLibrary:
        """The library that its presets come from."""
        return self._library

    @property
    def base(self) -> str:
        """The experiment preset or file that it starts from."""
        return self._base

    def preset(self, kind: str) -> str:
        """Return the name of the preset that fills a kind; empty if none does."""
        if kind == "experiment":
            return self._base
        if f"{kind}.type" in self._texts:
            return ""
        return self._chosen.get(kind, self._now.preset_of_base(kind)[0])

    def own_type(self, kind: str) -> str:
        """Return the type of a plugin that fills a kind without a preset; empty if none does."""
        if kind not in CHOSEN_KINDS or self.preset(kind):
            return ""
        spec = REGISTRIES[kind].find(self._now.types[kind])
        return spec.name if spec is not None and spec.origin else ""

    def choose_experiment(self, name: str) -> None:
        """Start over from another experiment; all choices and edits are dropped."""
        self._base = name
        self._chosen.clear()
        self._texts.clear()
        self._set_aside.clear()
        self._reported.clear()
        self._now = self._composed()

    def choose(self, kind: str, name: str) -> None:
        """Fill a kind from a preset; edits to fields of that kind are dropped, others are kept."""
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

    def choose_type(self, kind: str, name: str) -> None:
        """Fill a kind by a type without a preset; edits are dropped or kept as by `choose`."""
        if kind not in CHOSEN_KINDS:
            raise KeyError(kind)
        self._drop(kind)
        self._chosen.pop(kind, None)
        self._now = self._composed()
        self.set(f"{kind}.type", name)

    def groups(self) -> list[FieldGroup]:
        """Return the groups of fields that a form shows, which depend on the chosen types."""
        return list(self._now.groups)

    @property
    def limits(self) -> list[tuple[Field, str]]:
        """The limits of the run and of its data that are set, with their texts; a list of sections
        is too long to tell.
        """
        fields = [field for group in self.groups() for field in group.fields]
        limits = [field for field in fields if field.is_limit and not field.of_sections]
        found = [(field, self.text(field.key)) for field in limits]
        return [
            (field, text)
            for field, text in found
            if text not in ("", entry_text(field.default, field))
        ]

    def text(self, key: str) -> str:
        """Return the text of a field: as typed, or else as the presets have it."""
        return self._now.text(key)

    def set(self, key: str, text: str) -> None:
        """Type a text into a field; an invalid text is kept, and reported as a problem.

        Changing a type removes the fields of the old one; texts typed into them are restored with
        that type.

        Raises:
            KeyError: there is no such section.
        """
        section, _, name = key.partition(".")
        if section not in SECTIONS or not name:
            raise KeyError(key)
        self._reported.pop(key, None)
        if name == "type" and section in REGISTRIES:
            self._set_type(section, text)
        elif text == self.preset_text(key):
            self._texts.pop(key, None)
        else:
            self._texts[key] = text
        self._now = self._composed()

    def set_section(self, section: str, text: str) -> None:
        """Replace a whole section by a mapping, given as text on a command line."""
        self._texts[section] = text
        self._now = self._composed()

    def reset(self, key: str) -> None:
        """Undo what was typed into a field, or for the name of a kind, what was chosen."""
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
        """Return the field of a key, or None if the chosen types have no such field."""
        return self._now.field(key)

    def preset_value(self, key: str) -> Any:
        """Return the value of a field in the presets."""
        return self._now.unedited.value(key)

    def value(self, key: str) -> Any:
        """Return the value of a field, as typed or else as in the presets; raises BadInput."""
        return self._now.value(key) if self.is_changed(key) else self.preset_value(key)

    def preset_text(self, key: str) -> str:
        """Return the text of a field in the presets, which a reset restores."""
        return self._now.preset_text(key)

    def is_changed(self, key: str) -> bool:
        """Whether a field has another value than in the presets."""
        return self._now.is_changed(key)

    def report(self, problems: Mapping[str, str]) -> None:
        """Report problems of fields that only the data or the machine shows.

        They take the place of those reported before; each is forgotten when its field changes.
        """
        self._reported = dict(problems)

    def problem(self, key: str) -> str:
        """Return the problem of a field, its own or a reported one, or an empty string."""
        return self.problems.get(key) or self._reported.get(key, "")

    @property
    def problems(self) -> dict[str, str]:
        """All problems, by field.

        A problem that concerns no single field has its section as key, and one with the file as a
        whole has `experiment`.
        """
        return self._now.result[1]

    @property
    def experiment(self) -> Experiment | None:
        """The resolved experiment; None while there are problems."""
        return self._now.result[0]

    @property
    def changes(self) -> list[Change]:
        """The differences from the experiment preset: chosen presets, then fields."""
        chosen = [Change(kind, self._described(kind), name) for kind, name in self._chosen.items()]
        return chosen + [
            Change(key, self.preset_text(key), self._texts[key].strip())
            for key in self._now.changed
        ]

    def overrides_of(self, section: str) -> list[Override]:
        """Return what was typed into the fields of a section, without what cannot be read."""
        read = self._now.readable
        return [one for one in read if one.section == section and one.field not in ("", "type")]

    @property
    def is_from_file(self) -> bool:
        """Whether it starts from a file that the user named, and not from a preset or from data."""
        library = self._library
        return not library.has_unwritten(self._base) and not library.has("experiment", self._base)

    def command(self, options: StartOptions | None = None) -> str:
        """Return the command line that starts an equal experiment, quoted for a shell."""
        return command_of(self._now, options or StartOptions())

    def save(self, name: str, folder: Path, *, replace: bool = False) -> Path:
        """Save it as an experiment preset of the user below `folder`, and return the file.

        The file names the presets and the differences from them, and resolves to an experiment
        that is equal except for its name.

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
        return name if pure else f"{name} with changes"

    def _drop(self, section: str) -> None:
        """Forget what was typed into a section, also what was set aside, and what is reported."""
        self._reported = {
            key: text for key, text in self._reported.items() if key.partition(".")[0] != section
        }
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


def draft_with(
    library: PresetLibrary,
    experiment: str = DEFAULT_EXPERIMENT,
    overrides: Sequence[Override] = (),
) -> Draft:
    """Make a draft of a preset with overrides.

    They are applied in the order that `compose` uses: sections, types, other fields, and settings
    inside of lists. Raises ConfigError if a short name does not mean exactly one setting, or
    BadInput if there is no such item of a list.
    """
    draft = Draft(library, experiment)
    for override in overrides:
        if not override.field:
            _set_section(draft, override.section, override.value)
    for override in overrides:
        if override.section and override.field == "type":
            draft.set(override.key, _written(override.value))
    keys = [field.key for group in draft.groups() for field in group.fields]
    complete, problems = with_full_keys(overrides, keys)
    if problems:
        raise ConfigError(problems)
    for override in sorted(complete, key=lambda override: is_inside(override.field)):
        if override.field not in ("", "type"):
            _set_field(draft, override.section, override.field, override.value)
    return draft


def draft_of(
    library: PresetLibrary, experiment: Experiment, source: Path | None = None, base: str = ""
) -> Draft:
    """Make a draft that resolves to a run's experiment.

    It starts from the experiment `base` if that is in no file, or from the preset of its name. If
    there is none, or it no longer resolves, it starts from `source` (a file such as a run's
    config.yaml), or else from the default preset. Name and description are those of the start.
    """
    if not (base and library.has_unwritten(base)):
        base = experiment.name
    if not library.has_unwritten(base) and not _resolves(library, base):
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
    """Set a section to a preset, a type, or a mapping that has either and further fields."""
    if not isinstance(value, str) or section not in REGISTRIES:
        draft.set_section(section, argument_text(value))
    elif section in CHOSEN_KINDS and (
        draft.library.has(section, value) or not REGISTRIES[section].find(value)
    ):
        draft.choose(section, value)
    else:
        draft.set(f"{section}.type", value)


def _set_field(draft: Draft, section: str, name: str, value: Any) -> None:
    if is_inside(name):
        # A form has a field for the whole list.
        whole = name.partition(".")[0]
        value = with_setting({whole: draft.value(f"{section}.{whole}")}, name, value)[whole]
        name = whole
    key = f"{section}.{name}"
    field = draft.field(key)
    draft.set(key, _written(value) if field is None else entry_text(value, field))


def _adopt(draft: Draft, section: str, wanted: Section) -> None:
    """Make a section resolve to `wanted`, through a matching preset or field by field."""
    fields = type(wanted).model_fields
    if all(draft.preset_value(f"{section}.{name}") == value_in(wanted, name) for name in fields):
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
        value = value_in(wanted, name)
        if name != "type" and draft.preset_value(f"{section}.{name}") != value:
            _set_field(draft, section, name, value)


def _written(value: Any) -> str:
    """Return a text for a value that reads back even in an unknown field."""
    return "null" if value is None else argument_text(value)
