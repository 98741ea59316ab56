"""The problem may be named in the experiment, in the data set, and by its older name `task`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.text.errors import ConfigError

TABLE = "dataset: {type: table, path: t.csv, target: y, %s}\n"
REST = "model: mlp\noptimizer: sgd\ntraining: {epochs: 1}\n"


def experiment(folder: Path, text: str, *words: str) -> Experiment:
    path = folder / "mine.yaml"
    path.write_text(text + REST)
    return PresetLibrary([builtin_dir()]).experiment(str(path), parse_overrides(words))


@pytest.mark.parametrize(
    ("text", "words", "problem"),
    [
        (TABLE % "drop: []", (), "auto"),
        (TABLE % "problem: regression", (), "regression"),
        (TABLE % "problem: {type: regression, outputs: [a]}", (), "regression"),
        (TABLE % "task: regression", (), "regression"),
        (TABLE % "task: auto", (), "auto"),
        (TABLE % "drop: []", ("task=regression",), "regression"),
        (TABLE % "drop: []", ("dataset.task=regression",), "regression"),
        (TABLE % "task: regression", ("problem=auto",), "auto"),
        (TABLE % "task: regression", ("dataset.task=multilabel",), "multilabel"),
        (TABLE % "problem: regression" + "problem: multilabel\n", (), "multilabel"),
        ("dataset: japanese-vowels\n", (), "classification"),
        ("dataset: japanese-vowels\n", ("dataset=penguins",), "auto"),
    ],
)
def test_the_problem_is_read_from_wherever_it_is_named(
    tmp_path: Path, text: str, words: tuple[str, ...], problem: str
) -> None:
    resolved = experiment(tmp_path, text, *words)
    assert resolved.problem.type == problem
    assert {"task", "problem"}.isdisjoint(resolved.to_dict()["dataset"])


def test_a_wrong_problem_of_a_data_set_is_told_at_its_line(tmp_path: Path) -> None:
    for text in (TABLE % "problem: numbers", TABLE % "task: numbers"):
        with pytest.raises(ConfigError) as caught:
            experiment(tmp_path, "# mine\n" + text)
        (problem,) = caught.value.problems
        assert (problem.key, problem.line) == ("problem.type", 2)
        assert "no problem type 'numbers'" in problem.message


def test_other_data_sets_have_no_task(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="task: unknown key"):
        experiment(tmp_path, "dataset: {type: pixels, path: p.csv, task: regression}\n")
