"""Exports a draft, as an experiment preset and as a command line.

Layer: config. A preset names other presets and the differences from them. Its file is complete
before it gets its name, and is never written outside of its folder.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_trainer.config.drafts.composition import Composition
from tui_trainer.config.experiment import DEFAULT_TYPES, REGISTRIES, SECTIONS, Experiment
from tui_trainer.config.preset_files import SUFFIXES
from tui_trainer.config.presets import KINDS, PresetLibrary, builtin_dir, search_dirs
from tui_trainer.config.sections.datasets import is_file_name
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.text.clean import clean, is_safe_name
from tui_trainer.text.errors import BadInput, CannotWrite
from tui_trainer.text.shell import shell_line


def write_preset(composition: Composition, name: str, folder: Path, *, replace: bool) -> Path:
    """Write FOLDER/experiments/NAME.yaml.

    Raises:
        BadInput: the draft has problems, the name is unsafe, or the file exists and is not to be
            replaced.
        CannotWrite: the file cannot be written.
    """
    experiment, problems = composition.result
    if experiment is None:
        key, message = next(iter(problems.items()))
        raise BadInput(f"not saved: {key}: {message}")
    if not is_safe_name(name):
        raise BadInput(
            f"not the name of a preset: {clean(name, 60)!r}; "
            "use letters, digits, '-', '_' and '.', and no '.' or '-' at the beginning"
        )
    target = folder / "experiments" / f"{name}.yaml"
    shown = clean(str(target))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if folder.resolve() not in target.parent.resolve().parents:
            raise BadInput(f"{shown}: is outside of {clean(str(folder))}; use another name")
        if os.path.lexists(target) and not replace:
            raise BadInput(f"{shown}: exists already; use another name")
        _write(target, to_yaml(preset_data(composition, experiment)))
    except OSError as error:
        raise CannotWrite(f"{shown}: {(error.strerror or str(error)).lower()}") from error
    return target


def write_experiment(target: Path, experiment: Experiment) -> None:
    """Write an experiment to a new file: the type of each section, and what is not the default.

    The data's path is written relative to the file if they are beside or below it, so that both
    can be moved together.

    Raises:
        BadInput: there is such a file, or the name is not that of a YAML file.
        CannotWrite: the file cannot be written.
    """
    shown = clean(str(target), 200)
    if target.suffix not in SUFFIXES:
        raise BadInput(f"{shown}: the name of an experiment's file ends in {SUFFIXES[0]}")
    if os.path.lexists(target):
        raise BadInput(f"{shown}: exists already; use another name, or remove it")
    data: dict[str, Any] = {"name": experiment.name, "description": experiment.description}
    for name in SECTIONS:
        section = getattr(experiment, name)
        values = section.model_dump(mode="json", exclude_defaults=True)
        if values != {"type": DEFAULT_TYPES.get(name)}:
            data[name] = values
    data = {name: value for name, value in data.items() if value not in ({}, "")}
    path = Path(data["dataset"].get("path", ""))
    folder = target.absolute().parent
    if path.is_absolute() and path.is_relative_to(folder):
        data["dataset"]["path"] = str(path.relative_to(folder))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(target, to_yaml(data))
    except OSError as error:
        raise CannotWrite(f"{shown}: {(error.strerror or str(error)).lower()}") from error


def _write(target: Path, text: str) -> None:
    """Write a temporary file next to the target, then rename it, so no reader sees half a file."""
    descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            # mkstemp makes the file private; give it the mode of an ordinary new file.
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    # The mask can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def preset_data(composition: Composition, experiment: Experiment) -> dict[str, Any]:
    """Return the plain data of the preset, without its name, which is that of the file."""
    written = composition.document[0].data if composition.document is not None else {}
    data: dict[str, Any] = {}
    if experiment.description:
        data["description"] = experiment.description
    for section in SECTIONS:
        value = _section_data(composition, experiment, section, written.get(section))
        if value not in (None, {}):
            data[section] = value
    return data


def _section_data(
    composition: Composition, experiment: Experiment, section: str, written: Any
) -> Any:
    """Return a section to be written: as in the base file, with choices and edits applied."""
    resolved = getattr(experiment, section).model_dump(mode="json")
    edits = [key.partition(".")[2] for key in composition.changed if key.startswith(f"{section}.")]
    value = composition.chosen.get(section, written)
    if isinstance(value, str) and edits:
        value = {_names(composition, section, value): value}
    if "type" in edits:
        value = {"type": resolved["type"]}
    if edits or isinstance(value, dict):
        value = {**(value or {}), **{name: resolved[name] for name in edits}}
        for name, info in type(getattr(experiment, section)).model_fields.items():
            # The written name may be relative to the base file's folder; use the absolute one.
            if name in value and is_file_name(info, str(resolved[name])):
                value[name] = resolved[name]
    return value


def _names(composition: Composition, section: str, name: str) -> str:
    """Return "preset" or "type": what a bare name refers to, as `compose` decides it."""
    if section not in KINDS:
        return "type"
    is_type = REGISTRIES[section].find(name) and not composition.library.has(section, name)
    return "type" if is_type else "preset"


@dataclass(frozen=True, slots=True)
class StartOptions:
    """The options of `tui-trainer train` for what a draft does not contain."""

    name: str = ""
    """The name of the run; empty: that of the experiment."""
    runs_dir: Path | None = None
    """The folder of the runs; None: the default."""
    plugins: tuple[Path, ...] = ()


def command_of(composition: Composition, options: StartOptions) -> str:
    """Return the command that starts it, as `tui-trainer train digits-cnn optimizer.lr=3e-3`.

    Words are quoted for a shell; invalid texts are included as typed. Run in the same directory, it
    starts an equal experiment, whatever variables of this program that shell has set.
    """
    words = ["tui-trainer", "train", *composition.library.words_for(composition.base)]
    words += [f"{kind}={name}" for kind, name in composition.chosen.items()]
    words += [f"{_short(key)}={composition.argument(key)}" for key in composition.changed]
    given = [("--preset-dir", str(folder)) for folder in _given_folders(composition.library)]
    given += [("--plugin", str(file)) for file in options.plugins]
    given += [] if options.runs_dir is None else [("--runs-dir", str(options.runs_dir))]
    given += [("--name", options.name)] if options.name else []
    for option, value in given:
        # One word, because a value on its own that begins with a dash would be taken for an option.
        words += [f"{option}={value}"] if value.startswith("-") else [option, value]
    return shell_line(words)


def _short(key: str) -> str:
    """Shorten a key to what a user would type, as `schedule` for `schedule.type`.

    Sections with presets keep `.type`, because their bare name chooses a preset.
    """
    section, _, name = key.partition(".")
    return section if name == "type" and section not in KINDS else key


def _given_folders(library: PresetLibrary) -> list[Path]:
    """Return the folders that a command line must name for the same search order.

    $TUI_TRAINER_PRESETS does not count: another shell may not have it.
    """
    folders = library.folders
    for count in range(len(folders)):
        if tuple(search_dirs(folders[:count], env={})) == folders:
            return list(folders[:count])
    return [folder for folder in folders if folder != builtin_dir()]
