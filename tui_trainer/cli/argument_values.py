"""The values behind arguments that several commands share: presets, runs, plugins, overrides.

Layer: cli.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui_trainer.config.overrides import Override
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.runs.directory import RunDirectory


def library(arguments: argparse.Namespace) -> PresetLibrary:
    """Return the built-in presets together with those of the user and of `--preset-dir`."""
    from tui_trainer.config.presets import PresetLibrary, search_dirs

    return PresetLibrary(search_dirs(arguments.preset_dir), arguments.preset_dir)


def runs_dir(arguments: argparse.Namespace) -> Path:
    """Return the directory of the runs: `--runs-dir`, or the default."""
    from tui_trainer.runs.directory import default_runs_dir

    given: Path | None = arguments.runs_dir
    return given or default_runs_dir()


def find_run(arguments: argparse.Namespace) -> RunDirectory:
    """Return the run that is named; BadInput if there is none."""
    from tui_trainer.runs.lookup import find_run

    return find_run(arguments.name, runs_dir(arguments))


def overrides(arguments: argparse.Namespace) -> tuple[Override, ...]:
    """Return the overrides of a command; raises ConfigError."""
    from tui_trainer.config.overrides import parse_overrides

    return tuple(parse_overrides(override_words(arguments)))


def override_words(arguments: argparse.Namespace) -> list[str]:
    """Return the overrides; those from options of their own, like `--device`, come last and win."""
    words = list(arguments.overrides)
    if getattr(arguments, "device", None) is not None:
        words.append(f"training.device={arguments.device}")
    if getattr(arguments, "threads", None) is not None:
        words.append(f"training.threads={arguments.threads}")
    return words


def with_target(overrides: Sequence[Override], targets: Sequence[str] | None) -> list[Override]:
    """Return the overrides with the columns of `--target`, which are texts whatever they look like.

    They come last, and so win.
    """
    from tui_trainer.config.overrides import Override

    if not targets:
        return list(overrides)
    value = targets[0] if len(targets) == 1 else list(targets)
    return [*overrides, Override("dataset", "target", value)]


def has_plugins(arguments: argparse.Namespace) -> bool:
    """Whether there are plugins to load."""
    from tui_trainer.config.plugin_loader import has_plugins

    return has_plugins(arguments.plugin)


def load_plugins(arguments: argparse.Namespace) -> None:
    """Load the plugins, from `--plugin` and from installed packages."""
    from tui_trainer.config.plugin_loader import load_plugins

    load_plugins(arguments.plugin)
