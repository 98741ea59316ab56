"""Hints of the command line about unknown words, and the examples in its help."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tui_trainer.cli.arguments import make_parser, parse, parsers_of
from tui_trainer.cli.examples import EXAMPLES
from tui_trainer.cli.main import COMMANDS, main
from tui_trainer.config.presets import KINDS, PresetLibrary, builtin_dir

BUILTIN = PresetLibrary([builtin_dir()])
PARSERS = parsers_of(make_parser())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("TUI_TRAINER_RUNS_DIR", "TUI_TRAINER_PRESETS"):
        monkeypatch.delenv(name, raising=False)


def told(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr that a command line with a mistake ends with."""
    assert main(shlex.split(line)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (text,) = printed.err.splitlines()
    return text.removeprefix("tui-trainer: ")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("trian digits-mlp", "(did you mean 'train'?)"),
        ("Train digits-mlp", "did you mean: tui-trainer train"),
        ("ls", "did you mean: tui-trainer runs"),
        ("ps", "did you mean: tui-trainer runs"),
        ("list", "did you mean: tui-trainer runs"),
        ("rm old", "did you mean: tui-trainer compose, then F2 for the list of runs, and x to "),
        ("start digits-mlp", "did you mean: tui-trainer train EXPERIMENT"),
        ("test last", "did you mean: tui-trainer evaluate RUN"),
        ("pause last", "did you mean: tui-trainer ctl last pause"),
        ("stop", "did you mean: tui-trainer ctl RUN stop"),
        ("help train", "did you mean: tui-trainer train --help"),
        ("digits-cnn", "did you mean: tui-trainer train digits-cnn"),
        ("digits-cnn lr=1", "did you mean: tui-trainer train digits-cnn lr=1"),
        ("cnn", "did you mean: tui-trainer presets show model/cnn"),
        ("lr=1", "did you mean: tui-trainer train EXPERIMENT lr=1"),
        ("xyzzy", "available: compose, train, "),
    ],
)
def test_a_word_that_is_no_command_is_answered_with_what_to_type(
    line: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = told(line, capsys)
    assert answer.startswith(f"no command {line.split(maxsplit=1)[0]!r}")
    assert hint in answer


def test_an_experiment_file_or_a_run_in_the_place_of_a_command_is_recognised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text("")
    (tmp_path / "runs" / "mine-0101-1200").mkdir(parents=True)
    (tmp_path / "runs" / "mine-0101-1200" / "config.yaml").write_text("")
    (tmp_path / "mine.csv").write_text("")
    assert told("mine.yaml", capsys).endswith("did you mean: tui-trainer train mine.yaml")
    assert told("mine.csv lr=1", capsys).endswith("did you mean: tui-trainer train mine.csv lr=1")
    assert told("mine-0101-1200", capsys).endswith("tui-trainer attach mine-0101-1200")


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("train digits-mlp --epochs=3", "--epochs=3: training.epochs=3"),
        ("train digits-mlp --lr 0.1", "--lr: optimizer.lr=0.1"),
        ("train --lr 0.1 digits-mlp", "--lr: optimizer.lr=0.1"),
        ("train digits-mlp --lr", "--lr: optimizer.lr=VALUE"),
        ("train digits-mlp --nesterov optimizer=sgd", "--nesterov: optimizer.nesterov=VALUE"),
        ("train digits-mlp -lr 0.1", "-lr: optimizer.lr=0.1"),
        ("train digits-mlp --optimizer.lr 0.1", "--optimizer.lr: optimizer.lr=0.1"),
        ("train digits-mlp --batch-size 8", "--batch-size: training.batch_size=8"),
        ("train digits-mlp --learning-rate=0.1", "--learning-rate=0.1: optimizer.lr=0.1"),
        ("train digits-mlp --optimizer sgd", "--optimizer: optimizer=sgd"),
        ("train digits-mlp --layers '[8, 8]'", "--layers: 'model.layers=[8, 8]'"),
        (
            "train digits-mlp --every-steps 3",
            "--every-steps: checkpoint.every_steps=3 or logging.every_steps=3",
        ),
        ("ctl last set --lr 0.1", "--lr: optimizer.lr=0.1"),
        ("resume last --epochs 9", "--epochs: training.epochs=9"),
    ],
)
def test_an_option_named_like_a_setting_is_answered_with_the_word_to_type(
    line: str, asked: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(line, capsys) == f"settings are written without dashes; instead of {asked}"


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("train digits-mlp --dryrun", "train has no option --dryrun (did you mean '--dry-run'?); "),
        ("runs --lines 3", "runs has no option --lines, which belongs to logs"),
        ("train digits-mlp --json", "train has no option --json, which belongs to runs, ctl, "),
        ("runs --lr 3", "runs has no option --lr"),
        ("evaluate last --lr 3", "evaluate has no option --lr"),
        ("--json runs", "--json must come after the command: tui-trainer runs ... --json"),
        ("runs mlp", "runs takes no 'mlp'; to select some: runs --filter mlp"),
        ("logs last more", "logs takes no more arguments (got 'more')"),
        ("--name x", "no command given; --name belongs to train or fork; "),
        (
            "--runs-dir x runs",
            "--runs-dir must come after the command: tui-trainer runs ... --runs-dir",
        ),
        ("--no-ui", "no command given; --no-ui belongs to train, resume, fork or attach; "),
        ("train", "train: expected EXPERIMENT or DATA, as in: tui-trainer train digits-cnn"),
        ("ctl last", "ctl: expected COMMAND, as in: tui-trainer ctl last pause"),
        ("presets", "presets: expected ACTION, as in: tui-trainer presets list"),
        ("presets lst", "presets: ACTION: no 'lst' (did you mean 'list'?)"),
        ("evaluate last --split tst", "evaluate: --split: no 'tst' (did you mean 'test'?)"),
        ("train x --threads two", "train: --threads: should be a whole number (got 'two')"),
        ("ctl x pause --timeout z", "ctl: --timeout: should be a number (got 'z')"),
        ("train x --device", "train: --device: a value is missing"),
        ("train digits-mlp optimizer.learning_rate=1", "command line: optimizer.learning_rate: "),
    ],
)
def test_arguments_that_cannot_be_used_are_answered_in_one_line(
    line: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(line, capsys).startswith(answer)


def test_what_was_pasted_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for line in ("'\x1b[2J'", "train x '--\x1b[2J'", "evaluate last --split '\x1b[2J'"):
        assert "\\x1b[2J" in told(line, capsys)


def test_every_command_has_examples() -> None:
    groups = {"", "cache", "data", "plugin", "presets"}
    assert set(EXAMPLES) == set(PARSERS) == set(COMMANDS) | groups
    assert all(2 <= len(examples) <= 3 for examples in EXAMPLES.values())


@pytest.mark.parametrize("command", EXAMPLES)
def test_the_help_of_a_command_ends_with_examples_that_parse(command: str) -> None:
    help_text = PARSERS[command].format_help()
    for example in EXAMPLES[command]:
        assert f"  {example}\n" in help_text
        program, *words = shlex.split(example.partition(" > ")[0])
        arguments = parse(words)
        assert program == "tui-trainer"
        assert arguments.action.startswith(command)
        if hasattr(arguments, "experiment") and arguments.experiment:
            own = arguments.experiment == "my-table.csv"
            assert own or BUILTIN.has("experiment", arguments.experiment), example
        if command in ("presets show", "presets copy"):
            kind, slash, name = arguments.name.partition("/")
            assert BUILTIN.has(kind, name) if slash else BUILTIN.has("experiment", kind)
            assert not slash or kind in KINDS


def test_nothing_at_all_means_the_app_as_its_command_does() -> None:
    alone, named = vars(parse([])), vars(parse(["compose"]))
    assert (alone.pop("argv"), named.pop("argv")) == (["tui-trainer"], ["tui-trainer", "compose"])
    assert alone == named


def test_options_of_the_app_need_no_command() -> None:
    for words in (["--runs-dir", "x"], ["--runs-dir=x"], ["--runs-dir", "x", "digits-mlp"]):
        arguments = parse(words)
        assert (arguments.action, str(arguments.runs_dir)) == ("compose", "x")
