"""`evaluate` and `predict` as they are typed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.sessions.test_moved_data import Moved
from tui_trainer.cli.main import main
from tui_trainer.cli.results import print_evaluation
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.training.evaluation import EvaluatedFile, Evaluation

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
        "the run itself may have measured other values: the data changed: 1 of 60 rows of the run "
        "is gone or changed, and 1 row is new and left out"
    )
    assert told["rows"] == {"gone": 1, "new": 1}
    assert printed.err == f"tui-trainer: {note}\n"


def test_a_labelled_file_takes_the_place_of_the_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Moved(tmp_path)
    Path("late.csv").write_text("kind,width,height\na,100.5,3.5\nb,101.5,4.5\n")
    words = ["evaluate", "last", "--data", "late.csv", THERE]

    assert main(words) == 0
    first, *baselines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"origin-\S+, step \d+, late\.csv \(2 rows, none of them trained on\): "
        r"loss \S+, accuracy \S+ %",
        first,
    )
    assert [line.split(":")[0] for line in baselines] == [
        "  baseline majority class",
        "  baseline nearest neighbour",
    ]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["split"], record["file"], record["samples"]) == ("data", "late.csv", 2)
    assert (record["training_samples"], record["classes"]) == (0, ["a", "b"])
    assert [sum(row) for row in record["confusion"]] == [1, 1]
    assert main([*words, "--split", "val"]) == 2
    assert "leave out --split" in capsys.readouterr().err
    Path("late.csv").write_text("kind,width,height\nz,1,3\n")
    assert main(words) == 2
    assert "late.csv: 1 class that the run was not trained on: 'z' (1 row)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("known", "said"),
    [(None, "(9 rows)"), (0, "none of them trained on"), (3, "3 of them trained")],
)
def test_what_was_not_compared_is_not_called_unseen(
    known: int | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = EvaluatedFile("late.csv", "9 rows", 9, known, is_own=False)
    found = Evaluation(4, "data", {"loss": 1.0}, {}, (), file=file)
    print_evaluation(RunDirectory(tmp_path / "run"), found)
    assert said in capsys.readouterr().out
