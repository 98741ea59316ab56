"""The arguments that several commands share.

Layer: cli.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli.command_parser import Parser

SETTINGS_HELP = "settings to change, like optimizer.lr=3e-4"
MOVED = "dataset.path=PATH"
MOVED_HELP = "where the data are now, if they were moved"
RUN_HELP = "a run's name or the beginning of it, a path, or last"
DEVICE_HELP = "auto, cpu, cuda or cuda:N"


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def add_command(commands: Commands, name: str, text: str) -> Parser:
    """Add a command with the options that all commands share."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.set_defaults(action=name)
    return parser


def add_runs_dir(parser: Parser) -> None:
    parser.add_argument(
        "--runs-dir", type=Path, help="folder of the runs (default: $TUI_TRAINER_RUNS_DIR, ./runs)"
    )


def add_preset_dir(parser: Parser) -> None:
    parser.add_argument(
        "--preset-dir", type=Path, action="append", default=[], help="look for presets here first"
    )


def add_plugin(parser: Parser) -> None:
    parser.add_argument(
        "--plugin",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file with data sets, models, losses or other types of your own",
    )


def add_live_overrides(parser: Parser) -> None:
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="KEY=VALUE",
        help=f"live settings to change; {MOVED}: {MOVED_HELP}",
    )


def add_checkpoint(parser: Parser, default: str, shown: str) -> None:
    """Add --from; its help gives the default as `shown`."""
    parser.add_argument(
        "--from",
        dest="which",
        default=default,
        metavar="last|best|STEP",
        help=f"the checkpoint to use; default: {shown}",
    )


def add_run_name(parser: Parser) -> None:
    parser.add_argument("name", metavar="RUN", help=RUN_HELP)


def add_running(parser: Parser) -> None:
    """Add the options for how a run is shown and on what it runs."""
    parser.add_argument("--no-ui", action="store_true", help="no app, only text")
    parser.add_argument(
        "--detach", action="store_true", help="free the shell once it trains; attach to come back"
    )
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="text, or JSON lines"
    )
    add_fps(parser)
    parser.add_argument("--device", help=DEVICE_HELP)
    parser.add_argument("--threads", type=int, help="number of CPU threads for torch")


def add_fps(parser: Parser) -> None:
    parser.add_argument("--fps", type=float, metavar="N", help="at most N refreshes per second")


def add_data(parser: Parser) -> None:
    """Add the options for data of one's own."""
    parser.add_argument(
        "--data", metavar="PATH", help="a file or folder to train on, in place of the experiment's"
    )
    add_target(parser)


def add_target(parser: Parser) -> None:
    parser.add_argument(
        "--target",
        action="append",
        metavar="COLUMN",
        help="the column to predict; more than once: several",
    )
