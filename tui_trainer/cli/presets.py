"""`tui-trainer presets`: list, show, validate, copy, schema.

Layer: cli. Nothing here imports torch, so a preset can be checked on a machine without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from tui_trainer.cli import argument_values
from tui_trainer.config.own_types import types_of_files
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.config.presets import KINDS, Preset, PresetLibrary, why_misnamed
from tui_trainer.config.schema import json_schema
from tui_trainer.config.yaml.reader import read_document
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.console import print_block, print_error, print_json, print_line
from tui_trainer.text.errors import BadInput, ExitCode, TrainerError


def list_presets(arguments: argparse.Namespace) -> int:
    """Print the names and descriptions of the presets, by kind, and the types of plugins."""
    if arguments.plugin:
        load_plugins(arguments.plugin)
    library, kind = argument_values.library(arguments), arguments.kind
    if kind is not None and kind.removesuffix("s") not in KINDS:
        there = f"available: {', '.join(KINDS)}"
        raise BadInput(f"no kind {clean(kind, 40)!r}{suggest(kind, KINDS)}; {there}")
    kinds = [kind.removesuffix("s")] if kind else KINDS
    types = [one for one in types_of_files() if kind is None or one.kind == kind.removesuffix("s")]
    by_kind = {k: [(p, _description(p)) for p in library.list(k)] for k in kinds}
    if arguments.json:
        rows = [
            {
                "kind": k,
                "name": p.name,
                "description": text,
                "path": str(p.path),
                "replaces_builtin": p.replaces,
            }
            for k, presets in by_kind.items()
            for p, text in presets
        ]
        rows += [
            {
                "kind": one.kind,
                "name": one.name,
                "description": one.description,
                "origin": one.origin,
            }
            for one in types
        ]
        print_json(rows)
        return ExitCode.OK
    for k, presets in by_kind.items():
        print_line(f"{k}s")
        for preset, text in presets:
            print_line(f"  {preset.name:<16} {text}")
    if types:
        print_line("types of plugins")
    for one in types:
        text = clean(f"{one.description} ({one.origin})", 300)
        print_line(f"  {f'{one.kind} {one.name}':<24} {text}")
    _tell_replaced(preset for presets in by_kind.values() for preset, _ in presets)
    _tell_misnamed(library, kinds)
    return ExitCode.OK


def _tell_replaced(presets: Iterable[Preset]) -> None:
    """Print a note for each of these that replaces a built-in preset."""
    for note in filter(None, (preset.note for preset in presets)):
        print_error(note)


def _tell_misnamed(library: PresetLibrary, kinds: Sequence[str]) -> int:
    """Report the files whose names keep them from being presets; return their number."""
    misnamed = [preset for kind in kinds for preset in library.misnamed(kind)]
    for preset in misnamed:
        print_error(f"{clean(str(preset.path))}: {why_misnamed(preset.path)}")
    return len(misnamed)


def show_preset(arguments: argparse.Namespace) -> int:
    """Print an experiment resolved, or a preset of another kind as the file has it."""
    library = argument_values.library(arguments)
    kind, bare = _kind_and_name(arguments.name)
    if kind == "experiment":
        experiment = library.experiment(bare)
        for note in experiment.notes:
            print_error(note)
        print_block(to_yaml(experiment.to_dict()).removesuffix("\n"))
    else:
        preset = library.find(kind, bare)
        path = preset.path
        _tell_replaced([preset])
        # For its checks: it refuses files with control characters, which would be printed below.
        read_document(path)
        print_block(path.read_text(encoding="utf-8-sig").removesuffix("\n"))
    return ExitCode.OK


def validate_presets(arguments: argparse.Namespace) -> int:
    """Check experiment files, or all presets; every problem goes to stderr."""
    library, files = argument_values.library(arguments), arguments.files
    failed = 0
    if files:
        names = list(files)
    else:
        names = [str(preset.path) for preset in library.list("experiment")]
        failed += sum(
            not _is_whole(library, kind, p) for kind in KINDS[1:] for p in library.list(kind)
        )
        _tell_replaced(preset for kind in KINDS for preset in library.list(kind))
        failed += _tell_misnamed(library, KINDS)
    for name in names:
        try:
            experiment = library.experiment(name)
            for note in experiment.notes if files else ():
                print_error(note)
            print_line(f"{clean(name)}: valid")
        except TrainerError as error:
            failed += 1
            print_error(clean(str(error), 5000, multiline=True))
    return ExitCode.BAD_INPUT if failed else ExitCode.OK


def copy_preset(arguments: argparse.Namespace) -> int:
    """Copy a preset to a file, or into a folder; an existing file is never replaced."""
    library, name, target = argument_values.library(arguments), arguments.name, arguments.target
    kind, bare = _kind_and_name(name)
    preset = library.find(kind, bare)
    _tell_replaced([preset])
    path = target or Path("presets") / f"{kind}s"
    if path.suffix not in (".yaml", ".yml"):
        path = path / preset.path.name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(preset.path.read_bytes())
    except FileExistsError as error:
        raise BadInput(f"{clean(str(path))}: exists already; name another file") from error
    except OSError as error:
        raise BadInput(f"{clean(str(path))}: {error.strerror}") from error
    print_line(str(path))
    return ExitCode.OK


def print_schema(arguments: argparse.Namespace) -> int:
    """Print the JSON schema of an experiment file, with the types of plugins."""
    if arguments.plugin:
        load_plugins(arguments.plugin)
    print_json(json_schema())
    return ExitCode.OK


def _kind_and_name(name: str) -> tuple[str, str]:
    kind, slash, bare = name.partition("/")
    if slash and kind.removesuffix("s") in KINDS:
        return kind.removesuffix("s"), bare
    return "experiment", name


def _description(preset: Preset) -> str:
    """Return the one-line description of a preset, or the error if it cannot be read."""
    try:
        return clean(str(read_document(preset.path).data.get("description", "")), 200)
    except TrainerError as error:
        return clean(f"cannot be read: {error}", 200)


def _is_whole(library: PresetLibrary, kind: str, preset: Preset) -> bool:
    """Whether a dataset, model or optimizer preset resolves; prints the result either way."""
    try:
        library.section(preset)
    except TrainerError as error:
        print_error(clean(str(error), 5000, multiline=True))
        return False
    print_line(f"{clean(str(preset.path))}: valid")
    return True
