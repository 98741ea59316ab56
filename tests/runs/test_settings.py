"""The settings of a run come from provenance.json, but from config.yaml when that has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.parser import parse_yaml
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.config_file import facts_of_settings, flat, settings_of
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.edits import Edit, record_edit
from tui_trainer.runs.provenance import settings_facts, settings_in, write_provenance

LIBRARY = PresetLibrary([builtin_dir()])
NAMES = [preset.name for preset in LIBRARY.list("experiment")]
KEYS = st.from_regex(r"[a-z_]{1,3}", fullmatch=True)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=3)
DEEP: Any = json.loads("[" * 300 + "]" * 300)


def run_of(folder: Path, name: str = "digits-cnn") -> RunDirectory:
    """A run with the configuration of a preset, and its settings in provenance.json."""
    run = RunDirectory(folder / "one")
    make_skeleton(run)
    run.config.write_text(to_yaml(LIBRARY.experiment(name).to_dict()))
    write_provenance(run.provenance, {"device": "cpu", **facts_of_settings(run)})
    return run


def change_kept(run: RunDirectory, key: str, value: object) -> None:
    facts = json.loads(run.provenance.read_text())
    facts["settings"][key] = value
    run.provenance.write_text(json.dumps(facts))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_is_what_the_strict_reader_says(tmp_path: Path, name: str) -> None:
    run = run_of(tmp_path, name)
    kept = settings_of(run)
    assert kept == flat(LIBRARY.experiment(name).to_dict())
    run.provenance.unlink()
    assert list(settings_of(run).items()) == list(kept.items())


def test_the_kept_settings_are_read_in_place_of_the_yaml(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    change_kept(run, "optimizer.lr", 0.125)
    assert settings_of(run)["optimizer.lr"] == 0.125


def test_an_edit_comes_on_top_of_the_kept_settings(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    record_edit(run.edits, Edit("e1", 5, "optimizer.lr", 0.1, 0.02, "you"))
    assert settings_of(run)["optimizer.lr"] == 0.02


def test_a_config_that_somebody_edited_is_read_itself(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    run.config.write_text(run.config.read_text() + "# mine\n")
    change_kept(run, "optimizer.lr", 0.125)
    assert settings_of(run)["optimizer.lr"] != 0.125
    run.config.write_text("optimizer: {lr: 0.5}\n")
    assert settings_of(run) == {"optimizer.lr": 0.5}


@pytest.mark.parametrize("value", [10**400, DEEP, "a" * 100_000, float("inf"), {"a": DEEP}])
def test_fault_56_kept_settings_out_of_bounds_are_not_believed(
    tmp_path: Path, value: object
) -> None:
    run = run_of(tmp_path)
    right = settings_of(run)
    change_kept(run, "optimizer.lr", value)
    assert settings_of(run) == right


@pytest.mark.parametrize("settings", [None, 3, [], "x", {str(n): n for n in range(2000)}])
def test_fault_56_what_is_no_mapping_of_settings_is_not_believed(
    tmp_path: Path, settings: object
) -> None:
    run = run_of(tmp_path)
    right = settings_of(run)
    facts = json.loads(run.provenance.read_text())
    run.provenance.write_text(json.dumps({**facts, "settings": settings}))
    assert settings_of(run) == right


def test_earlier_starts_do_not_repeat_the_settings(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    write_provenance(run.provenance, {"device": "cuda", **facts_of_settings(run)})
    facts = json.loads(run.provenance.read_text())
    assert facts["earlier"] == [{"device": "cpu"}]
    assert facts["settings"]["optimizer.lr"] == settings_of(run)["optimizer.lr"]


@given(st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=4))
def test_through_json_no_setting_becomes_another(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    composed = parse_yaml(text, "test")
    assume(not composed.problems)
    settings = flat(composed.data)
    facts = json.loads(json.dumps(settings_facts(settings, text.encode())))
    read = settings_in(facts, text.encode())
    assert read is None or repr(read) == repr(settings)
