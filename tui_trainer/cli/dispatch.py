"""The commands that read runs and steer them: logs, ctl, runs, evaluate, predict.

Layer: commands.
"""

from __future__ import annotations

import argparse

from tui_trainer.cli import options as given
from tui_trainer.text.errors import BadInput


def logs(arguments: argparse.Namespace) -> int:
    """Print the log of a run."""
    from tui_trainer.cli.logs import print_logs
    from tui_trainer.runs.directory import find_run

    run = find_run(arguments.name, given.runs_dir(arguments))
    return print_logs(run, follow=arguments.follow, newest=arguments.lines)


def control(arguments: argparse.Namespace) -> int:
    """Steer a run."""
    from tui_trainer.cli.ctl import control
    from tui_trainer.runs.directory import find_run

    run = find_run(arguments.name, given.runs_dir(arguments))
    return control(
        run,
        arguments.command,
        arguments.overrides,
        flags=arguments.flags,
        timeout_s=arguments.timeout,
        as_json=arguments.json,
    )


def runs(arguments: argparse.Namespace) -> int:
    """List the runs."""
    from tui_trainer.cli.runs import print_runs

    return print_runs(
        given.runs_dir(arguments),
        states=arguments.state,
        order=arguments.sort,
        conditions=arguments.filter,
        as_json=arguments.json,
    )


def evaluate(arguments: argparse.Namespace) -> int:
    """Measure the model of a run on one of its splits."""
    from tui_trainer.cli.results import print_evaluation
    from tui_trainer.runs.directory import find_run

    run = find_run(arguments.name, given.runs_dir(arguments))
    given.load_plugins(arguments)
    return print_evaluation(
        run, arguments.split, arguments.which, arguments.device, as_json=arguments.json
    )


def predict(arguments: argparse.Namespace) -> int:
    """Print what the model of a run says of files, or what text it writes."""
    from tui_trainer.cli.results import print_generated, print_predictions
    from tui_trainer.runs.directory import find_run
    from tui_trainer.sessions.workbench import Generation

    if arguments.files and arguments.generate is not None:
        raise BadInput("--generate goes on from --prompt TEXT, and takes no files")
    given.load_plugins(arguments)
    run = find_run(arguments.name, given.runs_dir(arguments))
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
