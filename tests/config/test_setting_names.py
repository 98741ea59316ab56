"""Names of settings as people type them: short, or those of other programs; the list of all."""

from __future__ import annotations

import pytest

from tui_trainer.config.experiment import REGISTRIES, SECTIONS, Experiment, kinds_of
from tui_trainer.config.overrides import overrides_of, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.sections.parameter_groups import GroupSection
from tui_trainer.config.sections.section import extra_of
from tui_trainer.config.setting_names import (
    OTHER_NAMES,
    SETTINGS_FILE,
    all_settings,
    full_key,
    keys_named,
    suggest_key,
)
from tui_trainer.text.errors import BadInput, ConfigError

BUILTIN = PresetLibrary([builtin_dir()])
OWN = "tui_trainer.config.sections."


def experiment(*words: str, preset: str = "digits-mlp") -> Experiment:
    return BUILTIN.experiment(preset, parse_overrides(words))


def expected_settings() -> str:
    """The content of settings.txt according to the sections, without those of plugins."""
    lines: dict[str, str] = {}
    for section in SECTIONS:
        for kind in kinds_of(section):
            if kind.__module__.startswith(OWN):
                for name, info in kind.model_fields.items():
                    key = f"{section}.{name}"
                    lines[key] = f"{key} live" if extra_of(info).get("live") else key
    for section, registry in REGISTRIES.items():
        for spec in registry:
            if spec.params.__module__.startswith(OWN):
                lines[f"{section}={spec.name}"] = f"{section}={spec.name}"
    return "\n".join(lines.values()) + "\n"


def test_the_list_of_settings_is_that_of_the_sections() -> None:
    """If this fails, `python tests/config/test_setting_names.py` writes the list again."""
    assert SETTINGS_FILE.read_text(encoding="utf-8") == expected_settings()


def test_other_names_lead_to_settings_and_are_none_themselves() -> None:
    for other, name in OTHER_NAMES.items():
        is_of_group = name in GroupSection.model_fields
        assert name in SECTIONS or is_of_group or keys_named(name, all_settings()), other
        assert other not in SECTIONS, other
        assert other == other.lower()


def test_a_short_name_of_one_setting_is_that_setting_and_a_note_says_so() -> None:
    short = experiment("lr=0.25", "epochs=3", "layers=[8]")
    assert short == experiment("optimizer.lr=0.25", "training.epochs=3", "model.layers=[8]")
    assert short.notes == (
        "lr is optimizer.lr",
        "epochs is training.epochs",
        "layers is model.layers",
    )
    assert experiment("optimizer.lr=0.25").notes == ()


def test_the_later_of_a_short_and_a_full_name_counts() -> None:
    assert experiment("lr=1", "optimizer.lr=2").get("optimizer.lr") == 2
    assert experiment("optimizer.lr=2", "lr=1").get("optimizer.lr") == 1


def test_which_setting_is_meant_depends_on_the_types_of_the_experiment() -> None:
    assert experiment("patience=3").get("early_stopping.patience") == 3
    assert experiment("momentum=0.5", "optimizer=sgd").get("optimizer.momentum") == 0.5
    with pytest.raises(ConfigError) as caught:
        experiment("patience=3", "schedule=plateau")
    (problem,) = caught.value.problems
    assert problem.key == "patience"
    assert problem.message == (
        "more than one setting has this name; write schedule.patience or early_stopping.patience"
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("optimizer.learning_rate=1", "'optimizer.lr'"),
        ("learning_rate=1", "'optimizer.lr'"),
        ("learning-rate=1", "'optimizer.lr'"),
        ("optimizer.wd=1", "'optimizer.weight_decay'"),
        ("training.bs=1", "'training.batch_size'"),
        ("optimizer.batchsize=1", "'training.batch_size'"),
        ("num_epochs=1", "'training.epochs'"),
        ("training.max_epochs=1", "'training.epochs'"),
        ("optim=sgd", "'optimizer'"),
        ("optim.lr=1", "'optimizer'"),
        ("optmizer=sgd", "'optimizer'"),
        ("lrr=1", "'optimizer.lr'"),
        ("epochss=1", "'training.epochs'"),
    ],
)
def test_another_name_of_a_setting_is_told_by_the_name_here(word: str, meant: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment(word)
    (problem,) = caught.value.problems
    assert problem.key == word.partition("=")[0]
    assert f"did you mean {meant}?" in problem.message


def test_every_section_with_types_has_one_so_the_word_alone_is_none_of_them() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment("type=sgd")
    (problem,) = caught.value.problems
    assert "write dataset.type or problem.type or model.type or optimizer.type" in problem.message


def test_a_short_name_without_any_like_it_is_no_setting() -> None:
    with pytest.raises(ConfigError) as caught:
        experiment("zzz=1")
    assert str(caught.value) == "command line: zzz: no such setting"


def test_the_settings_of_a_resume_may_have_short_names() -> None:
    (override,) = overrides_of(experiment(), parse_overrides(["lr=0.5"]))
    assert (override.key, override.value) == ("optimizer.lr", 0.5)
    with pytest.raises(ConfigError, match=r"did you mean 'optimizer\.lr'"):
        overrides_of(experiment(), parse_overrides(["learning_rate=0.5"]))


def test_a_key_in_full_stays_as_it_is() -> None:
    assert full_key("optimizer.lr", ["optimizer.lr"]) == "optimizer.lr"
    assert full_key("optimizer.unknown", ["optimizer.lr"]) == "optimizer.unknown"
    assert full_key("lr", ["optimizer.lr", "lr"]) == "lr"
    with pytest.raises(BadInput, match="no such setting"):
        full_key("", ["optimizer.lr"])


def test_other_names_are_only_suggested_where_there_is_such_a_setting() -> None:
    assert suggest_key("learning_rate", ["lr", "loss"]) == " (did you mean 'lr'?)"
    assert suggest_key("learning_rate", ["loss"]) == ""


if __name__ == "__main__":
    SETTINGS_FILE.write_text(expected_settings(), encoding="utf-8")
