"""`tui-trainer completion`: the candidates, what they cost, and the scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tui_trainer.cli.completion import candidates
from tui_trainer.cli.completion_scripts import SCRIPTS
from tui_trainer.config.preset_files import builtin_dir
from tui_trainer.config.setting_names import all_settings

EXPERIMENTS = sorted(path.stem for path in (builtin_dir() / "experiments").glob("*.yaml"))
OPTIMIZERS = sorted(path.stem for path in (builtin_dir() / "optimizers").glob("*.yaml"))
MOST_S = 0.15


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory, so that presets and runs are those of the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("TUI_TRAINER_RUNS_DIR", "TUI_TRAINER_PRESETS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def make_run(runs_dir: Path, name: str, made_s: int) -> None:
    config = runs_dir / name / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("")
    os.utime(config, (made_s, made_s))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tr", ["train"]),
        ("ev", ["evaluate"]),
        ("--v", ["--version"]),
        ("train ", EXPERIMENTS),
        ("train digits-", ["digits-cnn", "digits-mlp", "digits-png-cnn"]),
        ("train --name x --no-ui digits-m", ["digits-mlp"]),
        ("compose digits-m", ["digits-mlp"]),
        ("train digits-mlp --dry", ["--dry-run"]),
        ("train digits-mlp --log-format ", ["text", "json"]),
        ("train digits-mlp --log-format=j", ["--log-format=json"]),
        ("train digits-mlp optim", ["optimizer.", "optimizer="]),
        ("train digits-mlp optimizer.lr", ["optimizer.lr=", "optimizer.lr_decay="]),
        ("train digits-mlp optimizer=", [f"optimizer={name}" for name in OPTIMIZERS]),
        ("train digits-mlp optimizer=sgd schedule=cos", ["schedule=cosine"]),
        ("train digits-mlp epoc", ["epochs="]),
        ("train digits-mlp --runs-dir ", []),
        ("train ./", []),
        ("ctl last ", ["pause", "resume", "stop", "save", "validate", "set"]),
        ("ctl last set training.ep", ["training.epochs="]),
        ("ctl last set lr=1 training.ep", ["training.epochs="]),
        ("ctl last set model", []),
        ("ctl last pause opt", []),
        ("resume last training.max_st", ["training.max_steps="]),
        ("resume last --from ", ["last", "best"]),
        ("evaluate last --split t", ["train", "test"]),
        ("predict last ", []),
        ("evaluate last d", ["dataset.path="]),
        ("presets ", ["list", "show", "validate", "copy", "schema"]),
        ("presets list m", ["model"]),
        (
            "presets show optimizer/a",
            [f"optimizer/{name}" for name in OPTIMIZERS if name[0] == "a"],
        ),
        ("completion ", ["bash", "zsh", "fish"]),
        ("unknown ", []),
    ],
)
def test_the_candidates_are_what_the_word_may_become(line: str, expected: list[str]) -> None:
    assert candidates(line.split(" ")) == expected


def test_runs_are_offered_newest_first(folder: Path) -> None:
    assert candidates(["attach", ""]) == []
    for made_s, name in enumerate(("middle-0102", "zeta-0101", "alpha-0103"), start=1):
        make_run(folder / "runs", name, made_s)
    make_run(folder / "other", "elsewhere-0101", 1)
    assert candidates(["resume", ""]) == ["last", "alpha-0103", "zeta-0101", "middle-0102"]
    assert candidates(["ctl", "z"]) == ["zeta-0101"]
    assert candidates(["logs", "--runs-dir", "other", "e"]) == ["elsewhere-0101"]


def test_own_presets_are_offered_too(folder: Path) -> None:
    for name in ("presets/experiments/own-one.yaml", "given/experiments/own-two.yaml"):
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text("not: [read")
    assert candidates(["train", "own"]) == ["own-one"]
    assert candidates(["train", "--preset-dir", "given", "own"]) == ["own-one", "own-two"]


def test_every_setting_is_offered_in_full() -> None:
    sections = {key.partition(".")[0] for key in all_settings()}
    offered = {word for name in sections for word in candidates(["train", "x", f"{name}."])}
    assert offered == {f"{key}=" for key in all_settings()}


def test_candidates_need_neither_pydantic_nor_yaml_nor_torch(folder: Path) -> None:
    """Their time is measured by benchmarks/completion.py."""
    make_run(folder / "runs", "run-1", 1)
    program = (
        "import sys\n"
        "from tui_trainer.cli.main import main\n"
        "main(sys.argv[1:])\n"
        "heavy = {'pydantic', 'pydantic_core', 'yaml', 'torch', 'textual', 'rich', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    words = ("completion", "candidates", "--", "resume", "")
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["last", "run-1", "[]"]


PROGRAM = Path(sys.executable).with_name("tui-trainer")


def completed_by_bash(words: list[str]) -> list[str]:
    """What bash offers for a line, split as bash splits it; the function is called as it would."""
    script = (
        f"{SCRIPTS['bash']}\n"
        'COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))\n'
        '_tui_trainer "$1" 2>/dev/null\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script, "bash", str(PROGRAM), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tr"], ["train"]),
        (["train", "digits-"], ["digits-cnn", "digits-mlp", "digits-png-cnn"]),
        (["train", "digits-mlp", "optimizer", "="], OPTIMIZERS),
        (["train", "digits-mlp", "optimizer", "=", "sg"], ["sgd"]),
        (["train", "digits-mlp", "lr", "=", "1", "schedule", "=", "cos"], ["cosine"]),
        (["train", "digits-mlp", "optimizer.lr"], ["optimizer.lr=", "optimizer.lr_decay="]),
        (["train", "digits-mlp", "--log-format", "=", "j"], ["json"]),
        (["predict", "last", ""], []),
    ],
)
def test_bash_completes(words: list[str], expected: list[str]) -> None:
    assert completed_by_bash(words) == expected


def test_bash_runs_nothing_of_the_names_that_it_offers(folder: Path) -> None:
    name = "own$(touch ran).yaml"
    path = folder / "presets" / "experiments" / name
    path.parent.mkdir(parents=True)
    path.write_text("")
    completed_by_bash(["train", "own"])
    completed_by_bash(["train", "$(touch ran)", ""])
    assert not (folder / "ran").exists()


def test_the_script_that_is_printed_can_be_evaluated_by_bash() -> None:
    line = f'eval "$({PROGRAM} completion bash)"; complete -p tui-trainer'
    done = subprocess.run(["bash", "--norc", "-c", line], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-F _tui_trainer tui-trainer" in done.stdout


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_fish_completes() -> None:
    line = f"{PROGRAM} completion fish | source; complete -C '{PROGRAM} train digits-'"
    done = subprocess.run(["fish", "--no-config", "-c", line], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["digits-cnn", "digits-mlp", "digits-png-cnn"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_zsh_completes() -> None:
    """`compadd` and `compdef` are replaced, because they exist only while a line is edited."""
    line = (
        "compdef() { :; }\n"
        'compadd() { shift 2; [[ $1 == -S ]] && shift 2; print -l -- "${@:2}"; }\n'
        f"{SCRIPTS['zsh']}\n"
        f"words=({PROGRAM} train digits-mlp optimizer.lr) CURRENT=4\n"
        "_tui_trainer\n"
        f"words=({PROGRAM} train digits-) CURRENT=3\n"
        "_tui_trainer\n"
    )
    done = subprocess.run(["zsh", "-f", "-c", line], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == [
        "optimizer.lr=",
        "optimizer.lr_decay=",
        "digits-cnn",
        "digits-mlp",
        "digits-png-cnn",
    ]
