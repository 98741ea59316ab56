"""Overrides of the command line: their form, their order, and what they do to an experiment."""

from __future__ import annotations

import unicodedata
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_trainer.config.experiment import SECTIONS, Experiment
from tui_trainer.config.overrides import Override, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.tree import COMMAND_LINE
from tui_trainer.text.errors import BadInput, ConfigError, Problem

HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"
BUILTIN = PresetLibrary([builtin_dir()])


def experiment(*words: str) -> Experiment:
    return BUILTIN.experiment("digits-mlp", parse_overrides(words))


def refused(*words: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        experiment(*words)
    return caught.value.problems


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("optimizer.lr=3e-4", Override("optimizer", "lr", 0.0003)),
        ("model.layers=[128,64]", Override("model", "layers", [128, 64])),
        ("optimizer=sgd", Override("optimizer", "", "sgd")),
        ("dataset.path=a=b.csv", Override("dataset", "path", "a=b.csv")),
        ("dataset.target=", Override("dataset", "target", None)),
        ("dataset.target='12'", Override("dataset", "target", "12")),
        ("optimizer.lr.x=1", Override("optimizer", "lr.x", 1)),
        ("schedule={type: cosine}", Override("schedule", "", {"type": "cosine"})),
    ],
)
def test_a_word_is_a_key_and_a_value(word: str, expected: Override) -> None:
    (parsed,) = parse_overrides([word])
    assert parsed == expected
    assert parsed.key == word.partition("=")[0]


def test_fault_34_every_wrong_word_is_told_at_once() -> None:
    words = ["lr", "optimzer.lr=1", "=1", "optimizer.=1", "model.layers=[1", "z.x=1", "seed=[", "."]
    with pytest.raises(ConfigError) as caught:
        parse_overrides([*words, "optimizer.lr=1"])
    problems = caught.value.problems
    assert len(problems) == len(words)
    assert {problem.source for problem in problems} == {COMMAND_LINE}
    assert "expected KEY=VALUE, got 'lr'" in problems[0].message
    assert problems[1].message == "unknown section (did you mean 'optimizer'?)"
    assert problems[4].key == "model.layers"
    assert problems[5].message == f"unknown section; available: {', '.join(SECTIONS)}"


@given(st.lists(st.text() | st.builds("optimizer.{}={}".format, st.text(), st.text()), max_size=3))
def test_fault_34_any_words_are_overrides_or_bad_input(words: list[str]) -> None:
    try:
        overrides = parse_overrides(words)
    except BadInput as error:
        message = str(error)
    else:
        message = "\n".join("right" for _ in overrides)
    for line in message.split("\n"):
        assert len(line) < 1000
        assert not HIDDEN & {unicodedata.category(char) for char in line if char not in JOINERS}


def test_the_later_of_two_overrides_counts() -> None:
    assert experiment("optimizer.lr=1", "optimizer.lr=2").optimizer.lr == 2
    assert experiment("optimizer=sgd", "optimizer=adam").optimizer.type == "adam"
    assert experiment("optimizer.type=sgd", "optimizer.type=adam").optimizer.type == "adam"


@pytest.mark.parametrize("choice", ["optimizer=sgd", "optimizer.type=sgd", "optimizer={type: sgd}"])
def test_fields_are_set_after_their_section_whatever_the_order(choice: str) -> None:
    words = (choice, "optimizer.lr=0.25", "optimizer.momentum=0.5")
    found = [experiment(*order) for order in permutations(words)]
    assert all(one == found[0] for one in found)
    assert found[0].get("optimizer.lr") == 0.25
    assert found[0].get("optimizer.momentum") == 0.5


def test_a_section_of_the_command_line_names_a_preset_or_a_type() -> None:
    preset = experiment("optimizer=sgd").optimizer.model_dump()
    assert preset == {
        "type": "sgd",
        "lr": 0.05,
        "weight_decay": 5e-4,
        "decay": "all",
        "groups": (),
        "layer_decay": None,
        "momentum": 0.9,
        "nesterov": True,
    }
    assert experiment("schedule=linear").schedule.type == "linear"
    assert experiment("loss=cross_entropy").loss.type == "cross_entropy"


def test_another_type_leaves_the_settings_of_the_old_type_behind() -> None:
    by_type = experiment("optimizer.type=sgd").optimizer.model_dump()
    assert by_type == {
        "type": "sgd",
        "lr": 0.01,
        "weight_decay": 0.0,
        "decay": "all",
        "groups": (),
        "layer_decay": None,
        "momentum": 0.0,
        "nesterov": False,
    }


def test_the_same_type_keeps_the_settings() -> None:
    assert experiment("optimizer.type=adamw") == experiment()


def test_a_mapping_may_change_a_preset() -> None:
    optimizer = experiment("optimizer={preset: sgd, lr: 0.5}").optimizer
    assert (optimizer.type, optimizer.lr) == ("sgd", 0.5)
    assert optimizer.weight_decay == 5e-4


def test_other_settings_are_left_alone() -> None:
    plain, changed = experiment().to_dict(), experiment("training.seed=7").to_dict()
    assert plain["training"].pop("seed") == 0
    assert changed["training"].pop("seed") == 7
    assert plain == changed


def test_null_takes_a_limit_away() -> None:
    found = experiment("training.max_steps=5", "training.epochs=null").training
    assert (found.max_steps, found.epochs) == (5, None)


@pytest.mark.parametrize(
    ("word", "key", "words"),
    [
        ("training.epochs=ten", "training.epochs", "whole number (got 'ten')"),
        ("training.epochs='10'", "training.epochs", "whole number"),
        ("optimizer.lr=-1", "optimizer.lr", "above 0"),
        ("optimizer.lr=.nan", "optimizer.lr", "finite"),
        ("optimizer.lrr=1", "optimizer.lrr", "did you mean 'lr'?"),
        ("optimizer.epochs=1", "optimizer.epochs", "did you mean 'training.epochs'?"),
        ("optimizer.lr.x=1", "optimizer.lr.x", "unknown key"),
        ("model.layers=128", "model.layers", "be a list"),
        ("model.layers=[8,-1]", "model.layers.1", "at least 1"),
        ("optimizer.type=sdg", "optimizer.type", "did you mean 'sgd'?"),
        ("optimizer.type=[sgd]", "optimizer.type", "no optimizer type ['sgd']"),
        ("optimizer=sdg", "optimizer", "did you mean 'sgd'?"),
        ("optimizer=", "optimizer", "mapping"),
        ("optimizer=[1]", "optimizer", "mapping"),
        ("optimizer={preset: 3}", "optimizer.preset", "name of a preset"),
        ("optimizer={preset: sgd, type: adam}", "optimizer.preset", "leave out either"),
        ("schedule={preset: x}", "schedule.preset", "has no presets"),
        ("schedule=cosin", "schedule.type", "did you mean 'cosine'?"),
        ("training=5", "training", "training.FIELD=VALUE"),
        ("training={epochs: 5}", "training", "training.FIELD=VALUE"),
        ("optimizer.nesterov=true", "optimizer.nesterov", "unknown key"),
        ("optimizer=_target_", "optimizer", "no optimizer preset"),
        ("model=os.system", "model", "no model preset"),
        ("model.trust_remote_code=true", "model.trust_remote_code", "unknown key"),
    ],
)
def test_fault_34_a_wrong_override_is_told_with_its_key(word: str, key: str, words: str) -> None:
    (problem,) = refused(word)
    assert (problem.source, problem.line, problem.key) == (COMMAND_LINE, None, key)
    assert words in problem.message


def test_fault_34_problems_of_several_overrides_are_told_at_once() -> None:
    problems = refused("optimizer=sdg", "model.layers=0", "training.epoch=1", "loss=x", "dataset=y")
    assert {problem.key for problem in problems} == {
        "optimizer",
        "model.layers",
        "training.epoch",
        "loss.type",
        "dataset",
    }


def test_a_type_whose_settings_are_missing_is_blamed_on_the_command_line() -> None:
    problems = refused("dataset.type=table")
    assert [(p.key, p.source) for p in problems] == [
        ("dataset.path", COMMAND_LINE),
        ("dataset.target", COMMAND_LINE),
    ]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


REST = "model: {type: linear}\noptimizer: {type: sgd}\ntraining: {epochs: 1}\n"


def test_a_file_name_is_relative_to_where_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    presets, other = tmp_path / "presets", tmp_path / "other"
    written(presets, "datasets/d.yaml", "type: pixels\npath: d.csv\n")
    by_name = written(other, "by-name.yaml", f"dataset: d\n{REST}")
    changed = written(other, "changed.yaml", f"dataset: {{preset: d, path: c.csv}}\n{REST}")
    whole = written(other, "whole.yaml", f"dataset: {{type: pixels, path: w.csv}}\n{REST}")
    library = PresetLibrary([presets])

    def path_of(file: Path, *words: str) -> Any:
        return library.experiment(str(file), parse_overrides(words)).get("dataset.path")

    assert path_of(by_name) == str(presets / "datasets" / "d.csv")
    assert path_of(changed) == str(other / "c.csv")
    assert path_of(whole) == str(other / "w.csv")
    for file in (by_name, changed, whole):
        assert path_of(file, "dataset.path=o.csv") == str(cwd / "o.csv")
        assert path_of(file, "dataset={preset: d, path: p.csv}") == str(cwd / "p.csv")
        assert path_of(file, "dataset={type: pixels, path: q.csv}") == str(cwd / "q.csv")
        assert path_of(file, "dataset=d") == str(presets / "datasets" / "d.csv")
        assert path_of(file, "dataset.path=/abs.csv") == "/abs.csv"
        assert path_of(file, "dataset.path=../x.csv") == str(cwd / "../x.csv")
        assert path_of(file, "dataset.path=builtin:x.csv") == "builtin:x.csv"
