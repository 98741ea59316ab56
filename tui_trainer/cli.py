"""The command line: arguments to calls, errors to one line and an exit code.

Layer: cli. Every heavy import is inside the function that needs it, so that `--help` and the
presets answer without torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tui_trainer import __version__
from tui_trainer.config.errors import BadInput, ExitCode, TrainerError
from tui_trainer.config.text import clean, suggest

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status. Never raises for what a user can cause."""
    # OpenMP reads this when torch is loaded. Its threads spin by default, which makes small models
    # ten times slower as soon as another process wants one of the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser()
        arguments, rest = parser.parse_known_args(words)
        if not hasattr(arguments, "run"):
            parser.print_help()
            return ExitCode.OK
        _take_rest(parser, arguments, rest)
        arguments.argv = ["tui-trainer", *words]
        return int(arguments.run(arguments))
    except TrainerError as error:
        if "--debug" in words:
            raise
        for line in str(error).splitlines():
            print(f"tui-trainer: {clean(line, 1000)}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output is gone; the interpreter must not complain at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK


def _take_rest(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, rest: list[str]
) -> None:
    """Overrides may stand before and after options, which argparse alone does not allow."""
    options = [word for word in rest if word.startswith("-")]
    if options or (rest and not hasattr(arguments, "overrides")):
        word = (options or rest)[0]
        known = [option for action in _all_actions(parser) for option in action.option_strings]
        parser.error(f"unknown argument {clean(word, 80)}{suggest(word.split('=')[0], known)}")
    if rest:
        arguments.overrides = [*arguments.overrides, *rest]


def _all_actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    found = list(parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                found += _all_actions(below)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "tui-trainer", description="Train PyTorch models from the terminal.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"tui-trainer {__version__}")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--debug", action="store_true", help="show tracebacks")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--runs-dir", type=Path, help="folder of the runs (default: $TUI_TRAINER_RUNS_DIR, ./runs)"
    )
    look = argparse.ArgumentParser(add_help=False)
    look.add_argument(
        "--preset-dir", type=Path, action="append", default=[], help="look for presets here first"
    )
    shown = argparse.ArgumentParser(add_help=False)
    shown.add_argument("--no-ui", action="store_true", help="no app, only text")
    shown.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="text, or JSON lines"
    )
    shown.add_argument("--device", help="auto, cpu, cuda or cuda:N")
    shown.add_argument("--threads", type=int, help="threads of torch on the CPU")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    train = commands.add_parser(
        "train", parents=[common, where, look, shown], help="train an experiment"
    )
    train.add_argument("experiment", help="an experiment preset, or a YAML file")
    train.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as optimizer.lr=3e-4")
    train.add_argument("--name", default="", help="begins the run's name")
    train.add_argument("--dry-run", action="store_true", help="show what would be trained")
    train.set_defaults(run=_train)

    resume = commands.add_parser("resume", parents=[common, where, shown], help="go on with a run")
    resume.add_argument("name", metavar="RUN", help="a run's name, its beginning, last, or a path")
    resume.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="edits from here on")
    resume.add_argument(
        "--from", dest="which", default="last", metavar="last|best|STEP", help="the checkpoint"
    )
    resume.add_argument(
        "--drop-edits", action="store_true", help="do not repeat the edits made after it"
    )
    resume.set_defaults(run=_resume)

    control = commands.add_parser("ctl", parents=[common, where], help="steer a live run")
    control.add_argument("name", metavar="RUN")
    control.add_argument("command", help="pause, resume, stop, save, validate or set")
    control.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for set")
    control.add_argument("--offload", action="store_true", help="pause: give GPU memory back")
    control.add_argument("--discard", action="store_true", help="stop: without saving")
    control.add_argument(
        "--timeout", type=float, default=30.0, metavar="S", help="how long to wait for the effect"
    )
    control.add_argument("--json", action="store_true")
    control.set_defaults(run=_control)

    runs = commands.add_parser("runs", parents=[common, where], help="list the runs")
    runs.add_argument("--json", action="store_true")
    runs.set_defaults(run=_runs)

    evaluate = commands.add_parser(
        "evaluate", parents=[common, where], help="measure a run's best weights"
    )
    evaluate.add_argument("name", metavar="RUN")
    evaluate.add_argument("--split", choices=("train", "val", "test"), default="test")
    evaluate.add_argument(
        "--from", dest="which", default="", metavar="last|best|STEP", help="default: best"
    )
    evaluate.add_argument("--device", default="auto")
    evaluate.add_argument("--json", action="store_true")
    evaluate.set_defaults(run=_evaluate)

    _add_presets(commands, [common, look])
    doctor = commands.add_parser(
        "doctor", parents=[common, where, look], help="what is there, and what is wrong with it"
    )
    doctor.add_argument("--json", action="store_true")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_presets(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    parents: list[argparse.ArgumentParser],
) -> None:
    presets = commands.add_parser("presets", help="list, show, check and copy presets")
    actions = presets.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", parents=parents, help="list them")
    listing.add_argument("kind", nargs="?", help="experiment, dataset, model or optimizer")
    listing.add_argument("--json", action="store_true")
    show = actions.add_parser("show", parents=parents, help="print one, resolved")
    show.add_argument("name", help="NAME of an experiment, or KIND/NAME")
    validate = actions.add_parser("validate", parents=parents, help="check files or all presets")
    validate.add_argument("files", nargs="*", help="experiment files; none: every preset")
    copy = actions.add_parser("copy", parents=parents, help="copy one, to change it")
    copy.add_argument("name", help="NAME of an experiment, or KIND/NAME")
    copy.add_argument("target", nargs="?", type=Path, help="file or folder; default: ./presets")
    schema = actions.add_parser("schema", parents=parents, help="print the JSON schema for editors")
    for parser, name in (
        (listing, "list_presets"),
        (show, "show_preset"),
        (validate, "validate_presets"),
        (copy, "copy_preset"),
        (schema, "print_schema"),
    ):
        parser.set_defaults(run=_preset_action, action=name)


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


def _train(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.config.presets import PresetLibrary, search_dirs
    from tui_trainer.headless.runner import make_printer, run_headless
    from tui_trainer.sessions.launch import prepare_new
    from tui_trainer.sessions.local import LocalSession

    library = PresetLibrary(search_dirs(arguments.preset_dir))
    overrides = parse_overrides(_overrides(arguments))
    experiment = library.experiment(arguments.experiment, overrides)
    if arguments.dry_run:
        from tui_trainer.headless.preview import print_preview

        return print_preview(experiment, as_json=arguments.log_format == "json")
    runs_dir = _runs_dir(arguments)
    session = LocalSession(
        lambda: prepare_new(experiment, runs_dir, arguments.name, arguments.argv)
    )
    return run_headless(session, make_printer(arguments.log_format), debug=arguments.debug)


def _resume(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.overrides import parse_overrides
    from tui_trainer.headless.runner import make_printer, run_headless
    from tui_trainer.runs.directory import open_run
    from tui_trainer.sessions.launch import prepare_resume
    from tui_trainer.sessions.local import LocalSession

    overrides = parse_overrides(_overrides(arguments))
    run = open_run(arguments.name, _runs_dir(arguments))
    session = LocalSession(
        lambda: prepare_resume(
            run,
            overrides,
            arguments.argv,
            which=arguments.which,
            drop_edits=arguments.drop_edits,
        )
    )
    return run_headless(session, make_printer(arguments.log_format), debug=arguments.debug)


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

    return print_runs(_runs_dir(arguments), as_json=arguments.json)


def _evaluate(arguments: argparse.Namespace) -> int:
    from tui_trainer.headless.evaluation import print_evaluation
    from tui_trainer.runs.directory import open_run

    run = open_run(arguments.name, _runs_dir(arguments))
    return print_evaluation(
        run, arguments.split, arguments.which, arguments.device, as_json=arguments.json
    )


def _preset_action(arguments: argparse.Namespace) -> int:
    from tui_trainer.config.presets import PresetLibrary, search_dirs
    from tui_trainer.headless import presets

    library = PresetLibrary(search_dirs(arguments.preset_dir))
    match arguments.action:
        case "list_presets":
            return presets.list_presets(library, arguments.kind, as_json=arguments.json)
        case "show_preset":
            return presets.show_preset(library, arguments.name)
        case "validate_presets":
            return presets.validate_presets(library, arguments.files)
        case "copy_preset":
            return presets.copy_preset(library, arguments.name, arguments.target)
        case "print_schema":
            return presets.print_schema()
        case other:
            raise BadInput(f"no action {other}")


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
