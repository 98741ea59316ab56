"""Experiments: every problem of every section at once, with file, line and key; and round trips."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tui_trainer.config.experiment import SECTIONS, Experiment, check_section, resolve
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.tree import Tree, places_of
from tui_trainer.config.yaml.reader import parse_document, read_document
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.text.errors import ConfigError, Problem

WHOLE = """\
name: test
dataset: {type: pixels, path: digits.csv}
model: {type: mlp}
optimizer:
  type: sgd
  lr: 0.1
schedule: {type: constant}
loss: {type: auto}
training:
  epochs: 3
"""
SHIPPED = [preset.name for preset in PresetLibrary([builtin_dir()]).list("experiment")]


def parsed(text: str, source: Path = Path("/presets/p.yaml")) -> Experiment:
    document = parse_document(text, str(source))
    return resolve(Tree(document.data, places_of(document.places, source)), "p")


def refused(text: str, source: Path = Path("/presets/p.yaml")) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        parsed(text, source)
    return caught.value.problems


def refused_file(path: Path, text: str) -> tuple[Problem, ...]:
    """The problems of a real file in the search path."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        PresetLibrary([builtin_dir()]).experiment(str(path))
    assert caught.value.exit_code == 2
    return caught.value.problems


def with_line(line: str) -> str:
    """The whole experiment with a line more in its last section, `training`, which is line 11."""
    return f"{WHOLE}  {line}\n"


def test_a_whole_experiment_has_every_section_and_every_key() -> None:
    experiment = parsed(WHOLE)
    names = tuple(item.name for item in fields(Experiment))
    assert names[:2] == ("name", "description")
    assert set(names[2:]) == {*SECTIONS, "notes", "places"}
    assert experiment.name == "test"
    assert experiment.get("optimizer.lr") == 0.1
    assert experiment.get("checkpoint.keep_last") == 2
    for key in experiment.all_keys():
        experiment.get(key)
    for key in ("optimizer", "optimizer.betas", "nothing.lr", "name", "", "optimizer.__class__"):
        with pytest.raises(KeyError):
            experiment.get(key)


def test_a_section_cannot_be_changed() -> None:
    optimizer = parsed(WHOLE).optimizer
    with pytest.raises(ValidationError, match="frozen"):
        optimizer.lr = 1.0
    assert optimizer.lr == 0.1


def test_the_name_is_that_of_the_file_unless_it_is_given() -> None:
    assert parsed(WHOLE.replace("name: test\n", "")).name == "p"
    assert refused("name: 3\n" + WHOLE.removeprefix("name: test\n"))[0].key == "name"


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        ("epoch: 3", "training.epoch", "unknown key (did you mean 'training.epochs'?)"),
        ("batchsize: 3", "training.batchsize", "unknown key (did you mean 'training.batch_size'?)"),
        ("lr: 0.1", "training.lr", "unknown key (did you mean 'optimizer.lr'?)"),
        (
            "keep_last: 1",
            "training.keep_last",
            "unknown key (did you mean 'checkpoint.keep_last'?)",
        ),
        ("zzzz: 1", "training.zzzz", "unknown key; available: epochs, max_steps"),
        ("type: 1", "training.type", "unknown key; available: epochs"),
        ("max_steps: ten", "training.max_steps", "whole number (got 'ten')"),
        ("max_steps: '10'", "training.max_steps", "whole number (got '10')"),
        ("max_steps: true", "training.max_steps", "whole number (got True)"),
        ("max_steps: 1.5", "training.max_steps", "whole number (got 1.5)"),
        ("max_steps: [1]", "training.max_steps", "whole number (got [1])"),
        ("max_steps: 0", "training.max_steps", "at least 1 (got 0)"),
        ("batch_size: 0", "training.batch_size", "at least 1 (got 0)"),
        ("batch_size: null", "training.batch_size", "whole number (got None)"),
        ("batch_size: 16777217", "training.batch_size", "at most 16777216"),
        ("max_seconds: .nan", "training.max_seconds", "finite number (got nan)"),
        ("max_seconds: .inf", "training.max_seconds", "finite number (got inf)"),
        ("max_seconds: -1", "training.max_seconds", "above 0 (got -1)"),
        ("drop_last: no", "training.drop_last", "true or false (got 'no')"),
        ("drop_last: 1", "training.drop_last", "true or false (got 1)"),
        ("precision: fp64", "training.precision", "should be 'fp32', 'tf32', 'bf16' or 'fp16'"),
        ("device: tpu", "training.device", "pattern"),
        ("device: cuda:1234", "training.device", "pattern"),
        ("seed: -1", "training.seed", "at least 0 (got -1)"),
        ("seed: 1" + "0" * 400, "training.seed", "a number of too many digits"),
        ("max_seconds: 1e400", "training.max_seconds", "a number too large for a float"),
        ("epochs: 4", "training.epochs", "duplicate key, first in line 10"),
        ("trust_remote_code: true", "training.trust_remote_code", "unknown key"),
        ("_target_: os.system", "training._target_", "unknown key"),
    ],
)
def test_fault_34_a_wrong_setting_is_told_with_file_line_and_key(
    tmp_path: Path, line: str, key: str, words: str
) -> None:
    (problem,) = refused_file(tmp_path / "p.yaml", with_line(line))
    assert (problem.source, problem.line, problem.key) == (str(tmp_path / "p.yaml"), 11, key)
    assert words in problem.message
    assert str(problem).startswith(f"{tmp_path}/p.yaml:11:")


def test_fault_34_epochs_ten_is_refused_at_its_place(tmp_path: Path) -> None:
    (problem,) = refused_file(tmp_path / "p.yaml", WHOLE.replace("epochs: 3", "epochs: ten"))
    place = f"{tmp_path}/p.yaml:10:3"
    assert str(problem) == f"{place}: training.epochs: should be a whole number (got 'ten')"


@pytest.mark.parametrize(
    ("given", "lr"), [("1e-3", 0.001), ("1", 1.0), ("5.", 5.0), ("3E-4", 3e-4)]
)
def test_fault_34_a_rate_may_be_written_as_any_number(given: str, lr: float) -> None:
    read = parsed(WHOLE.replace("lr: 0.1", f"lr: {given}")).optimizer.lr
    assert read == lr
    assert type(read) is float


@pytest.mark.parametrize("lr", ["-0.1", "0", ".nan", ".inf", "1e5", "'0.1'", "true", "null", "[1]"])
def test_fault_34_a_rate_out_of_range_is_refused(lr: str) -> None:
    (problem,) = refused(WHOLE.replace("lr: 0.1", f"lr: {lr}"))
    assert (problem.key, problem.line, problem.column) == ("optimizer.lr", 6, 3)


def test_fault_34_items_of_a_list_are_blamed_one_by_one() -> None:
    text = WHOLE.replace("{type: mlp}", "{type: mlp, layers: [8, 0, x]}")
    found = [(p.key, p.line, p.column) for p in refused(text)]
    assert found == [("model.layers.1", 3, 32), ("model.layers.2", 3, 35)]


@pytest.mark.parametrize("shape", ["[0, 8, 8]", "[-1, -8, 8]", "[1, 8]", "[1, 8, 8, 8]", "[]", "8"])
def test_fault_34_a_shape_is_three_sizes(shape: str) -> None:
    problems = refused(WHOLE.replace("digits.csv", f"digits.csv, shape: {shape}"))
    assert {problem.key.removesuffix(".1") for problem in problems} <= {
        "dataset.shape",
        "dataset.shape.0",
    }
    assert not any("after validation, not" in p.message for p in problems if len(problems) > 1)


def test_fault_34_of_a_choice_every_form_is_named_in_one_problem() -> None:
    loss = "{type: cross_entropy, class_weights: even}"
    (problem,) = refused(WHOLE.replace("{type: auto}", loss))
    assert problem.key == "loss.class_weights"
    assert "'none' or 'balanced'" in problem.message
    assert ", or " in problem.message


def test_fault_34_all_problems_of_all_sections_are_told_at_once() -> None:
    text = """\
name: [x]
dataset: {type: pixel, path: x}
model: {type: mlp, layer: [1]}
optimizer:
  type: sgd
  lr: -1
  momentum: 2
schedule: 3
checkpoints: {}
training:
  epochs: ten
  batch_sise: 3
early_stopping: [1]
"""
    found = {(problem.key, problem.line) for problem in refused(text)}
    assert found == {
        ("name", 1),
        ("dataset.type", 2),
        ("model.layer", 3),
        ("optimizer.lr", 6),
        ("optimizer.momentum", 7),
        ("schedule", 8),
        ("checkpoints", 9),
        ("training.epochs", 11),
        ("training.batch_sise", 12),
        ("early_stopping", 13),
    }
    assert "did you mean 'checkpoint'" in "".join(p.message for p in refused(text))


CLIPPED = "epochs: 3\n  grad_clip_norm: 1"


@pytest.mark.parametrize(
    ("old", "wrong", "right", "key"),
    [
        ("epochs: 3", "epochs: null", "max_seconds: 3", "training"),
        ("lr: 0.1", "nesterov: true", "nesterov: true\n  momentum: 0.9", "optimizer.nesterov"),
        ("epochs: 3", f"{CLIPPED}\n  grad_clip_value: 1", CLIPPED, "training.grad_clip_value"),
        ("mlp", "cnn, kernel_size: 4", "cnn, kernel_size: 5", "model.kernel_size"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    old: str, wrong: str, right: str, key: str
) -> None:
    assert [problem.key for problem in refused(WHOLE.replace(old, wrong))] == [key]
    assert isinstance(parsed(WHOLE.replace(old, right)), Experiment)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "one_cycle"])
def test_a_schedule_that_needs_a_horizon_is_refused_without_one(schedule: str) -> None:
    text = WHOLE.replace("{type: constant}", f"{{type: {schedule}}}")
    assert isinstance(parsed(text), Experiment)
    assert isinstance(parsed(text.replace("epochs: 3", "max_steps: 3")), Experiment)
    (problem,) = refused(text.replace("epochs: 3", "max_seconds: 3"))
    assert problem.key == "schedule.type"
    assert "training.max_steps" in problem.message


@pytest.mark.parametrize(
    "name", ["../../x", "os.system", "/etc/passwd", "sgd.SGD", "__class__", ""]
)
@pytest.mark.parametrize("section", ["dataset", "model", "optimizer", "schedule", "loss"])
def test_fault_35_a_type_is_a_name_of_the_registry(section: str, name: str) -> None:
    others = {"dataset": {"path": "x"}}.get(section, {})
    tree = Tree({section: {"type": name, **others}})
    with pytest.raises(ConfigError, match=f"no {section} type") as caught:
        check_section(tree, section)
    assert [problem.key for problem in caught.value.problems] == [f"{section}.type"]


def test_fault_37_foreign_text_in_problems_is_clean_and_bounded() -> None:
    steering = r'"\e[2J\u202e' + "x" * 900 + '"'
    text = f"{steering}: 1\n{WHOLE}  {steering}: 1\n  device: {steering}\n  seed: {steering}\n"
    text = text.replace("type: sgd", f"type: {steering}")
    problems = refused(text, Path("/presets/\x1b[31m.yaml"))
    assert len(problems) == 5
    for problem in problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < 1000


def test_a_file_name_is_relative_to_the_folder_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    experiment = parsed(WHOLE, tmp_path / "sub" / "p.yaml")
    assert experiment.get("dataset.path") == str(tmp_path / "sub" / "digits.csv")


@pytest.mark.parametrize("path", ["/data/x.csv", "builtin:digits.csv.gz"])
def test_absolute_and_builtin_names_stay_as_they_are(path: str) -> None:
    assert parsed(WHOLE.replace("digits.csv", path)).get("dataset.path") == path


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert parsed(WHOLE.replace("digits.csv", "~/x.csv")).get("dataset.path") == (
        "/home/someone/x.csv"
    )


def test_the_home_of_nobody_is_an_ordinary_name() -> None:
    experiment = parsed(WHOLE.replace("digits.csv", "~no-such-user/x.csv"))
    assert experiment.get("dataset.path") == "/presets/~no-such-user/x.csv"


def written_and_read(experiment: Experiment, path: Path) -> Experiment:
    """What becomes of an experiment in a run's config.yaml."""
    path.write_text(to_yaml(experiment.to_dict()), encoding="utf-8")
    document = read_document(path)
    return resolve(Tree(document.data, places_of(document.places, path)), "other")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_experiment_is_read_back_equal(tmp_path: Path, name: str) -> None:
    experiment = PresetLibrary([builtin_dir()]).experiment(name)
    path = tmp_path / "config.yaml"
    assert written_and_read(experiment, path) == experiment
    document = parse_document(yaml.safe_dump(experiment.to_dict()), "")
    assert resolve(Tree(document.data), "other") == experiment


@given(
    lr=st.floats(1e-300, 1e4),
    seed=st.integers(0, 2**63 - 1),
    layers=st.lists(st.integers(1, 65536), max_size=5),
    betas=st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2),
    target=st.sampled_from(
        ["Größe\u202e", "a: b", "#", "no", "null", "0.5", "1.0e+3", "1e3", "08", " ", "[x]"]
    ),
    threshold=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_experiment_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, target: str, **values: Any
) -> None:
    data = {
        "dataset": {"type": "table", "path": "/x.csv", "target": target, "drop": [target]},
        "model": {"type": "mlp", "layers": values["layers"]},
        "optimizer": {"type": "adamw", "lr": values["lr"], "betas": list(values["betas"])},
        "schedule": {"type": "one_cycle"},
        "loss": {"type": "cross_entropy", "class_weights": [1.0, 2.5]},
        "training": {"epochs": 1, "seed": values["seed"]},
        "early_stopping": {"threshold": values["threshold"]},
    }
    experiment = resolve(Tree(data), target)
    path = tmp_path_factory.getbasetemp() / "config.yaml"
    assert written_and_read(experiment, path) == experiment


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["sgd", "mlp", "pixels", "cosine", "auto", "digits", "adamw", "preset"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "preset", "lr", "layers", "path", "epochs", "shape", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def resolved_or_refused(data: dict[str, Any]) -> str:
    """What a tree is refused with, or nothing."""
    try:
        assert math.isfinite(resolve(Tree(data), "any").optimizer.lr)
    except ConfigError as error:
        return "\n".join(map(str, error.problems))
    return ""


@given(st.dictionaries(st.sampled_from([*SECTIONS, "name", "description", "x"]), JUNK))
def test_fault_34_any_data_is_an_experiment_or_a_list_of_problems(data: dict[str, Any]) -> None:
    shown = resolved_or_refused(data).replace("\n", " ")
    assert not {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"} & set(map(unicodedata.category, shown))
