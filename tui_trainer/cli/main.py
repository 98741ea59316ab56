"""The entry point: runs a command, and turns errors into one line and an exit code.

Layer: cli. The module of a command is imported when the command is called, so that `--help` and the
preset commands run without torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise

from tui_trainer.cli.arguments import parse
from tui_trainer.cli.train import leaves_the_shell
from tui_trainer.config.processes import protect_environment
from tui_trainer.text.clean import clean
from tui_trainer.text.console import error_stream, print_error
from tui_trainer.text.errors import BadInput, ExitCode, TrainerError
from tui_trainer.text.read_progress import print_progress

COMMANDS = {
    "compose": "train.compose",
    "train": "train.train",
    "resume": "train.resume",
    "fork": "train.fork",
    "attach": "train.attach",
    "logs": "logs.logs",
    "ctl": "ctl.ctl",
    "runs": "runs.runs",
    "evaluate": "results.evaluate",
    "predict": "results.predict",
    "data inspect": "own_data.inspect",
    "config": "preferences.config",
    "doctor": "doctor.doctor",
    "plugin check": "plugin.check",
    "plugin new": "plugin.new",
    "cache list": "cache.list_entries",
    "cache clear": "cache.clear",
    "completion": "completion.completion",
    "presets list": "presets.list_presets",
    "presets show": "presets.show_preset",
    "presets validate": "presets.validate_presets",
    "presets copy": "presets.copy_preset",
    "presets schema": "presets.print_schema",
}
"""The function of each command. Its module in this package is imported when it is called."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status; no mistake of a user raises an exception."""
    protect_environment()
    # OpenMP reads this when torch is loaded. By default its threads spin while they wait, which
    # makes small models ten times slower as soon as another process needs one of the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        _check_surroundings()
        if words[:3] == ["completion", "candidates", "--"]:
            from tui_trainer.cli.completion import print_candidates

            return print_candidates(words[3:])
        arguments = parse(words)
        # Until a bar or the app shows it.
        print_progress(lambda words: error_stream().line(words))
        arguments.tether = None
        if leaves_the_shell(arguments):
            from tui_trainer.sessions.launcher import split
            from tui_trainer.ui.terminal.terminal import restoring

            # Before anything heavy is imported, so that the process that waits stays small.
            side = split(restoring(os.environ))
            if isinstance(side, int):
                return side
            arguments.tether = side
        return _function_of(arguments.action)(arguments)
    except TrainerError as error:
        if _records_a_run(words):
            from tui_trainer.cli.headless import tell_early_end

            tell_early_end(str(error), int(error.exit_code), is_new=words[0] != "resume")
        if "--debug" in words:
            return _show_traceback()
        for line in str(error).splitlines():
            print_error(f"tui-trainer: {clean(line, 1000)}")
        return int(error.exit_code)
    except KeyboardInterrupt:
        # The terminal and the launcher may each send one; ignore the second while exiting.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return 130
    except BrokenPipeError:
        # The reader of our output is gone. Without this the interpreter would fail to flush stdout
        # at exit, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        if "--debug" in words:
            return _show_traceback()
        return _explain(error)


def _function_of(command: str) -> Callable[[argparse.Namespace], int]:
    module, name = COMMANDS[command].split(".")
    function: Callable[[argparse.Namespace], int] = getattr(
        import_module(f"tui_trainer.cli.{module}"), name
    )
    return function


def _explain(error: Exception) -> ExitCode:
    """Print an exception that no command has explained; it came from a plugin, or is our bug."""
    from tui_trainer.config.user_code import describe_user_error

    if text := describe_user_error(error):
        print_error(f"tui-trainer: {text}")
        return ExitCode.BAD_INPUT
    text = clean(f"{type(error).__name__}: {error}", 400)
    print_error(f"tui-trainer: {text}; this is a bug, --debug shows where")
    return ExitCode.FAILED


def _show_traceback() -> ExitCode:
    """Print the traceback as the interpreter would, but without control characters."""
    print_error(traceback.format_exc().rstrip("\n"))
    return ExitCode.FAILED


def _records_a_run(words: Sequence[str]) -> bool:
    """Whether the output is JSON lines of a run, which a reader expects to end with `run_ended`."""
    as_json = "--log-format=json" in words or ("--log-format", "json") in pairwise(words)
    return as_json and words[0] in ("train", "resume", "fork") and "--dry-run" not in words


def _check_surroundings() -> None:
    """Make sure that the three standard streams are open and the current directory exists.

    The number of a closed stream would go to the next file that is opened, and the output of C code
    would end up in a file of the run.

    Raises:
        BadInput: the current directory is gone.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(descriptor)
    try:
        os.getcwd()
    except OSError as error:
        raise BadInput("the current directory is gone; go to another one (cd)") from error
