"""`Draft`: an experiment that is being composed: a preset, other presets chosen, and what is typed.

Layer: config; one thread. A draft holds texts, not values: what is typed stays as it was typed,
wrong or not, and becomes an experiment by the same code as the words of a command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.command import command_of
from tui_trainer.config.composition import Composition
from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.fields import Field, FieldGroup, groups_of
from tui_trainer.config.preset_file import write_preset
from tui_trainer.config.presets import (
    DEFAULT_EXPERIMENT,
    KINDS,
    PresetLibrary,
)

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
