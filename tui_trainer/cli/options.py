"""What the words of a command name: presets, the directory of runs, plugins, overrides.

Layer: commands.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary


def library(arguments: argparse.Namespace) -> PresetLibrary:
    """The presets that ship, those of the user, and those of `--preset-dir`."""
    from tui_trainer.config.presets import PresetLibrary, search_dirs

    return PresetLibrary(search_dirs(arguments.preset_dir), arguments.preset_dir)


def runs_dir(arguments: argparse.Namespace) -> Path:
    """Where runs are kept."""
    from tui_trainer.runs.directory import default_runs_dir

    given: Path | None = arguments.runs_dir
    return given or default_runs_dir()


def overrides(arguments: argparse.Namespace) -> list[str]:
    """The overrides, with those that have options of their own last."""
    found = list(arguments.overrides)
    if arguments.device is not None:
        found.append(f"training.device={arguments.device}")
    if arguments.threads is not None:
        found.append(f"training.threads={arguments.threads}")
    return found


def has_plugins(arguments: argparse.Namespace) -> bool:
    """Whether code of the user is to be loaded."""
    from tui_trainer.config.plugins import has_plugins

    return has_plugins(arguments.plugin)


def load_plugins(arguments: argparse.Namespace) -> None:
    """Load the code of the user that was named."""
    from tui_trainer.config.plugins import load_plugins

    load_plugins(arguments.plugin)
