"""The arguments of every command.

Layer: cli. Parsing only names the command in `action`; `main` looks up the function.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer import __version__
from tui_trainer.cli import hints
from tui_trainer.cli.command_parser import Parser
from tui_trainer.cli.preset_arguments import add_cache, add_plugin_commands, add_presets
from tui_trainer.cli.shared_arguments import (
    DEVICE_HELP,
    MOVED,
    MOVED_HELP,
    RUN_HELP,
    SETTINGS_HELP,
    add_checkpoint,
    add_command,
    add_data,
    add_fps,
    add_live_overrides,
    add_plugin,
    add_preset_dir,
    add_run_name,
    add_running,
    add_runs_dir,
    add_target,
)
from tui_trainer.runs.commands import COMMANDS
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import any_of

SHELLS = ("bash", "zsh", "fish")


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the arguments; `action` names the command, which is `compose` if none is given.

    --help exits as argparse does, with status 0.

    Raises:
        BadInput: the arguments cannot be used; gives a hint.
    """
    # For the app alone, the parsers of the other commands are not made: it is painted sooner.
    parser = make_parser() if words else _parser_of_app()
    parsers = parsers_of(parser)
    if words and not words[0].startswith("-") and words[0] not in parsers:
        raise BadInput(hints.no_command(words, [name for name in parsers if name.isalpha()]))
    bare = _opens_the_app(words, parsers)
    arguments, rest = parser.parse_known_args(["compose", *words] if bare else words)
    if bare and (command := arguments.experiment) and command in parsers:
        option = clean(words[0].partition("=")[0], 80)
        raise BadInput(f"{option} must come after the command: tui-trainer {command} ... {option}")
    if rest or not hasattr(arguments, "action"):
        command = getattr(arguments, "action", "")
        _take_rest(parsers[command], parsers, arguments, rest, words)
    arguments.argv = ["tui-trainer", *words]
    return arguments


def _opens_the_app(words: Sequence[str], parsers: dict[str, Parser]) -> bool:
    """Return whether the words are only options of the app, such as --runs-dir.

    Raises:
        BadInput: they are only options, and not of the app.
    """
    option = words[0].partition("=")[0] if words else ""
    if not option.startswith("-") or option in parsers[""].options:
        return not words
    owners = [name for name, other in parsers.items() if option in other.options]
    if "compose" in owners:
        return True
    if not any(word in parsers for word in words if word):
        belongs = f"; {clean(option, 80)} belongs to {any_of(owners)}" if owners else ""
        raise BadInput(f"no command given{belongs}; tui-trainer --help lists them")
    return False


def _take_rest(
    parser: Parser,
    parsers: dict[str, Parser],
    arguments: argparse.Namespace,
    rest: list[str],
    words: Sequence[str],
) -> None:
    """Add overrides that come after options, which argparse alone does not allow."""
    takes_more = hasattr(arguments, "overrides")
    unknown = [word for word in rest if word.startswith("-")]
    unknown += [] if takes_more else rest
    if unknown:
        following = [*words, ""][list(words).index(unknown[0]) + 1] if unknown[0] in words else ""
        options = {name: other.options for name, other in parsers.items()}
        command = parser.command
        raise BadInput(
            hints.no_argument(
                unknown[0], command, options, following=following, settings=parser.takes_settings
            )
        )
    arguments.overrides = [*arguments.overrides, *rest]


def parsers_of(parser: Parser) -> dict[str, Parser]:
    """Return the parsers of all commands by their words, such as `presets list`.

    That of the program itself is there under the empty name.
    """
    parsers = {parser.command: parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                parsers |= parsers_of(below)
    return parsers


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(
        "tui-trainer",
        description="Train PyTorch models from the terminal. Without a command the app opens.",
    )
    parser.add_argument("--version", action="version", version=f"tui-trainer {__version__}")
    commands = _add_commands(parser)
    _add_compose(commands)
    _add_train(commands)
    _add_resume(commands)
    _add_fork(commands)
    _add_watching(commands)
    _add_control(commands)
    _add_results(commands)
    _add_own_data(commands)
    add_presets(commands)
    config = add_command(commands, "config", "show and check your settings for the app")
    config.add_argument("--init", action="store_true", help="write a file with the defaults")
    config.add_argument("--json", action="store_true", help="print JSON")
    doctor = add_command(commands, "doctor", "show versions, devices and folders, and any problems")
    add_runs_dir(doctor)
    add_preset_dir(doctor)
    doctor.add_argument("--json", action="store_true", help="print JSON")
    add_plugin_commands(commands)
    add_cache(commands)
    completion = add_command(commands, "completion", "print the script for completion in a shell")
    completion.add_argument("shell", choices=SHELLS, metavar="|".join(SHELLS), help="your shell")
    return parser


def _parser_of_app() -> Parser:
    """Return a parser that knows the command of the app alone."""
    parser = Parser("tui-trainer")
    _add_compose(_add_commands(parser))
    return parser


def _add_commands(parser: Parser) -> Commands:
    return parser.add_subparsers(title="commands", metavar="COMMAND")


def _add_compose(commands: Commands) -> None:
    compose = add_command(commands, "compose", "open the app to put an experiment together")
    compose.add_argument(
        "experiment",
        nargs="?",
        default="",
        metavar="EXPERIMENT|DATA",
        help="what to start from: an experiment, or a file or folder of data",
    )
    compose.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=SETTINGS_HELP)
    add_data(compose)
    add_runs_dir(compose)
    add_preset_dir(compose)
    add_plugin(compose)
    add_fps(compose)


def _add_train(commands: Commands) -> None:
    train = add_command(commands, "train", "train an experiment, or a model for your own data")
    train.add_argument(
        "experiment",
        nargs="?",
        default="",
        metavar="EXPERIMENT|DATA",
        help="an experiment preset or its YAML file; or a file or folder of data",
    )
    train.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=SETTINGS_HELP)
    add_data(train)
    train.add_argument(
        "--save", type=Path, metavar="FILE.yaml", help="also write the experiment to a file"
    )
    train.add_argument("--name", default="", help="the run's name; the date is added to it")
    train.add_argument("--dry-run", action="store_true", help="show what would be trained")
    add_runs_dir(train)
    add_preset_dir(train)
    add_plugin(train)
    add_running(train)


def _add_resume(commands: Commands) -> None:
    resume = add_command(commands, "resume", "continue a run")
    add_run_name(resume)
    add_live_overrides(resume)
    add_checkpoint(resume, "last", "last")
    resume.add_argument(
        "--drop-edits", action="store_true", help="drop the edits made after the checkpoint"
    )
    resume.add_argument(
        "--force",
        action="store_true",
        help="take over a run whose host is lost (see tui-trainer runs)",
    )
    add_runs_dir(resume)
    add_preset_dir(resume)
    add_plugin(resume)
    add_running(resume)
    _add_accept_data(resume)


def _add_fork(commands: Commands) -> None:
    fork = add_command(commands, "fork", "start a new run from a checkpoint of another")
    add_run_name(fork)
    add_live_overrides(fork)
    add_checkpoint(fork, "last", "last")
    fork.add_argument("--name", dest="new_name", default="", help="the new run's name, as in train")
    add_runs_dir(fork)
    add_preset_dir(fork)
    add_plugin(fork)
    add_running(fork)
    _add_accept_data(fork)


def _add_accept_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--accept-data",
        action="store_true",
        help="continue even if some rows of the run are gone or changed",
    )


def _add_watching(commands: Commands) -> None:
    attach = add_command(commands, "attach", "watch and steer a run of another process")
    attach.add_argument("name", nargs="?", metavar="RUN", help=f"{RUN_HELP}; default: the live run")
    attach.add_argument("--no-ui", action="store_true", help="no app, only text")
    attach.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="text, or JSON lines"
    )
    add_fps(attach)
    add_preset_dir(attach)
    add_plugin(attach)
    logs = add_command(commands, "logs", "print the events and the output of a run")
    add_run_name(logs)
    logs.add_argument(
        "-f", "--follow", action="store_true", help="keep printing until the run ends"
    )
    logs.add_argument("-n", "--lines", type=int, metavar="N", help="only the newest N lines")
    logs.add_argument(
        "--level",
        choices=("all", "important", "warnings"),
        default="all",
        metavar="LEVEL",
        help="important: no saves, no output, and only validations that improved; "
        "warnings: only warnings and errors",
    )
    logs.add_argument(
        "-g", "--grep", metavar="PATTERN", help="only lines with this regular expression"
    )
    runs = add_command(commands, "runs", "list the runs")
    runs.add_argument("--json", action="store_true", help="print JSON")
    runs.add_argument(
        "--state",
        default="",
        metavar="STATE,...",
        help="only runs in these states; live: those that have not ended",
    )
    runs.add_argument(
        "--sort",
        default="",
        metavar="COLUMN",
        help="sort by name, state, step, best, age, device or pid",
    )
    runs.add_argument(
        "--filter",
        default="",
        metavar="CONDITIONS",
        help="only runs that match, like 'lr<0.01 model=cnn'",
    )
    for parser in (attach, logs, runs):
        add_runs_dir(parser)


def _add_control(commands: Commands) -> None:
    control = add_command(commands, "ctl", "steer a live run")
    add_run_name(control)
    commands_of_runs = [f"  {kind.word:<19}  {kind.help}" for kind in COMMANDS.values()]
    control.explain("\n".join(["commands:", *commands_of_runs]))
    control.add_argument("command", metavar="COMMAND", help=any_of(list(COMMANDS)))
    control.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="settings, for set")
    control.set_defaults(flags=[])
    for kind in COMMANDS.values():
        for flag in kind.flags:
            control.add_argument(
                f"--{flag.name}",
                dest="flags",
                action="append_const",
                const=flag.name,
                help=f"{kind.word}: {flag.help}",
            )
    control.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="seconds to wait for the effect"
    )
    control.add_argument("--json", action="store_true", help="print JSON")
    add_runs_dir(control)


def _add_results(commands: Commands) -> None:
    evaluate = add_command(commands, "evaluate", "measure a run's best weights")
    add_run_name(evaluate)
    evaluate.add_argument("overrides", nargs="*", metavar=MOVED, help=MOVED_HELP)
    evaluate.add_argument("--split", choices=("train", "val", "test"), help="default: test")
    evaluate.add_argument(
        "--data",
        metavar="FILE",
        help="measure on the whole of another labelled file",
    )
    evaluate.add_argument(
        "--baselines",
        action="store_true",
        help="only the baselines, including those that a run skips",
    )
    predict = add_command(commands, "predict", "predict new files with a run's best weights")
    add_run_name(predict)
    predict.add_argument("files", nargs="*", metavar="FILE", help="samples like those trained on")
    predict.set_defaults(overrides=[])
    predict.explain(f"{MOVED}: {MOVED_HELP}; only runs of an older version need it")
    predict.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write the rows with their predictions to a .csv or .jsonl file; "
        "masks and pictures are written as PNG to a folder",
    )
    predict.add_argument(
        "--probabilities", action="store_true", help="with --out: a column per class"
    )
    predict.add_argument("--force", action="store_true", help="with --out: replace what is there")
    predict.add_argument(
        "--generate", type=int, metavar="N", help="generate N tokens with a language model"
    )
    predict.add_argument("--prompt", default="", metavar="TEXT", help="the text to continue")
    predict.add_argument(
        "--temperature", type=float, default=1.0, help="0: always the likeliest token"
    )
    predict.add_argument(
        "--top-k", type=int, default=0, metavar="K", help="draw from the K likeliest tokens only"
    )
    predict.add_argument("--seed", type=int, default=0, help="seed of the random draws")
    for parser in (evaluate, predict):
        add_checkpoint(parser, "", "best")
        parser.add_argument("--device", default="auto", help=DEVICE_HELP)
        add_plugin(parser)
        parser.add_argument("--json", action="store_true", help="print JSON")
        add_runs_dir(parser)


def _add_own_data(commands: Commands) -> None:
    text = "look at data of your own"
    data = commands.add_parser("data", help=text, description=text)
    actions = data.add_subparsers(title="actions", metavar="ACTION", required=True)
    look = add_command(
        actions, "inspect", "show what a file or folder contains, and how train would use it"
    )
    look.add_argument("path", metavar="PATH", help="a file or folder of data")
    look.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=SETTINGS_HELP)
    add_target(look)
    look.add_argument("--json", action="store_true", help="print JSON")
    add_preset_dir(look)
    look.set_defaults(action="data inspect")
