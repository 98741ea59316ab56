"""`Catalogue`: the presets and types of a kind, each with its description.

Layer: ui. Files are read when they are looked at, not when a list is created, so that the first
paint reads none; a file that was changed in an editor is read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.own_types import OwnType, own_types
from tui_trainer.config.presets import Preset, PresetLibrary, is_named, stamp_of, why_misnamed
from tui_trainer.config.sections.section import Spec
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import TrainerError

Listed = Preset | OwnType


@dataclass(frozen=True, slots=True)
class Entry:
    """A preset and the content of its file, or a type of a plugin."""

    listed: Listed
    description: str
    data: dict[str, Any]
    wrong: str = ""
    """Why it is unusable, in one line or more."""
    note: str = ""
    """What may surprise whoever chooses it."""

    @property
    def kind(self) -> str:
        return self.listed.kind

    @property
    def name(self) -> str:
        return self.listed.name

    @property
    def title(self) -> str:
        """Its name, cleaned, and for a type the name of its file."""
        return " · ".join(filter(None, (clean(self.name, 60), origin_shown(self.listed))))

    @property
    def place(self) -> str:
        """Its file, and for a type the line."""
        return self.listed.origin if isinstance(self.listed, OwnType) else str(self.listed.path)

    @property
    def spec(self) -> Spec | None:
        """The spec of its type; None for an experiment, and if there is no such type."""
        registry = REGISTRIES.get(self.kind)
        return registry.find(self.data.get("type")) if registry is not None else None


def origin_shown(listed: Listed) -> str:
    """Return the name of the file of a plugin's type; empty for a preset."""
    return listed.file if isinstance(listed, OwnType) else ""


class Catalogue:
    """The content of the preset files. A file that has changed is read again."""

    def __init__(self, library: PresetLibrary) -> None:
        self.library = library
        self._entries: dict[Preset, tuple[tuple[int, ...], Entry]] = {}
        self._lists: dict[str, list[Listed]] = {}

    def listed(self, kind: str) -> list[Listed]:
        """Return the types of plugins, the presets by name, then misnamed files.

        Reads folders only.
        """
        if kind not in self._lists:
            self.relist(kind)
        return self._lists[kind]

    def relist(self, kind: str) -> bool:
        """Read the folders of a kind again; return whether the list has changed."""
        before = self._lists.get(kind)
        self._lists[kind] = [
            *own_types(kind),
            *self.library.list(kind),
            *self.library.misnamed(kind),
        ]
        return self._lists[kind] != before

    def entry(self, listed: Listed) -> Entry:
        """Return the current content of a preset's file, or what is wrong with it."""
        if isinstance(listed, OwnType):
            return self._of_type(listed)
        known = self._entries.get(listed)
        if known is None or known[0] != stamp_of(listed.path):
            return self.reread(listed)
        return known[1]

    def reread(self, listed: Listed) -> Entry:
        """Check a preset again, changed or not: its problem may be in another file it names."""
        if isinstance(listed, OwnType):
            return self._of_type(listed)
        entry = self._read(listed)
        self._entries[listed] = stamp_of(listed.path), entry
        return entry

    def is_known_broken(self, listed: Listed) -> bool:
        """Return whether its file was read and found unusable; reads nothing."""
        known = self._entries.get(listed) if isinstance(listed, Preset) else None
        return known is not None and bool(known[1].wrong)

    def forget(self) -> None:
        """Read folders and files again when they are next needed."""
        self._entries.clear()
        self._lists.clear()

    def _of_type(self, listed: OwnType) -> Entry:
        description = clean(listed.description, 300)
        note = self.library.note_on_type(listed.kind, listed.name)
        return Entry(listed, description, {"type": listed.name}, note=note)

    def _read(self, preset: Preset) -> Entry:
        data: dict[str, Any] = {}
        wrong = ""
        try:
            data = self.library.read(preset.path).data
            if not is_named(preset.path):
                wrong = why_misnamed(preset.path)
            elif preset.kind == "experiment":
                self.library.experiment(preset.name)
            else:
                self.library.section(preset)
        except TrainerError as error:
            wrong = clean(str(error), 2000, multiline=True)
        note = preset.note or self.library.note_on_type(preset.kind, preset.name)
        return Entry(preset, clean(str(data.get("description", "")), 300), data, wrong, note)
