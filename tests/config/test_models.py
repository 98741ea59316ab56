"""Settings of a model that contradict each other, and which of them is blamed."""

from __future__ import annotations

import pytest

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import DEFAULT_EXPERIMENT, PresetLibrary, builtin_dir
from tui_trainer.text.errors import ConfigError


def refusal(*words: str) -> str:
    presets = PresetLibrary([builtin_dir()])
    with pytest.raises(ConfigError) as caught:
        presets.experiment(DEFAULT_EXPERIMENT, parse_overrides(words))
    (problem,) = caught.value.problems
    return f"{problem.key}: {problem.message}"


def accepted(*words: str) -> bool:
    presets = PresetLibrary([builtin_dir()])
    return bool(presets.experiment(DEFAULT_EXPERIMENT, parse_overrides(words)))


def test_heads_that_do_not_divide_the_width_are_blamed() -> None:
    assert refusal("model=transformer", "model.width=90") == (
        "model.heads: 4 heads do not divide a width of 90; "
        "1, 2, 3, 5, 6, 9, 10, 15, 18, 30, 45 do (got 4)"
    )
    assert accepted("model=transformer", "model.width=90", "model.heads=9")


def test_rotary_positions_of_an_odd_head_are_blamed() -> None:
    words = ["model=transformer", "model.width=60", "model.heads=4", "model.position=rotary"]
    assert refusal(*words).startswith("model.position: rotary rotates pairs, but a head has 15 num")
    assert accepted(*words, "model.heads=2")


def test_a_tied_embedding_of_another_size_is_blamed() -> None:
    words = ["model=rnn", "model.tie_embedding=true", "model.hidden=64", "model.embedding=32"]
    assert refusal(*words).startswith(
        "model.tie_embedding: an embedding of 32 cannot be shared with 64 hidden units"
    )
    assert accepted(*words, "model.embedding=64")


def test_a_setting_that_is_wrong_by_itself_is_blamed_alone() -> None:
    assert refusal("model=transformer", "model.width=0").startswith("model.width: ")


def test_a_depth_that_no_stages_have_is_blamed_with_the_nearest() -> None:
    assert refusal("model=resnet", "model.depth=21") == (
        "model.depth: 21 is not 6n + 2, which 3 stages with two layers per block need; "
        "the nearest: 20 and 26 (got 21)"
    )
    assert "the nearest: 8 (got 5)" in refusal("model=resnet", "model.depth=5")
    assert accepted("model=resnet", "model.stages=4", "model.depth=18")
    assert "20 is not 8n + 2" in refusal("model=resnet", "model.stages=4", "model.depth=20")
    for depth in (8, 14, 20, 32, 44, 56, 110):
        assert accepted("model=resnet", f"model.depth={depth}")


def test_groups_that_do_not_divide_the_channels_are_blamed() -> None:
    words = ["model=resnet", "model.width=12"]
    assert accepted(*words)
    assert refusal(*words, "model.norm=group") == (
        "model.groups: 8 groups do not divide 12 channels (got 8)"
    )
    words = ["model=cnn", "model.norm=group", "model.channels=[16,20]"]
    assert refusal(*words).startswith("model.groups: 8 groups do not divide 20 channels")
    assert accepted(*words, "model.groups=4")
