"""Live edits: which settings can change in a running training, and why others cannot."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited, live_keys, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.reader import parse_value
from tui_trainer.text.errors import BadInput, ConfigError


def experiment(*words: str) -> Experiment:
    return PresetLibrary([builtin_dir()]).experiment("digits-mlp", parse_overrides(words))


ALWAYS = [
    "training.epochs",
    "training.max_steps",
    "training.max_seconds",
    "training.grad_clip_norm",
    "training.grad_clip_value",
    "training.validate_every_steps",
    "checkpoint.every_steps",
    "checkpoint.every_epochs",
    "checkpoint.every_seconds",
    "early_stopping.patience",
    "early_stopping.min_delta",
    "early_stopping.threshold",
]


@pytest.mark.parametrize(
    ("optimizer", "own"),
    [
        ("adamw", ["optimizer.lr", "optimizer.weight_decay"]),
        ("sgd", ["optimizer.lr", "optimizer.weight_decay", "optimizer.momentum"]),
        (
            "muon",
            [
                "optimizer.lr",
                "optimizer.weight_decay",
                "optimizer.momentum",
                "optimizer.adamw_lr",
            ],
        ),
    ],
)
def test_live_keys_are_those_of_the_sections_in_use(optimizer: str, own: list[str]) -> None:
    chosen = experiment(f"optimizer={optimizer}")
    assert live_keys(chosen) == [*own, *ALWAYS]
    assert set(live_keys(chosen)) <= set(chosen.all_keys())


EDITS: list[tuple[str, Any]] = [
    ("optimizer.lr", 0.5),
    ("optimizer.lr", 1),
    ("optimizer.weight_decay", 0),
    ("training.epochs", 7),
    ("training.max_steps", 2**53 - 1),
    ("training.grad_clip_norm", 1.0),
    ("training.grad_clip_norm", None),
    ("checkpoint.every_seconds", None),
    ("early_stopping.threshold", -1.5),
]


@pytest.mark.parametrize(("key", "value"), EDITS)
def test_an_edit_changes_one_setting_and_leaves_the_old_experiment_alone(
    key: str, value: Any
) -> None:
    before = experiment()
    copy = before.to_dict()
    after = edited(before, key, value)
    assert after.get(key) == value
    assert before.to_dict() == copy
    section = key.partition(".")[0]
    for info in fields(Experiment):
        if info.name != section:
            assert getattr(after, info.name) == getattr(before, info.name)
    others = [other for other in before.all_keys() if other != key]
    assert [after.get(other) for other in others] == [before.get(other) for other in others]


def test_edits_add_up() -> None:
    twice = edited(edited(experiment(), "optimizer.lr", 0.5), "optimizer.weight_decay", 0.1)
    assert (twice.optimizer.lr, twice.optimizer.weight_decay) == (0.5, 0.1)


@pytest.mark.parametrize(
    "key",
    ["training.seed", "training.batch_size", "model.layers", "dataset.path", "optimizer.type"],
)
def test_a_key_that_shapes_the_past_is_refused_with_the_reason(key: str) -> None:
    with pytest.raises(BadInput) as caught:
        edited(experiment(), key, 1)
    message = str(caught.value)
    assert message.startswith(f"{key} cannot be edited while training, because earlier")
    assert "these can: optimizer.lr, " in message


def test_every_key_that_is_not_live_is_refused() -> None:
    chosen = experiment()
    for key in set(chosen.all_keys()) - set(live_keys(chosen)):
        with pytest.raises(BadInput, match="cannot be edited"):
            edited(chosen, key, chosen.get(key))


def test_a_whole_section_is_refused_as_a_setting_that_is_not_live() -> None:
    with pytest.raises(BadInput, match=r"^optimizer cannot be edited while training, because"):
        edited(experiment(), "optimizer", "sgd")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("optimizer.lrr", r"did you mean 'optimizer\.lr'"),
        ("lr", r"did you mean 'optimizer\.lr'"),
        ("optimizer.momentum", "no setting"),
        ("name", "no setting"),
        ("", "no setting"),
        ("\x1b[2J", r"no setting '\\+x1b\[2J'"),
    ],
)
def test_an_unknown_key_is_refused(key: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        edited(experiment(), key, 1)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.lr", -1),
        ("optimizer.lr", 0),
        ("optimizer.lr", math.nan),
        ("optimizer.lr", math.inf),
        ("optimizer.lr", "0.1"),
        ("optimizer.lr", True),
        ("optimizer.lr", None),
        ("optimizer.lr", [0.1]),
        ("optimizer.lr", {"lr": 0.1}),
        ("training.epochs", 0),
        ("training.epochs", 1.5),
        ("training.max_steps", 2**53),
        ("training.max_seconds", 0),
        ("early_stopping.patience", 0),
        ("optimizer.lr", "\x1b[2J" * 1000),
    ],
)
def test_fault_34_a_value_that_does_not_fit_is_refused_with_the_key(key: str, value: Any) -> None:
    with pytest.raises(BadInput, match="should be") as caught:
        edited(experiment(), key, value)
    assert str(caught.value).startswith(f"{key}=")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


def test_none_in_words_is_told_how_an_empty_value_is_written() -> None:
    with pytest.raises(BadInput) as caught:
        edited(experiment(), "training.max_steps", "none")
    assert str(caught.value).endswith("; leave the value empty for none, as training.max_steps=")
    assert edited(experiment(), "training.max_steps", parse_value("")).training.max_steps is None
    with pytest.raises(ConfigError, match=r"whole number; leave the value empty for none \(got"):
        experiment("training.max_steps=None")
    with pytest.raises(BadInput) as never_empty:
        edited(experiment(), "optimizer.lr", "none")
    assert "empty" not in str(never_empty.value)


def test_an_edit_may_not_contradict_another_setting() -> None:
    clipped = edited(experiment(), "training.grad_clip_norm", 1.0)
    with pytest.raises(BadInput, match="grad_clip_norm, not both"):
        edited(clipped, "training.grad_clip_value", 1.0)
    swapped = edited(
        edited(clipped, "training.grad_clip_norm", None), "training.grad_clip_value", 1.0
    )
    assert swapped.training.grad_clip_value == 1.0


def test_the_last_limit_may_not_be_taken_away() -> None:
    endless = experiment("schedule=constant")
    with pytest.raises(BadInput, match="no limit"):
        edited(endless, "training.epochs", None)
    timed = edited(endless, "training.max_seconds", 5.0)
    assert edited(timed, "training.epochs", None).training.epochs is None


def test_the_horizon_may_not_be_taken_from_a_schedule_that_needs_it() -> None:
    timed = edited(experiment(), "training.max_seconds", 5.0)
    with pytest.raises(BadInput, match="the number of steps"):
        edited(timed, "training.epochs", None)
    stepped = edited(timed, "training.max_steps", 5)
    assert edited(stepped, "training.epochs", None).training.max_steps == 5


def test_nesterov_needs_its_momentum_in_edits_too() -> None:
    chosen = experiment("optimizer=sgd")
    assert chosen.get("optimizer.nesterov") is True
    with pytest.raises(BadInput, match="momentum above 0"):
        edited(chosen, "optimizer.momentum", 0.0)
