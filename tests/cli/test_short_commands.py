"""Commands that end at once, called in this process: bad input, and a dry run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.cli.main import main


@pytest.fixture(autouse=True)
def runs_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["train", "digits-cn"], 2, "did you mean 'digits-cnn'"),
        (["train", "digits-cnn", "optimizer.lrr=1"], 2, "command line: optimizer.lrr: unknown key"),
        (["train", "digits-cnn", "optimizer.lr=abc"], 2, "optimizer.lr: should be a number"),
        (["train", "digits-cnn", "--devise", "cpu"], 2, "did you mean '--device'"),
        (["train", "penguins-mlp", "--runs-dir", "/proc/nowhere"], 3, "cannot be written"),
        (["train", "penguins-mlp", "dataset.path=missing.csv"], 2, "missing.csv"),
        (["train", "penguins-mlp", "dataset.target=spices"], 2, "did you mean 'species'"),
        (["train", "penguins-mlp", "model=cnn"], 2, "images"),
        (["train", "digits-cnn", "training.epochs=null"], 2, "training"),
        (["train", "digits-cnn", "training.device=cuda:7"], 2, "cuda"),
        (["resume", "nothing"], 2, "no run"),
        (["ctl", "nothing", "pause"], 2, "no run"),
        (["evaluate", "../etc"], 2, "not the directory of a run"),
        (["predict", "last", "a.txt", "--generate", "9"], 2, "takes no files"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_gets_one_line_per_problem_and_an_exit_code(
    runs_dir: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    message: str,
) -> None:
    ended = main(words)
    out, err = capsys.readouterr()
    assert ended == code, err
    assert message in err
    assert "Traceback" not in err
    assert all(line.startswith("tui-trainer: ") for line in err.splitlines())
    # On a slow machine, the import of torch has a line.
    lines = [line for line in out.splitlines() if not line.endswith(" ...")]
    assert lines == [], "an error is reported once, on stderr"
    assert not list(runs_dir.glob("*"))


def test_a_dry_run_shows_layers_parameters_steps_and_memory(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "digits-cnn", "--dry-run"]) == 0
    out = capsys.readouterr().out
    for text in (
        "Conv2d",
        "size: 141,642 parameters",
        "steps: 20 per epoch",
        "memory: about",
        "lr: 0.003",
    ):
        assert text in out
    assert not runs_dir.exists()
