"""What is said of a draft in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.ui.compose.bars import changes_of, prompted

LIBRARY = PresetLibrary([builtin_dir()])


def test_an_untouched_draft_is_as_its_preset_has_it() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    assert changes_of(draft).plain == "Experiment digits-cnn  limits: epochs 40  unmodified"
    assert prompted(draft.command()).plain == "$ tui-trainer train digits-cnn"


def test_what_is_changed_is_in_both_lines() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set("optimizer.lr", "0.125")
    assert changes_of(draft).plain.endswith("  modified: optimizer.lr 0.003 → 0.125")
    assert prompted(draft.command()).plain == "$ tui-trainer train digits-cnn optimizer.lr=0.125"


LIMITS = {
    "training.max_steps": ("700", "max steps 700"),
    "training.max_seconds": ("60", "max seconds 60"),
    "early_stopping.patience": ("5", "patience 5"),
    "early_stopping.threshold": ("0.1", "threshold 0.1"),
    "training.freeze": ("blocks.0, head", "freeze blocks.0, head"),
}


@pytest.mark.parametrize("key", LIMITS)
def test_a_limit_is_told_whether_it_is_typed_or_in_the_preset(tmp_path: Path, key: str) -> None:
    text, told = LIMITS[key]
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set(key, text)
    assert f"epochs 40, {told}  modified: {key}" in changes_of(draft).plain
    draft.save("limited", tmp_path)
    saved = Draft(PresetLibrary([tmp_path, builtin_dir()]), "limited")
    assert changes_of(saved).plain == f"Experiment limited  limits: epochs 40, {told}  unmodified"


def test_limits_of_the_data_are_told_too() -> None:
    line = changes_of(Draft(LIBRARY, "stdlib-gpt")).plain
    assert line == "Experiment stdlib-gpt  limits: max steps 700, val bytes 300000  unmodified"
    assert len(line) <= 78


def test_groups_of_parameters_are_no_limit() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set("optimizer.groups", "{match: head, freeze: true}")
    assert "limits: epochs 40  modified: optimizer.groups" in changes_of(draft).plain


def test_what_is_typed_is_neither_markup_nor_escape() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set("optimizer.lr", "[red]\x1b[31m")
    assert "[red]" in prompted(draft.command()).plain
    assert "\x1b" not in prompted(draft.command()).plain + changes_of(draft).plain
