"""`train` and `data inspect` on texts of the user's own, from a file or folder alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.tokenizer_files import bpe_file
from tui_trainer.cli.main import main
from tui_trainer.runs.lookup import find_run

LINES = [f"line {n} of a text\n" for n in range(400)]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def inspected(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["data", "inspect", *words, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_texts_of_each_kind_are_recognised_from_the_path_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.txt").write_text("".join(LINES))
    rows = [json.dumps({"text": line * 5}) for line in LINES]
    (folder / "a.jsonl").write_text("\n".join(rows))
    np.arange(5000, dtype="<u2").tofile(folder / "a.bin")
    for name in ("good", "bad"):
        (folder / "mails" / name).mkdir(parents=True)
        for n in range(12):
            (folder / "mails" / name / f"{n}.txt").write_text(f"a {name} mail, number {n}\n")
    expected = {
        "a.txt": {"type": "text"},
        "a.jsonl": {"type": "text", "column": "text"},
        "a.bin": {"type": "tokens", "token_dtype": "uint16"},
        "mails": {"type": "text_folders", "samples": "files"},
    }
    for path, settings in expected.items():
        told = inspected(capsys, path)
        assert settings.items() <= told["config"]["dataset"].items()
    # A vocabulary of 5,000 leaves room for 32 rows of 256 tokens, and not for four times as many.
    training = inspected(capsys, "a.bin")["config"]["training"]
    assert (training["batch_size"], training["eval_batch_size"]) == (32, 32)
    wide = inspected(capsys, "a.bin", "dataset.vocabulary=60000")["config"]["training"]
    assert wide["batch_size"] == 8
    assert "each file is a sample" in inspected(capsys, "mails")["lines"][2]["text"]


def test_a_language_model_of_a_tokenizer_file_needs_the_file_no_more(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.txt").write_text("".join(LINES))
    file = bpe_file(folder / "bpe.json")
    small = ("model.width=8", "model.layers=1", "model.heads=2", "training.max_steps=3")
    words = ("train", "a.txt", "--no-ui", "dataset.tokenizer=bpe.json", "training.device=cpu")
    assert main([*words, *small, "--runs-dir", "runs", "--name", "one"]) == 0
    out = capsys.readouterr().out
    assert "bits per byte" in out
    file.unlink()
    run = find_run("last", folder / "runs").path.name
    where = ("--runs-dir", "runs")
    assert main(["predict", run, "--generate", "5", "--prompt", "line", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["prompt"] == "line"
    assert main(["evaluate", run, *where, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["bits_per_byte"] < measured["loss"] / np.log(2)
    (folder / "b.txt").write_text("".join(LINES[:50]))
    assert main(["evaluate", run, "--data", "b.txt", *where, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] > 0


def test_a_text_beside_numbers_gets_a_model_of_both(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        f"{LINES[n].strip() * (1 + n % 9)} so it is,{n % 7 or ''},{'uv'[n % 2]}" for n in range(90)
    ]
    (folder / "both.csv").write_text("\n".join(["review,age,verdict", *rows]))
    told = inspected(capsys, "both.csv")
    texts = {line["subject"]: line["text"] for line in told["lines"]}
    assert texts["inputs"] == (
        "1 text (review), 1 number (age); missing ones read as a text without words or filled "
        "with the training mean"
    )
    assert texts["model"].startswith("cnn1d of the text and the numbers, adamw 0.002")
    config = told["config"]
    assert (config["model"]["type"], config["early_stopping"]["patience"]) == ("cnn1d", 10)
    assert "group_by_length" in config["training"]
    counted = inspected(capsys, "both.csv", "dataset.kinds={review: words}")
    assert counted["config"]["model"]["type"] == "mlp"
    words = ("train", "both.csv", "--no-ui", "--runs-dir", "runs", "training.device=cpu")
    assert main([*words, "model=linear"]) == 2
    assert "dataset.kinds={review: words} reads it as counts" in capsys.readouterr().err
    assert not [*(folder / "runs").glob("both*")]
    assert main([*words, "--dry-run"]) == 0
    assert "join_width: 64" in capsys.readouterr().out
