"""`evaluate` and `predict` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.sessions.test_moved_data import Moved
from tui_trainer.cli.main import main

THERE = "dataset.path=new/rows.csv"


def test_the_place_of_the_data_is_given_to_each_command_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Moved(tmp_path)
    Path("samples.csv").write_text("width,height\n3,8\n")

    assert main(["evaluate", "last"]) == 2
    assert "dataset.path=/where/it/is/now" in capsys.readouterr().err
    for words in (
        ["evaluate", "last", THERE],
        ["evaluate", "last", "--split", "val", THERE],
        ["evaluate", "last", "path=new/rows.csv"],
        ["predict", "last", THERE, "samples.csv"],
        ["predict", "last", "--device", "cpu", "samples.csv", THERE],
        ["resume", "last", "training.epochs=3", THERE, "--no-ui"],
        ["fork", "last", "training.epochs=4", THERE, "--no-ui"],
    ):
        assert main(words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out.count("samples.csv, ") == 2
    assert main(["evaluate", "last", "training.epochs=3"]) == 2
    assert "only dataset.path can" in capsys.readouterr().err


def test_json_of_an_evaluation_says_that_the_data_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Moved(tmp_path)
    words = ["evaluate", "last", THERE, "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["notes"], told["rows"]) == ([], {"gone": 0, "new": 0})

    rows = Path("new/rows.csv")
    lines = rows.read_text().splitlines(keepends=True)
    rows.write_text("".join([*lines[:1], *lines[2:], "5,5,b\n"]))
    assert main(words) == 0
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    (note,) = told["notes"]
    assert note == (
        "the run itself may have measured other values: the data changed: 1 row of the run is gone "
        "or changed, and 1 row is new and left out"
    )
    assert told["rows"] == {"gone": 1, "new": 1}
    assert printed.err == f"tui-trainer: {note}\n"
