"""Presets: finds them in their folders, and composes experiments from them.

Layer: config. A preset is data. It refers to registered types and other presets by name, never to
a module or a path to code, and reading one never runs anything.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import (
    DEFAULT_TYPES,
    PLAIN,
    REGISTRIES,
    Experiment,
    check_section,
    keys_in,
    resolve,
)
from tui_trainer.config.item_settings import is_inside, path_of, with_setting
from tui_trainer.config.overrides import Override, with_full_keys
from tui_trainer.config.preset_files import (
    KINDS,
    SUFFIXES,
    absolute,
    builtin_dir,
    files_in,
    is_named,
    search_dirs,
)
from tui_trainer.config.problem_key import move_problem, present_key
from tui_trainer.config.sections.section import Section
from tui_trainer.config.tree import COMMAND_LINE, Place, Tree, places_of
from tui_trainer.config.yaml.reader import Document, read_document
from tui_trainer.text.clean import clean, is_safe_name, suggest
from tui_trainer.text.errors import BadInput, ConfigError, Problem

__all__ = [
    "DEFAULT_EXPERIMENT",
    "KINDS",
    "Preset",
    "PresetLibrary",
    "assemble",
    "builtin_dir",
    "compose",
    "experiment_path",
    "is_named",
    "search_dirs",
    "stamp_of",
    "why_misnamed",
]

DEFAULT_EXPERIMENT = "digits-cnn"


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset file, and the folder of presets it was found in."""

    kind: str
    name: str
    path: Path
    folder: Path
    replaces: bool = False
    """Whether it shadows a built-in preset, although the user did not name its folder."""

    @property
    def note(self) -> str:
        """A note for a user who refers to the preset by name, if it may surprise; else empty."""
        if not self.replaces:
            return ""
        what = f"the built-in {self.kind} preset {self.name}"
        return f"{clean(str(self.path), 300)} replaces {what}"


class PresetLibrary:
    """The presets in a list of folders; files are read only when needed.

    `named` are the folders named on the command line, whose presets are chosen deliberately. The
    others are searched by default, ./presets among them, so a preset in one of them that shadows a
    built-in one gets a note.
    """

    def __init__(self, folders: Sequence[Path], named: Sequence[Path] = ()) -> None:
        self.folders = tuple(folders)
        self._named = {absolute(folder) for folder in named}
        self._read: dict[Path, tuple[tuple[int, ...], Document]] = {}
        self._unwritten: dict[str, tuple[Document, tuple[str, ...]]] = {}

    def add_unwritten(self, reference: str, document: Document, words: Sequence[str]) -> None:
        """Make a document that is in no file the experiment of a reference.

        `words` name it on a command line.
        """
        self._unwritten[str(Path(reference))] = (document, tuple(words))

    def has_unwritten(self, reference: str) -> bool:
        """Whether the experiment of a reference is a document that is in no file."""
        return str(Path(reference)) in self._unwritten

    def words_for(self, reference: str) -> list[str]:
        """Return the words that name an experiment on a command line."""
        if self.has_unwritten(reference):
            return list(self._unwritten[str(Path(reference))][1])
        return [f"./{reference}" if reference.startswith("-") else reference]

    def read(self, path: Path) -> Document:
        """Read a document as `read_document` does, but from a cache if the file has not changed.

        A form calls this at every keystroke.
        """
        if str(path) in self._unwritten:
            return self._unwritten[str(path)][0]
        stamp = stamp_of(path)
        if not stamp:
            return read_document(path)
        known = self._read.get(path)
        if known is None or known[0] != stamp:
            known = self._read[path] = (stamp, read_document(path))
        return known[1]

    def list(self, kind: str) -> list[Preset]:
        """Return all presets that `find` finds, sorted by name."""
        found: dict[str, Preset] = {}
        for folder in self.folders:
            for path in files_in(folder / f"{kind}s", is_named):
                if path.stem not in found:
                    found[path.stem] = self._preset(kind, path, folder)
        return [found[name] for name in sorted(found)]

    def misnamed(self, kind: str) -> tuple[Preset, ...]:
        """Return files among the presets whose file names cannot name a preset."""
        return tuple(
            Preset(kind, path.name, path, folder)
            for folder in self.folders
            for path in files_in(folder / f"{kind}s", _is_misnamed)
        )

    def find(self, kind: str, name: str) -> Preset:
        """Return the preset of a name, from the first folder that has it; BadInput lists all."""
        if is_safe_name(name):
            for folder in self.folders:
                path = folder / f"{kind}s" / f"{name}.yaml"
                if os.path.isfile(path):
                    return self._preset(kind, path, folder)
        for preset in self.misnamed(kind):
            if name in (preset.name, preset.path.stem):
                there = f"{clean(preset.name, 40)} is there: {why_misnamed(preset.path)}"
                raise BadInput(f"no {kind} preset {clean(name, 40)!r}; {there}")
        names = [preset.name for preset in self.list(kind)]
        there = f"available: {', '.join(names)}" if names else "there are none"
        raise BadInput(f"no {kind} preset {clean(name, 80)!r}{suggest(name, names)}; {there}")

    def note_on_type(self, kind: str, name: str) -> str:
        """Return a note if a name is that of a preset, which wins, and of a plugin's type."""
        spec = REGISTRIES[kind].find(name) if kind in REGISTRIES else None
        if spec is None or not spec.origin or not self.has(kind, name):
            return ""
        shown, path = clean(name, 40), clean(str(self.find(kind, name).path), 300)
        own = f"{kind}.type={shown} means the type of {clean(spec.origin, 300)}"
        return f"{kind}={shown} is the preset {path}; {own}"

    def _preset(self, kind: str, path: Path, folder: Path) -> Preset:
        builtin = builtin_dir()
        is_meant = folder == builtin or absolute(folder) in self._named
        replaces = not is_meant and os.path.isfile(builtin / f"{kind}s" / path.name)
        return Preset(kind, path.stem, path, folder, replaces)

    def has(self, kind: str, name: str) -> bool:
        """Whether `find` would succeed."""
        try:
            self.find(kind, name)
        except BadInput:
            return False
        return True

    def finds(self, kind: str, path: Path) -> bool:
        """Whether looking up the name of a preset's file finds that very file."""
        name = path.stem
        return self.has(kind, name) and self.find(kind, name).path.absolute() == path.absolute()

    def section(self, preset: Preset) -> Section:
        """Return the section of a dataset, model or optimizer preset; raises ConfigError."""
        kind = preset.kind
        document = self.read(preset.path)
        data = {key: value for key, value in document.data.items() if key != "description"}
        places = {
            (kind, *path): place for path, place in places_of(document.places, preset.path).items()
        }
        return check_section(Tree({kind: data}, places), kind)

    def experiment(self, reference: str, overrides: Sequence[Override] = ()) -> Experiment:
        """Resolve the experiment of a preset's name or of a file, with overrides.

        Raises:
            ConfigError: the files or the overrides have problems; the error lists all of them.
            BadInput: there is no such preset or file.
        """
        path = experiment_path(self, reference)
        return compose(self, reference, self.read(path), path, overrides)


def stamp_of(path: Path) -> tuple[int, ...]:
    """Return a stamp that changes when the file is written; empty if there is no file."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return ()
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino, facts.st_dev


def why_misnamed(path: Path) -> str:
    """Return why a file found by `PresetLibrary.misnamed` is misnamed, and the fix."""
    if path.suffix != SUFFIXES[0]:
        return f"rename it: preset files end in {SUFFIXES[0]}"
    return "rename it: preset names have letters, digits, . _ - and do not begin with . or -"


def _is_misnamed(path: Path) -> bool:
    return path.suffix in SUFFIXES and not is_named(path) and not path.name.startswith(".")


def experiment_path(library: PresetLibrary, reference: str) -> Path:
    """Return the file of a reference: a path if it looks like one, else an experiment preset."""
    if library.has_unwritten(reference):
        return Path(reference)
    if _is_path(reference):
        path = Path(os.path.expanduser(reference))
        if not os.path.exists(path):
            raise BadInput(f"{clean(reference)}: no such file")
        return path
    return library.find("experiment", reference).path


def _is_path(reference: str) -> bool:
    return os.sep in reference or reference.endswith(SUFFIXES)


def compose(
    library: PresetLibrary,
    reference: str,
    document: Document,
    path: Path,
    overrides: Sequence[Override] = (),
) -> Experiment:
    """Merge an experiment's document with its presets and with overrides, and resolve it."""
    tree, problems = assemble(library, document, path, overrides)
    if problems:
        raise ConfigError(problems + _other_problems(tree, problems, path.stem))
    experiment = resolve(tree, path.stem)
    if _is_path(reference) or library.has_unwritten(reference):
        return experiment
    notes = [library.find("experiment", reference).note, *experiment.notes]
    return dataclasses.replace(experiment, notes=tuple(filter(None, notes)))


def assemble(
    library: PresetLibrary, document: Document, path: Path, overrides: Sequence[Override] = ()
) -> tuple[Tree, list[Problem]]:
    """Return the unresolved tree of an experiment, and problems; sections whose preset cannot be
    used are left out of the tree.
    """
    tree = Tree(places=places_of(document.places, path))
    problems: list[Problem] = []
    chosen = {override.section: override.value for override in overrides if not override.field}
    for key, value in document.data.items():
        if key in chosen:
            continue
        tree.values[key] = value
        if key in REGISTRIES:
            _expand(library, tree, key, value, problems)
    for section, value in chosen.items():
        _forget(tree, section)
        tree.places[(section,)] = Place(COMMAND_LINE)
        tree.values[section] = value
        if section in PLAIN:
            message = f"name a field: {section}.FIELD=VALUE"
            problems.append(tree.problem((section,), message))
        else:
            _expand(library, tree, section, value, problems)
    for section, default in DEFAULT_TYPES.items():
        given = tree.values.setdefault(section, {})
        if isinstance(given, dict):
            tree.values[section] = {"type": default, **given}
    overrides = [_renamed(tree, override) for override in overrides]
    move_problem(tree.values, tree.places)
    # Types before other fields, because a new type drops the fields of the old one.
    for override in overrides:
        if override.section and override.field == "type":
            _set(tree, override)
    complete, unknown = with_full_keys(overrides, keys_in(tree))
    problems += unknown
    short = {override.field for override in overrides if not override.section}
    notes = [f"{override.field} is {override.key}" for override in complete]
    tree.notes += [note for note in dict.fromkeys(notes) if note.partition(" ")[0] in short]
    # A whole list before the settings inside of it.
    for override in sorted(complete, key=lambda override: is_inside(override.field)):
        if override.field in ("", "type"):
            continue
        try:
            _set(tree, override)
        except BadInput as error:
            problems.append(Problem(str(error), clean(override.key, 80), COMMAND_LINE))
    return tree, problems


def _other_problems(tree: Tree, found: list[Problem], name: str) -> list[Problem]:
    """Return further problems, in the sections that could be expanded."""
    try:
        resolve(tree, name)
    except ConfigError as error:
        blamed = {problem.key.split(".")[0] for problem in found}
        return [p for p in error.problems if p.key.split(".")[0] not in blamed]
    return []


def _expand(
    library: PresetLibrary, tree: Tree, section: str, value: Any, problems: list[Problem]
) -> None:
    """Expand the preset or type that a section names; the section's own keys override it."""
    blamed = (section, "preset") if isinstance(value, dict) else (section,)
    if isinstance(value, str):
        value = {"preset": value} if section in KINDS else {"type": value}
        name = value.get("preset", "")
        if name and not library.has(section, name) and REGISTRIES[section].find(name):
            value = {"type": name}
        tree.values[section] = value
    if not isinstance(value, dict) or "preset" not in value:
        return
    own = {key: item for key, item in value.items() if key != "preset"}
    try:
        if section not in KINDS:
            raise BadInput(f"a {section} has no presets; use type")
        if not isinstance(value["preset"], str):
            raise BadInput("should be the name of a preset")
        if "type" in own:
            raise BadInput("the type comes from the preset; leave out either preset or type")
        preset = library.find(section, value["preset"])
        document = library.read(preset.path)
    except ConfigError as error:
        # The keys are relative to the preset's file; prefix them with the section.
        for problem in error.problems:
            key = f"{section}.{problem.key}" if problem.key else section
            problems.append(dataclasses.replace(problem, key=key))
        tree.values.pop(section)
        return
    except BadInput as error:
        problems.append(tree.problem(blamed, str(error)))
        tree.values.pop(section)
        return
    tree.notes += filter(None, (preset.note, library.note_on_type(section, preset.name)))
    below = {key: item for key, item in document.data.items() if key != "description"}
    for path, place in places_of(document.places, preset.path).items():
        if not path or path[0] not in own:
            tree.places.setdefault((section, *path), place)
    tree.values[section] = {**below, **own}


def _renamed(tree: Tree, override: Override) -> Override:
    """Return an override with the present name of its key."""
    key = present_key(override.key, tree.values.get("dataset"))
    if key == override.key:
        return override
    section, _, name = key.partition(".")
    return dataclasses.replace(override, section=section, field=name)


def _set(tree: Tree, override: Override) -> None:
    """Set one field; setting another type drops the fields of the old type."""
    section, name = override.section, override.field
    values = tree.values.get(section)
    if not isinstance(values, dict):
        values = {}
    if name == "type" and values.get("type") != override.value:
        _forget(tree, section)
        tree.places[(section,)] = Place(COMMAND_LINE)
        values = {}
    tree.values[section] = with_setting(values, name, override.value)
    path = (section, *path_of(name))
    _forget(tree, *path)
    tree.places[path] = Place(COMMAND_LINE)


def _forget(tree: Tree, *prefix: str | int) -> None:
    """Drop the places of a key and of all keys below it."""
    for path in [path for path in tree.places if path[: len(prefix)] == prefix]:
        del tree.places[path]
