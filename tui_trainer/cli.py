"""The command line: arguments to calls, errors to one line and an exit code.

Layer: cli, with `arguments`. Every heavy import is inside the function that needs it, so that
`--help` and the presets answer without torch.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.arguments import parse
from tui_trainer.config.errors import BadInput, ExitCode, TrainerError
from tui_trainer.config.text import clean

if TYPE_CHECKING:
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.headless.printer import Printer
    from tui_trainer.sessions.requests import RunRequest
    from tui_trainer.ui.assembly import Asked, Composing, WatchedRun


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Never raises for what a user can cause."""
    # OpenMP reads this when torch is loaded. Its threads spin by default, which makes small models
    # ten times slower as soon as another process wants one of the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        _check_surroundings()
        arguments = parse(words)
        arguments.tether = None
        if _leaves_the_shell(arguments):
            from tui_trainer.sessions.launcher import split
            from tui_trainer.ui.terminal import RESTORE

            # Before anything heavy is imported: what waits for the app stays small.
            side = split(RESTORE)
            if isinstance(side, int):
                return side
            arguments.tether = side
        return ACTIONS[arguments.action](arguments)
    except TrainerError as error:
        if _records_a_run(words):
            from tui_trainer.headless.runner import tell_early_end

            tell_early_end(str(error), int(error.exit_code))
        if "--debug" in words:
            raise
        for line in str(error).splitlines():
            print(f"tui-trainer: {clean(line, 1000)}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        # The terminal and the launcher may each have sent one.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return 130
    except BrokenPipeError:
        # The reader of our output is gone; the interpreter must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except Exception as error:
        if "--debug" in words:
            raise
        text = clean(f"{type(error).__name__}: {error}", 400)
        print(f"tui-trainer: {text}; this is a bug, --debug shows where", file=sys.stderr)
        return ExitCode.FAILED


def _records_a_run(words: Sequence[str]) -> bool:
    """Whether a program waits for JSON lines of a run, of which `run_ended` is the last."""
    as_json = "--log-format=json" in words or ("--log-format", "json") in pairwise(words)
    return as_json and words[0] in ("train", "resume", "fork") and "--dry-run" not in words


def _check_surroundings() -> None:
    """Make sure of three open streams, and of a directory to be in.

    A closed stream's number would go to the next file that is opened, and what C code prints
    would land in a run's files.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        continue
    os.close(descriptor)
    try:
        os.getcwd()
    except OSError as error:
        raise BadInput("the current directory is gone; go to another one (cd)") from error


def _overrides(arguments: argparse.Namespace) -> list[str]:
    """The overrides, with those that have options of their own last."""
    found = list(arguments.overrides)
    if arguments.device is not None:
        found.append(f"training.device={arguments.device}")
    if arguments.threads is not None:
        found.append(f"training.threads={arguments.threads}")
    return found


def _runs_dir(arguments: argparse.Namespace) -> Path:
    from tui_trainer.runs.directory import default_runs_dir

    given: Path | None = arguments.runs_dir
    return given or default_runs_dir()


def _why_no_app() -> str:
    from tui_trainer.ui.terminal import can_open_app

    return can_open_app(os.environ, sys.stdin, sys.stdout)


def _opens_app(arguments: argparse.Namespace) -> bool:
    """Whether a run is shown in the app: on a terminal, unless something else was asked for."""
    # A run that is attached to has left its terminal already.
    plain = arguments.no_ui or getattr(arguments, "detach", False)
    return not plain and arguments.log_format == "text" and not _why_no_app()


def _leaves_the_shell(arguments: argparse.Namespace) -> bool:
    """Whether the shell may be given back while this goes on, which takes a launcher."""
    if arguments.action == "compose":
        return not _why_no_app()
    if arguments.action not in ("train", "resume", "fork") or getattr(arguments, "dry_run", False):
        return False
    return arguments.detach or _opens_app(arguments)


def _asked(arguments: argparse.Namespace, library: PresetLibrary) -> Asked:
    from tui_trainer.config.preferences import chosen_preferences
    from tui_trainer.ui.assembly import Asked

    return Asked(
        library=library,
        runs_dir=_runs_dir(arguments),
        preferences=chosen_preferences(arguments.fps),
        argv=arguments.argv,
    )


def _compose(arguments: argparse.Namespace) -> int:
    if why := _why_no_app():
        raise BadInput(
            f"the app needs a terminal: {why}; "
            "tui-trainer train EXPERIMENT trains without one, tui-trainer --help shows the rest"
        )
    # What is wrong on the command line is said on it; without any, the screen comes first, and so
    # it does with plugins, which may take as long to load as torch.
    early = arguments.experiment and not _has_plugins(arguments)
    asked = _asked_for(arguments) if early else None
    return _open(arguments, lambda: asked or _asked_for(arguments))


def _asked_for(arguments: argparse.Namespace) -> tuple[Asked, Composing]:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.ui.assembly import Composing

    _load_plugins(arguments)
    library = _library(arguments)
    overrides = parse_overrides(arguments.overrides)
    if arguments.experiment:
        library.experiment(arguments.experiment, overrides)
    return _asked(arguments, library), Composing(arguments.experiment, overrides)


def _open(
    arguments: argparse.Namespace,
    ask: Callable[[], tuple[Asked, Composing | RunRequest | WatchedRun]],
) -> int:
    from tui_trainer.ui.opening import open_app

    return open_app(ask, tether=arguments.tether, debug=arguments.debug)


def _run(arguments: argparse.Namespace, runs_dir: Path, request: Callable[[], RunRequest]) -> int:
    """Train, in the app or as lines; `request` is called when plugins are loaded."""
    if _opens_app(arguments):
        asked = _asked(arguments, _library(arguments))

        def ask() -> tuple[Asked, RunRequest]:
            _load_plugins(arguments)
            return asked, request()

        return _open(arguments, ask)
    from tui_trainer.headless.runner import run_headless
    from tui_trainer.sessions.local import LocalSession
    from tui_trainer.sessions.requests import prepare

    _load_plugins(arguments)
    session = LocalSession(partial(prepare, request(), runs_dir, arguments.argv))
    return run_headless(session, _printer(arguments, runs_dir), debug=arguments.debug)


def _train(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.sessions.requests import NewRun

    library = _library(arguments)
    overrides = parse_overrides(_overrides(arguments))

    def request() -> NewRun:
        return NewRun(library.experiment(arguments.experiment, overrides), arguments.name)

    if arguments.dry_run:
        from tui_trainer.headless.preview import print_preview

        _load_plugins(arguments)
        as_json = arguments.log_format == "json"
        return print_preview(request().experiment, as_json=as_json)
    if _has_plugins(arguments):
        return _run(arguments, _runs_dir(arguments), request)
    # What is wrong with the experiment is said before a screen opens.
    known = request()
    return _run(arguments, _runs_dir(arguments), lambda: known)


def _resume(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.runs.directory import open_run
    from tui_trainer.sessions.requests import OldRun

    overrides = tuple(parse_overrides(_overrides(arguments)))
    run = open_run(arguments.name, _runs_dir(arguments))
    how = (arguments.which, arguments.drop_edits, arguments.force)
    old = OldRun(run.path, overrides, *how)
    return _run(arguments, run.path.parent, lambda: old)


def _fork(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.runs.directory import open_run
    from tui_trainer.sessions.requests import ForkedRun

    overrides = tuple(parse_overrides(_overrides(arguments)))
    runs_dir = _runs_dir(arguments)
    run = open_run(arguments.name, runs_dir)
    fork = ForkedRun(run.path, overrides, arguments.which, arguments.new_name)
    return _run(arguments, runs_dir, lambda: fork)


def _printer(arguments: argparse.Namespace, runs_dir: Path) -> Printer:
    from tui_trainer.headless.runner import make_printer

    if arguments.tether is None:
        return make_printer(arguments.log_format)
    from tui_trainer.headless.detached import DetachedPrinter, leave_terminal

    leave_terminal()
    return DetachedPrinter(runs_dir, arguments.tether, as_json=arguments.log_format == "json")


def _attach(arguments: argparse.Namespace) -> int:
    from tui_trainer.runs.directory import open_run
    from tui_trainer.runs.index import newest_live

    runs_dir = _runs_dir(arguments)
    run = open_run(arguments.name, runs_dir) if arguments.name else newest_live(runs_dir)
    if _opens_app(arguments):
        from tui_trainer.ui.assembly import WatchedRun

        asked = _asked(arguments, _library(arguments))

        def ask() -> tuple[Asked, WatchedRun]:
            _load_plugins(arguments)
            return asked, WatchedRun(run.path)

        return _open(arguments, ask)
    _load_plugins(arguments)
    from tui_trainer.headless.following import follow
    from tui_trainer.headless.runner import make_printer

    return follow(run, make_printer(arguments.log_format))


def _logs(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.logs import print_logs
    from tui_trainer.runs.directory import open_run

    run = open_run(arguments.name, _runs_dir(arguments))
    return print_logs(run, follow=arguments.follow, newest=arguments.lines)


def _control(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.control import control
    from tui_trainer.runs.directory import open_run

    run = open_run(arguments.name, _runs_dir(arguments))
    return control(
        run,
        arguments.command,
        arguments.overrides,
        offload=arguments.offload,
        discard=arguments.discard,
        timeout_s=arguments.timeout,
        as_json=arguments.json,
    )


def _runs(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.listing import print_runs

    return print_runs(
        _runs_dir(arguments),
        states=arguments.state,
        order=arguments.sort,
        conditions=arguments.filter,
        as_json=arguments.json,
    )


def _evaluate(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.evaluation import print_evaluation
    from tui_trainer.runs.directory import open_run

    run = open_run(arguments.name, _runs_dir(arguments))
    _load_plugins(arguments)
    return print_evaluation(
        run, arguments.split, arguments.which, arguments.device, as_json=arguments.json
    )


def _predict(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.prediction import print_generated, print_predictions
    from tui_trainer.runs.directory import open_run
    from tui_trainer.sessions.workbench import Generation

    if arguments.files and arguments.generate is not None:
        raise BadInput("--generate goes on from --prompt TEXT, and takes no files")
    _load_plugins(arguments)
    run = open_run(arguments.name, _runs_dir(arguments))
    where = (arguments.which, arguments.device)
    if arguments.generate is None:
        return print_predictions(run, arguments.files, *where, as_json=arguments.json)
    how = Generation(
        arguments.generate,
        arguments.prompt,
        arguments.temperature,
        arguments.top_k,
        arguments.seed,
    )
    return print_generated(run, how, *where, as_json=arguments.json)


def _library(arguments: argparse.Namespace) -> PresetLibrary:
    from tui_trainer.config.presets import PresetLibrary, search_dirs

    return PresetLibrary(search_dirs(arguments.preset_dir))


def _has_plugins(arguments: argparse.Namespace) -> bool:
    from tui_trainer.config.plugins import has_plugins

    return has_plugins(arguments.plugin)


def _load_plugins(arguments: argparse.Namespace) -> None:
    from tui_trainer.config.plugins import load_plugins

    load_plugins(arguments.plugin)


def _list_presets(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.presets import list_presets

    return list_presets(_library(arguments), arguments.kind, as_json=arguments.json)


def _show_preset(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.presets import show_preset

    return show_preset(_library(arguments), arguments.name)


def _validate_presets(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.presets import validate_presets

    return validate_presets(_library(arguments), arguments.files)


def _copy_preset(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.presets import copy_preset

    return copy_preset(_library(arguments), arguments.name, arguments.target)


def _print_schema(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.presets import print_schema

    return print_schema()


def _config(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.preferences import preferences_path
    from tui_trainer.headless.preferences import print_preferences, write_preferences

    path = preferences_path()
    if arguments.init:
        return write_preferences(path)
    return print_preferences(path, as_json=arguments.json)


def _doctor(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.presets import search_dirs
    from tui_trainer.headless.printer import plain_json
    from tui_trainer.sessions.doctor import examine

    report = examine(search_dirs(arguments.preset_dir), _runs_dir(arguments))
    if arguments.json:
        print(plain_json(report.to_dict()))
    else:
        print("\n".join(report.lines()))
    return ExitCode.OK


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "compose": _compose,
    "train": _train,
    "resume": _resume,
    "fork": _fork,
    "attach": _attach,
    "logs": _logs,
    "ctl": _control,
    "runs": _runs,
    "evaluate": _evaluate,
    "predict": _predict,
    "config": _config,
    "doctor": _doctor,
    "presets list": _list_presets,
    "presets show": _show_preset,
    "presets validate": _validate_presets,
    "presets copy": _copy_preset,
    "presets schema": _print_schema,
}
