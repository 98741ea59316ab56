"""The commands about presets, settings and the machine.

Layer: commands.
"""

from __future__ import annotations

import argparse

from tui_trainer.cli import options as given
from tui_trainer.text.console import print_block, print_json
from tui_trainer.text.errors import ExitCode


def list_presets(arguments: argparse.Namespace) -> int:
    """List the presets."""
    from tui_trainer.cli.presets import list_presets

    return list_presets(given.library(arguments), arguments.kind, as_json=arguments.json)


def show_preset(arguments: argparse.Namespace) -> int:
    """Print a preset."""
    from tui_trainer.cli.presets import show_preset

    return show_preset(given.library(arguments), arguments.name)


def validate_presets(arguments: argparse.Namespace) -> int:
    """Check files of presets."""
    from tui_trainer.cli.presets import validate_presets

    return validate_presets(given.library(arguments), arguments.files)


def copy_preset(arguments: argparse.Namespace) -> int:
    """Copy a preset, to be changed."""
    from tui_trainer.cli.presets import copy_preset

    return copy_preset(given.library(arguments), arguments.name, arguments.target)


def print_schema(arguments: argparse.Namespace) -> int:
    """Print the JSON schema of presets."""
    from tui_trainer.cli.presets import print_schema

    return print_schema()


def config(arguments: argparse.Namespace) -> int:
    """Show and check the settings of the user, or write a first file."""
    from tui_trainer.cli.preferences import print_preferences, write_preferences
    from tui_trainer.config.preferences import preferences_path

    path = preferences_path()
    if arguments.init:
        return write_preferences(path)
    return print_preferences(path, as_json=arguments.json)


def doctor(arguments: argparse.Namespace) -> int:
    """Say what is there: packages, devices, folders."""
    from tui_trainer.config.presets import search_dirs
    from tui_trainer.machine.doctor import examine

    report = examine(search_dirs(arguments.preset_dir), given.runs_dir(arguments))
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_block("\n".join(report.lines()))
    return ExitCode.OK
