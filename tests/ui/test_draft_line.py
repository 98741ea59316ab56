"""What is said of a draft in a line."""

from __future__ import annotations

from tui_trainer.config.drafts.draft import Draft
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.ui.compose.bars import changes_of, prompted

LIBRARY = PresetLibrary([builtin_dir()])


def test_an_untouched_draft_is_as_its_preset_has_it() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    assert changes_of(draft).plain == "Experiment digits-cnn  unmodified"
    assert prompted(draft.command()).plain == "$ tui-trainer train digits-cnn"


def test_what_is_changed_is_in_both_lines() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set("optimizer.lr", "0.125")
    assert changes_of(draft).plain.startswith("Experiment digits-cnn  modified: optimizer.lr")
    assert prompted(draft.command()).plain == "$ tui-trainer train digits-cnn optimizer.lr=0.125"


def test_what_is_typed_is_neither_markup_nor_escape() -> None:
    draft = Draft(LIBRARY, "digits-cnn")
    draft.set("optimizer.lr", "[red]\x1b[31m")
    assert "[red]" in prompted(draft.command()).plain
    assert "\x1b" not in prompted(draft.command()).plain + changes_of(draft).plain
