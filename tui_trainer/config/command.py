"""The command line that starts what is composed.

Layer: config. It is for a shell: every word is quoted where it must be, and running it anywhere
but for relative paths gives an equal experiment.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from tui_trainer.config.composition import Composition
from tui_trainer.config.presets import KINDS, PresetLibrary, builtin_dir, search_dirs


def command_of(composition: Composition) -> str:
    """`tui-trainer train digits-cnn optimizer.lr=3e-3`, wrong texts as they are typed."""
    base = composition.base
    words = ["tui-trainer", "train", f"./{base}" if base.startswith("-") else base]
    words += [f"{kind}={name}" for kind, name in composition.chosen.items()]
    words += [f"{_short(key)}={composition.argument(key)}" for key in composition.changed]
    for folder in _given_folders(composition.library):
        words += ["--preset-dir", str(folder)]
    return shlex.join(words)


def _short(key: str) -> str:
    """The key as one would type it: `schedule=cosine`; what has presets keeps `.type`."""
    section, _, name = key.partition(".")
    return section if name == "type" and section not in KINDS else key


def _given_folders(library: PresetLibrary) -> list[Path]:
    """The folders to name on a command line for the same search."""
    folders = library.folders
    for count in range(len(folders)):
        if tuple(search_dirs(folders[:count])) == folders:
            return list(folders[:count])
    return [folder for folder in folders if folder != builtin_dir()]
