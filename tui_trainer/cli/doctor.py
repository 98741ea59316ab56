"""`tui-trainer doctor`: the packages, devices and folders of this machine.

Layer: cli. The report itself is made by `machine.doctor`.
"""

from __future__ import annotations

import argparse

from tui_trainer.cli import argument_values
from tui_trainer.config.presets import search_dirs
from tui_trainer.machine.doctor import examine
from tui_trainer.text.console import print_block, print_json
from tui_trainer.text.errors import ExitCode


def doctor(arguments: argparse.Namespace) -> int:
    """Print the report of this machine and its problems, as text or as JSON."""
    report = examine(search_dirs(arguments.preset_dir), argument_values.runs_dir(arguments))
    if arguments.json:
        print_json(report.to_dict())
    else:
        print_block("\n".join(report.lines()))
    return ExitCode.OK
