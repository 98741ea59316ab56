"""Moved data: every command on a run takes their place, and tells whether they changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.sessions.test_fork import numbers, ran
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import read_config_file
from tui_trainer.sessions.fork import prepare_fork
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.prepare import PreparedRun, prepare_new
from tui_trainer.sessions.resume import prepare_resume
from tui_trainer.sessions.workbench import evaluate_run, open_predictor
from tui_trainer.text.errors import BadInput

ROWS = "width,height,kind\n" + "".join(
    f"{number},{number * 7 % 13},{'ab'[number % 2]}\n" for number in range(60)
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

    def resumed(self, *words: str) -> RunDirectory:
        return self._went_on(partial(prepare_resume, self.run), *words)

    def forked(self, *words: str) -> RunDirectory:
        return self._went_on(partial(prepare_fork, self.run, self.runs), *words)

    def _went_on(self, prepare: Callable[..., PreparedRun], *words: str) -> RunDirectory:
        overrides = parse_overrides(["training.epochs=3", *words])
        return ran(LocalSession(lambda startup: prepare(overrides, ["test"], startup)))


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Moved:
    monkeypatch.chdir(tmp_path)
    return Moved(tmp_path)


THERE = parse_overrides(["dataset.path=new/rows.csv"])
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


def test_a_run_goes_on_with_its_data_at_another_place_as_if_they_were_never_moved(
    moved: Moved,
) -> None:
    with pytest.raises(BadInput, match=WAY_OUT):
        prepare_resume(moved.run, parse_overrides(["training.epochs=3"]), ["test"])
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
