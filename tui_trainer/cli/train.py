"""The commands that start or watch a run, in the app or as lines: compose, train, resume, ...

Layer: cli. Each decides here whether the app opens; the app and the printers are imported only when
they are needed.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tui_trainer.cli import argument_values
from tui_trainer.cli.examples import EXAMPLES
from tui_trainer.text.console import print_error
from tui_trainer.text.errors import BadInput

if TYPE_CHECKING:
    from tui_trainer.cli.own_data import Asked
    from tui_trainer.cli.printers import LinePrinter
    from tui_trainer.config.presets import PresetLibrary
    from tui_trainer.sessions.requests import RunRequest
    from tui_trainer.ui.app_setup import AppArguments, AttachRequest, ComposeRequest


def leaves_the_shell(arguments: argparse.Namespace) -> bool:
    """Whether this process may leave the shell while it goes on, which needs a launcher."""
    if arguments.action == "compose":
        return not _why_no_app()
    if arguments.action == "attach":
        # From the app, the watched run may be resumed or forked, and then trains in this process.
        return _opens_app(arguments)
    if arguments.action not in ("train", "resume", "fork") or getattr(arguments, "dry_run", False):
        return False
    return arguments.detach or _opens_app(arguments)


def compose(arguments: argparse.Namespace) -> int:
    """Open the app to compose an experiment."""
    if why := _why_no_app():
        raise BadInput(
            f"the app needs a terminal: {why}; "
            "tui-trainer train EXPERIMENT trains without one, tui-trainer --help shows the rest"
        )
    from tui_trainer.config.preset_files import preset_names, search_dirs

    early: tuple[AppArguments, ComposeRequest] | None = None
    # Errors in a named experiment are printed before the app opens. Without one, and with plugins
    # or data, which may take as long to load as torch, the screen comes first.
    if (
        arguments.experiment
        and arguments.data is None
        and not argument_values.has_plugins(arguments)
    ):
        asked = _asked(arguments)
        early = None if asked.path else _compose_request(arguments, asked)
    names = preset_names("experiment", search_dirs(arguments.preset_dir))
    return _open(
        arguments,
        lambda: early or _compose_request(arguments, _asked(arguments)),
        experiments=names,
    )


def _asked(arguments: argparse.Namespace) -> Asked:
    """Return what the arguments name; imports all settings, and so takes longer than a paint."""
    from tui_trainer.cli.own_data import Asked

    return Asked.of(arguments)


def train(arguments: argparse.Namespace) -> int:
    """Train an experiment, or show what would be trained."""
    from tui_trainer.cli.own_data import Asked
    from tui_trainer.runs.names import free_name
    from tui_trainer.sessions.requests import NewRun

    if not arguments.experiment and arguments.data is None and not arguments.plugin:
        example = EXAMPLES["train"][0]
        raise BadInput(f"train: expected EXPERIMENT or DATA, as in: {example}")
    asked_at = datetime.now()
    asked = Asked.of(arguments)
    # Found out now: once the app is open, this process has no terminal to ask.
    tells_notes = arguments.dry_run or not _opens_app(arguments)

    def request() -> NewRun:
        experiment = asked.experiment()
        if tells_notes:
            # The app shows the notes in its own log.
            for note in experiment.notes:
                print_error(note if note.startswith(" ") else f"tui-trainer: {note}")
        if arguments.save is not None:
            from tui_trainer.config.drafts.export import write_experiment

            write_experiment(arguments.save, experiment)
        return NewRun(experiment, arguments.name, asked.reference, asked_at)

    if arguments.dry_run:
        from tui_trainer.cli.preview import print_preview

        argument_values.load_plugins(arguments)
        as_json = arguments.log_format == "json"
        return print_preview(
            request().experiment, argument_values.runs_dir(arguments), as_json=as_json
        )
    runs_dir = argument_values.runs_dir(arguments)
    planned = free_name(runs_dir, arguments.name or asked.name, asked_at)
    if argument_values.has_plugins(arguments) or asked.path:
        return _run(arguments, runs_dir, request, planned, asked.library)
    # Errors in the experiment are printed before the app opens.
    known = request()
    return _run(arguments, runs_dir, lambda: known, planned, asked.library)


def resume(arguments: argparse.Namespace) -> int:
    """Resume a run."""
    from tui_trainer.sessions.requests import ResumeRun

    overrides = argument_values.overrides(arguments)
    run = argument_values.find_run(arguments)
    how = (arguments.which, arguments.drop_edits, arguments.force, arguments.accept_data)
    old = ResumeRun(run.path, overrides, *how)
    return _run(arguments, run.path.parent, lambda: old, run.path.name)


def fork(arguments: argparse.Namespace) -> int:
    """Start a new run from a checkpoint of another."""
    from tui_trainer.sessions.requests import ForkRun, planned_name

    overrides = argument_values.overrides(arguments)
    run = argument_values.find_run(arguments)
    runs_dir = argument_values.runs_dir(arguments)
    how = (arguments.which, arguments.new_name, arguments.accept_data)
    fork = ForkRun(run.path, overrides, *how)
    return _run(arguments, runs_dir, lambda: fork, planned_name(fork, runs_dir))


def attach(arguments: argparse.Namespace) -> int:
    """Watch a run, by default the newest live one."""
    from tui_trainer.runs.index import newest_live

    if arguments.name:
        run = argument_values.find_run(arguments)
    else:
        run = newest_live(argument_values.runs_dir(arguments))
    if _opens_app(arguments):
        from tui_trainer.ui.app_setup import AttachRequest

        asked = _app_arguments(arguments, argument_values.library(arguments))

        def ask() -> tuple[AppArguments, AttachRequest]:
            argument_values.load_plugins(arguments)
            return asked, AttachRequest(run.path)

        return _open(arguments, ask, watches=run.path.name)
    argument_values.load_plugins(arguments)
    from tui_trainer.cli.attach import follow
    from tui_trainer.cli.headless import make_printer

    return follow(run, make_printer(arguments.log_format))


def _compose_request(
    arguments: argparse.Namespace, asked: Asked
) -> tuple[AppArguments, ComposeRequest]:
    from tui_trainer.ui.app_setup import ComposeRequest

    argument_values.load_plugins(arguments)
    if asked.reference or asked.plugin:
        asked.experiment()
    return _app_arguments(arguments, asked.library), ComposeRequest(
        asked.reference, asked.overrides
    )


def _app_arguments(arguments: argparse.Namespace, library: PresetLibrary) -> AppArguments:
    from tui_trainer.config.preferences import chosen_preferences
    from tui_trainer.config.remembered_choices import choices_path
    from tui_trainer.ui.app_setup import AppArguments

    return AppArguments(
        library=library,
        runs_dir=argument_values.runs_dir(arguments),
        preferences=chosen_preferences(arguments.fps),
        argv=arguments.argv,
        plugins=tuple(arguments.plugin),
        choices=choices_path(),
    )


def _open(
    arguments: argparse.Namespace,
    ask: Callable[[], tuple[AppArguments, ComposeRequest | RunRequest | AttachRequest]],
    *,
    starts: str = "",
    watches: str = "",
    experiments: Sequence[str] = (),
) -> int:
    from tui_trainer.ui.start import open_app

    return open_app(
        ask,
        _make_printer,
        starts=starts,
        watches=watches,
        experiments=experiments,
        tether=arguments.tether,
        debug=arguments.debug,
    )


def _make_printer() -> LinePrinter:
    """Return the printer that continues in the run's output.log once the app has closed."""
    from tui_trainer.cli.printers import LinePrinter

    return LinePrinter(sys.__stdout__)


def _run(
    arguments: argparse.Namespace,
    runs_dir: Path,
    request: Callable[[], RunRequest],
    starts: str,
    library: PresetLibrary | None = None,
) -> int:
    """Train, in the app or as lines; `request` is called after the plugins are loaded.

    `starts` is the run's name, or what is known of it before it is prepared. `library` is the one
    that the experiment is in, if there is one.
    """
    library = library or argument_values.library(arguments)
    if _opens_app(arguments):
        asked = _app_arguments(arguments, library)

        def ask() -> tuple[AppArguments, RunRequest]:
            argument_values.load_plugins(arguments)
            return asked, request()

        return _open(arguments, ask, starts=starts)
    from tui_trainer.cli.headless import train_headless

    argument_values.load_plugins(arguments)
    return train_headless(arguments, request(), runs_dir, library)


def _opens_app(arguments: argparse.Namespace) -> bool:
    """Whether to show the run in the app: on a terminal, unless an option asks for text."""
    # `attach` has no --detach: the run that it watches has left its terminal already.
    plain = arguments.no_ui or getattr(arguments, "detach", False)
    return not plain and arguments.log_format == "text" and not _why_no_app()


def _why_no_app() -> str:
    from tui_trainer.ui.terminal.terminal import can_open_app

    return can_open_app(os.environ, sys.stdin, sys.stdout)
