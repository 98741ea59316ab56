"""Settings inside of lists: `optimizer.groups.0.lr` on the command line, in edits and in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.config.test_schema import SCHEMA, fits
from tui_trainer.config.drafts.draft import draft_of, draft_with
from tui_trainer.config.experiment import SECTIONS, Experiment
from tui_trainer.config.overrides import editable_keys, edited, live_keys, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.reader import parse_document
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.config_file import flat
from tui_trainer.text.errors import BadInput, ConfigError

LIBRARY = PresetLibrary([builtin_dir()])
LIST = "optimizer.groups=[{match: head, lr: 1e-3}, {match: ['*.bias', norm], freeze_until: 9}]"
AVAILABLE = f"unknown section; available: {', '.join(SECTIONS)}"


def experiment(*words: str) -> Experiment:
    return LIBRARY.experiment("digits-mlp", parse_overrides(words))


def refused(*words: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as error:
        experiment(*words)
    return [(problem.key, problem.message) for problem in error.value.problems]


def test_a_setting_of_an_item_is_set_after_its_list_whatever_the_order() -> None:
    changed = experiment("optimizer.groups.0.lr=0.5", LIST, "optimizer.groups.1={match: hidden}")
    assert changed.get("optimizer.groups") == [{"match": "head", "lr": 0.5}, {"match": "hidden"}]
    assert changed.get("optimizer.groups.0.lr") == 0.5
    with pytest.raises(KeyError):
        changed.get("optimizer.groups.2.lr")


@pytest.mark.parametrize(
    ("words", "key", "told"),
    [
        (["optimizer.groups.0.lr=1"], "optimizer.groups.0.lr", "there are none; groups=[...]"),
        ([LIST, "optimizer.groups.2.lr=1"], "optimizer.groups.2.lr", "the last one is groups.1"),
        ([LIST, "optimizer.groups.0.lr=-1"], "optimizer.groups.0.lr", "should be above 0"),
        ([LIST, "optimizer.groups.0.lrs=1"], "optimizer.groups.0.lrs", "did you mean 'lr'?"),
        ([LIST, "optimizer.groups.0.lr_factor=2"], "optimizer.groups.0.lr_factor", "or lr, not"),
        ([LIST, "optimizer.groups.1.freeze=true"], "optimizer.groups.1.freeze_until", "or freeze"),
        ([LIST, "optimizer.groups.0.schedule=cosin"], "optimizer.groups.0.schedule", "'cosine'?"),
        ([LIST, "optimizer.groups.0.schedule=plateau"], "optimizer.groups.0.schedule", "whole run"),
        ([LIST, "optimizer.groups.0.momentum=0.9"], "optimizer.groups.0.momentum", "unknown key"),
        (["optimizer.groups=[{lr: 1}]"], "optimizer.groups.0.match", "missing"),
        (["optimizer.groups=head"], "optimizer.groups", "list of settings, as [{match: head"),
        (["optimizer.groups=[head]"], "optimizer.groups.0", "be settings, as {match: head, lr"),
        (
            ["optimizer.groups=[{match: []}]"],
            "optimizer.groups.0.match",
            "should be a text, or have at least 1 value, not 0 (got [])",
        ),
        (
            [LIST, "optimizer.groups.0.schedule={type: cosine, warmup: 2}"],
            "optimizer.groups.0.schedule",
            "warmup: unknown key (did you mean 'warmup_steps'?)",
        ),
        (["optimizer.lr.0.x=1"], "optimizer.lr.0.x", "lr is not a list"),
    ],
)
def test_what_is_wrong_in_a_list_is_told_with_its_place(
    words: list[str], key: str, told: str
) -> None:
    ((blamed, message),) = refused(*words)
    assert blamed == key
    assert told in message


def test_a_setting_in_a_list_without_its_section_is_told_the_whole_key() -> None:
    assert refused(LIST, "groups.0.lr=1", "param_groups.1.lr=1", "groupes.0.lr=1", "lr.x=1") == [
        ("groups.0.lr", "unknown section (did you mean 'optimizer.groups.0.lr'?)"),
        ("param_groups.1.lr", "unknown section (did you mean 'optimizer.groups.1.lr'?)"),
        ("groupes.0.lr", AVAILABLE),
        ("lr.x", AVAILABLE),
    ]


def test_the_file_and_line_of_a_setting_in_a_list_are_told(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "dataset: digits\nmodel: mlp\ntraining: {epochs: 1}\n"
        "optimizer:\n  preset: adamw\n  groups:\n    - match: head\n    - match: x\n      lr: 0\n"
    )
    with pytest.raises(ConfigError, match=r"mine.yaml:9:7: optimizer.groups.1.lr: should be above"):
        LIBRARY.experiment(str(file))


def test_an_edit_of_a_frozen_group_is_not_offered_and_refused_unless_it_was_recorded() -> None:
    now = experiment("optimizer.groups=[{match: head, freeze: true}, {match: hidden, lr: 1}]")
    assert {key for key in live_keys(now) if key not in editable_keys(now)} == {
        f"optimizer.groups.0.{name}" for name in ("lr", "lr_factor", "weight_decay", "freeze_until")
    }
    recorded = edited(now, "optimizer.groups.0.lr", 0.5, is_new=False)
    assert recorded.get("optimizer.groups.0.lr") == 0.5
    for experiment_before in (now, recorded):
        with pytest.raises(BadInput, match=r"0\.weight_decay=0: .*, which holds for the"):
            edited(experiment_before, "optimizer.groups.0.weight_decay", 0)
    assert edited(recorded, "optimizer.groups.1.lr", 2).get("optimizer.groups.1.lr") == 2.0
    assert edited(recorded, "optimizer.groups.0.lr", None) == now


def test_live_settings_of_items_are_edited_one_by_one() -> None:
    now = experiment(LIST)
    inside = [key for key in live_keys(now) if key.startswith("optimizer.groups.1.")]
    assert [key.rpartition(".")[2] for key in inside] == [
        "lr",
        "lr_factor",
        "weight_decay",
        "freeze_until",
    ]
    changed = edited(edited(now, "optimizer.groups.0.lr", None), "optimizer.groups.0.lr_factor", 2)
    assert changed.get("optimizer.groups")[0] == {"match": "head", "lr_factor": 2.0}
    assert changed.get("optimizer.groups")[1] == now.get("optimizer.groups")[1]
    for key, words in (
        ("optimizer.groups", "cannot be edited while training"),
        ("optimizer.groups.0.freeze", "cannot be edited while training"),
        ("optimizer.groups.0.lrs", "did you mean 'optimizer.groups.0.lr"),
        ("optimizer.groups.5.lr", "did you mean 'optimizer.groups."),
        ("groups.1.lr", r"did you mean 'optimizer.groups.1.lr'\?"),
    ):
        with pytest.raises(BadInput, match=words):
            edited(now, key, 1)
    momentum = experiment("optimizer=sgd", LIST)
    assert edited(momentum, "optimizer.groups.0.momentum", 0.5).get("optimizer.groups")[0] == {
        "match": "head",
        "lr": 1e-3,
        "momentum": 0.5,
    }


def test_a_list_is_in_files_as_people_write_it_and_not_at_all_if_it_is_empty() -> None:
    bare, listed = experiment(), experiment(LIST, "optimizer.layer_decay=0.5")
    assert not {"groups", "layer_decay"} & bare.to_dict()["optimizer"].keys()
    written = parse_document(to_yaml(listed.to_dict()), "config.yaml").data
    assert written["optimizer"]["groups"][0] == {"match": "head", "lr": 1e-3}
    settings = flat(written)
    assert settings["optimizer.groups.0.lr"] == 1e-3
    assert settings["optimizer.groups.1.match"] == ["*.bias", "norm"]
    assert "optimizer.groups" not in settings
    draft = draft_of(LIBRARY, listed)
    assert draft.experiment is not None
    assert draft.experiment.optimizer == listed.optimizer


def test_a_draft_with_a_setting_of_an_item_has_it_in_the_field_of_the_list() -> None:
    words = parse_overrides(["optimizer.groups.1.lr_factor=3", LIST])
    draft = draft_with(LIBRARY, "digits-mlp", words)
    assert "freeze_until: 9, lr_factor: 3" in draft.text("optimizer.groups")
    assert draft.experiment is not None
    assert draft.experiment.optimizer.groups[1].lr_factor == 3


@pytest.mark.parametrize(
    ("group", "is_right"),
    [
        ({"match": "head", "lr": 0.1, "schedule": {"type": "cosine", "warmup_steps": 3}}, True),
        ({"match": ["a", "b"], "freeze": True}, True),
        ({"match": "head", "lr": 0}, False),
        ({"lr": 0.1}, False),
        ({"match": "head", "schedule": {"type": "cosine", "final": 3}}, False),
        ({"match": "head", "fox": 1}, False),
    ],
)
def test_the_schema_says_the_same(group: dict[str, Any], is_right: bool) -> None:
    definitions = SCHEMA["$defs"]["optimizer-adam"]
    assert fits({"type": "adam", "groups": [group]}, definitions) == is_right
