"""The files of presets: the folders they are looked for in, and the names they have.

Layer: config, without pydantic and YAML, because the command line completes names of presets
without them. No file is opened here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import platformdirs

from tui_trainer.text.clean import is_safe_name

KINDS: tuple[str, ...] = ("experiment", "dataset", "model", "optimizer")
SUFFIXES = (".yaml", ".yml")
"""Preset files end in the first; the second is a common mistake, which is reported."""


@functools.cache
def builtin_dir() -> Path:
    """Return the folder of the presets shipped with the program, in a wheel or a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_presets"
    return inside if inside.is_dir() else package.parent / "presets"


def search_dirs(given: Sequence[Path] = (), env: Mapping[str, str] = os.environ) -> list[Path]:
    """Return the folders to search, of which the first match wins: `given`, then
    $TUI_TRAINER_PRESETS, ./presets, the user's folder, and the built-in presets.
    """
    from_env = [Path(part) for part in env.get("TUI_TRAINER_PRESETS", "").split(os.pathsep) if part]
    user = Path(platformdirs.user_config_dir("tui-trainer")) / "presets"
    found: dict[Path, None] = {}
    for folder in (*given, *from_env, Path("presets"), user, builtin_dir()):
        found.setdefault(absolute(folder))
    return list(found)


def absolute(folder: Path) -> Path:
    """Return the absolute path of a folder, which may begin with `~`."""
    return Path(os.path.expanduser(folder)).absolute()


def is_named(path: Path) -> bool:
    """Whether a file name can name a preset; does not access the disk."""
    return path.suffix == SUFFIXES[0] and is_safe_name(path.stem)


def files_in(folder: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the files of a folder whose names are wanted; none if it cannot be read."""
    try:
        paths = sorted(folder.iterdir())
    except (OSError, ValueError):
        return []
    return [path for path in paths if is_wanted(path) and os.path.isfile(path)]


def preset_names(kind: str, folders: Sequence[Path]) -> list[str]:
    """Return the names of the presets of a kind, sorted."""
    return sorted(
        {path.stem for folder in folders for path in files_in(folder / f"{kind}s", is_named)}
    )


def is_experiment(word: str, folders: Sequence[Path]) -> bool:
    """Whether a word is a YAML file that exists, or the name of an experiment preset."""
    if word.endswith(SUFFIXES):
        return os.path.isfile(os.path.expanduser(word))
    return word in preset_names("experiment", folders)
