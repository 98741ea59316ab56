"""Moved data: every command on a run takes their place, and tells whether they changed."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.test_fork import numbers, ran
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.config_file import read_config_file
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.fork import prepare_fork
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.new_run import prepare_new
from tui_trainer.sessions.requests import ForkRun, ResumeRun
from tui_trainer.sessions.resume import prepare_resume
from tui_trainer.sessions.trained_model import evaluate_run, open_predictor
from tui_trainer.text.errors import BadInput, CheckpointUnusable

ROWS = "width,height,kind\n" + "".join(
    f"{number * 7 % 60},{number * 7 % 13},{'ab'[number % 2]}\n" for number in range(60)
)


class Moved:
    """A run of two epochs whose data lie in another folder since; all paths are relative."""

    def __init__(self, folder: Path) -> None:
        (folder / "old").mkdir()
        (folder / "new").mkdir()
        data = folder / "old" / "rows.csv"
        data.write_text(ROWS)
        words = ["dataset.path=old/rows.csv", "dataset.target=kind", "training.epochs=2"]
        experiment = PresetLibrary([builtin_dir()]).experiment(
            "penguins-mlp", parse_overrides(words)
        )
        self.runs = folder / "runs"
        self.run = ran(LocalSession(partial(prepare_new, experiment, self.runs, "origin", ["t"])))
        self.evaluated = evaluate_run(self.run, "test", "", "cpu").metrics
        data.rename(folder / "new" / "rows.csv")

    def resumed(self, *words: str, accept_data: bool = False) -> RunDirectory:
        overrides = tuple(parse_overrides(["training.epochs=3", *words]))
        request = ResumeRun(self.run.path, overrides, accept_data=accept_data)
        return ran(LocalSession(partial(prepare_resume, self.run, request, ["test"])))

    def forked(self, *words: str, accept_data: bool = False) -> RunDirectory:
        overrides = tuple(parse_overrides(["training.epochs=3", *words]))
        request = ForkRun(self.run.path, overrides, accept_data=accept_data)
        return ran(LocalSession(partial(prepare_fork, self.run, self.runs, request, ["test"])))


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moved:
    monkeypatch.chdir(tmp_path)
    return Moved(tmp_path)


THERE = tuple(parse_overrides(["dataset.path=new/rows.csv"]))
WAY_OUT = r"rows\.csv: no such file.*dataset\.path=/where/it/is/now"


def events(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.events.read_text().splitlines()]


def test_the_data_of_a_run_are_found_where_the_user_says(moved: Moved) -> None:
    with pytest.raises(BadInput, match=WAY_OUT):
        evaluate_run(moved.run, "test", "", "cpu")

    evaluation = evaluate_run(moved.run, "test", "", "cpu", THERE)

    assert evaluation.metrics == moved.evaluated
    assert not any("data changed" in note for note in evaluation.notes)


def test_data_that_are_others_at_the_new_place_are_noticed(moved: Moved) -> None:
    Path("new/rows.csv").write_text(ROWS.replace("\n7,", "\n70,"))

    evaluation = evaluate_run(moved.run, "test", "", "cpu", THERE)

    assert any("data changed" in note for note in evaluation.notes)


def test_a_run_whose_rows_are_gone_goes_on_only_if_that_is_accepted(moved: Moved) -> None:
    rows = re.sub(r"\n8,[^\n]*", "", ROWS.replace("\n7,", "\n70,")) + "500,1,b\n"
    Path("new/rows.csv").write_text(rows)
    there = "dataset.path=new/rows.csv"
    told = "2 of 60 rows of the run are gone or changed, and 2 rows are new and left out"
    before = {path.name for path in moved.runs.iterdir()}

    for prepare in (
        partial(prepare_resume, moved.run, ResumeRun(moved.run.path, THERE)),
        partial(prepare_fork, moved.run, moved.runs, ForkRun(moved.run.path, THERE)),
    ):
        with pytest.raises(CheckpointUnusable, match=f"{told}; .*--accept-data") as caught:
            prepare(["test"])
        assert caught.value.exit_code == 4
    evaluation = evaluate_run(moved.run, "test", "", "cpu", THERE)

    assert {path.name for path in moved.runs.iterdir()} == before
    assert not moved.run.edits.exists()
    assert any(told in note for note in evaluation.notes)
    assert evaluation.to_dict()["rows"] == {"gone": 2, "new": 2}
    fork = moved.forked(there, accept_data=True)
    run = moved.resumed(there, accept_data=True)
    assert any("not bitwise: the data changed" in json.dumps(event) for event in events(run))
    assert numbers(run) == numbers(fork)


def test_the_test_of_a_run_stays_what_it_was_when_rows_are_added(moved: Moved) -> None:
    more = "".join(f"{number},{number * 5 % 11},{'ba'[number % 2]}\n" for number in range(60, 99))
    Path("new/rows.csv").write_text(ROWS + more)

    evaluation = evaluate_run(moved.run, "test", "", "cpu", THERE)

    assert evaluation.metrics == moved.evaluated
    assert evaluation.to_dict()["rows"] == {"gone": 0, "new": 39}
    assert any(note.startswith("39 rows are new and left out") for note in evaluation.notes)


def test_a_run_that_was_killed_before_its_first_checkpoint_has_the_same_rows_again(
    moved: Moved,
) -> None:
    splits = moved.run.splits.read_bytes()
    for path in moved.run.checkpoints.iterdir():
        path.unlink()
    moved.run.status.unlink()
    Path("new/rows.csv").write_text(ROWS + "100,100,b\n")

    run = moved.resumed("dataset.path=new/rows.csv")

    assert run.splits.read_bytes() == splits
    assert evaluate_run(run, "test", "", "cpu", THERE).to_dict()["rows"] == {"gone": 0, "new": 1}


def test_a_run_that_lost_the_record_of_its_rows_is_refused(moved: Moved) -> None:
    whole = moved.run.splits.read_bytes()
    moved.run.splits.write_bytes(whole[:-1])
    with pytest.raises(CheckpointUnusable, match=r"splits: damaged: its sum is wrong; .*restore"):
        evaluate_run(moved.run, "test", "", "cpu", THERE)
    moved.run.splits.unlink()
    with pytest.raises(CheckpointUnusable, match=r"the run's file splits, which says"):
        prepare_resume(moved.run, ResumeRun(moved.run.path, THERE), ["test"])
    moved.run.splits.symlink_to(moved.run.config)
    with pytest.raises(BadInput, match=r"splits is a symbolic link"):
        prepare_resume(moved.run, ResumeRun(moved.run.path, THERE), ["test"])


def test_a_run_goes_on_with_its_data_at_another_place_as_if_they_were_never_moved(
    moved: Moved,
) -> None:
    with pytest.raises(BadInput, match=WAY_OUT):
        prepare_resume(moved.run, ResumeRun(moved.run.path), ["test"])
    config = moved.run.config.read_bytes()

    Path("new/rows.csv").rename("old/rows.csv")
    unmoved = moved.forked()
    Path("old/rows.csv").rename("new/rows.csv")
    fork = moved.forked("dataset.path=new/rows.csv")
    run = moved.resumed("dataset.path=new/rows.csv")

    assert numbers(run) == numbers(fork) == numbers(unmoved)
    assert run.config.read_bytes() == config
    edits = map(json.loads, run.edits.read_text().splitlines())
    assert [edit["key"] for edit in edits] == ["training.epochs"]
    assert not any("data changed" in json.dumps(event) for event in events(run))


def test_a_fork_keeps_the_place_where_its_data_are_now(moved: Moved) -> None:
    fork = moved.forked("dataset.path=new/rows.csv")

    assert read_config_file(fork).data["dataset"]["path"] == str(Path("new/rows.csv").absolute())
    evaluate_run(fork, "test", "", "cpu")


@pytest.mark.parametrize("word", ["dataset.target=width", "model.dropout=0.5", "training.epochs=9"])
def test_nothing_but_the_place_of_the_data_can_be_set_to_measure_or_predict(
    moved: Moved, word: str
) -> None:
    overrides = parse_overrides([word])
    for asked in (
        lambda: evaluate_run(moved.run, "test", "", "cpu", overrides),
        lambda: open_predictor(moved.run, "", "cpu", overrides),
    ):
        with pytest.raises(BadInput, match=r"cannot be set here.*only dataset\.path can"):
            asked()
