"""Saving a preset of one's own: where it goes, and what is never replaced by accident."""

from __future__ import annotations

from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from tests.ui.composing import Host, drive, press, shown, write_preset
from tui_trainer.ui.compose.save_preset import SavePreset

THEIRS = "dataset: digits\nmodel: mlp\noptimizer: sgd\nschedule: constant\ntraining: {epochs: 1}\n"


async def type_name(pilot: Pilot[None], name: str) -> None:
    await press(pilot, "ctrl+s")
    assert isinstance(pilot.app.screen, SavePreset)
    pilot.app.screen.query_one(Input).value = name
    await pilot.pause()


def test_the_name_proposed_is_free_and_the_file_is_shown(tmp_path: Path) -> None:
    write_preset(tmp_path, "experiment", "digits-cnn-mine", THEIRS)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "ctrl+s")
        assert app.screen.query_one(Input).value == "digits-cnn-mine-2"
        assert "digits-cnn-mine-2.yaml" in shown(app)
        await press(pilot, "enter")

    drive(tmp_path, step)
    assert (tmp_path / "experiments" / "digits-cnn-mine-2.yaml").is_file()


def test_escape_and_cancel_save_nothing(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await type_name(pilot, "mine")
        await press(pilot, "escape")
        assert app.is_in_front
        await type_name(pilot, "mine")
        await pilot.click("#cancel")
        await pilot.pause()
        assert app.is_in_front

    drive(tmp_path, step)
    assert not (tmp_path / "experiments").exists()


def test_an_unsafe_name_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await type_name(pilot, "")
        for name in ("", "../up", "a/b", "-x", ".hidden", "nul", "a b", "[b]x[/b]"):
            app.screen.query_one(Input).value = name
            await pilot.pause()
            assert app.screen.query_one("#save", Button).disabled, name
            await press(pilot, "enter")
            assert isinstance(app.screen, SavePreset), name

    drive(tmp_path, step)
    assert list(tmp_path.rglob("*.yaml")) == []


def test_an_existing_file_is_replaced_only_by_a_choice_of_its_own(tmp_path: Path) -> None:
    path = write_preset(tmp_path, "experiment", "theirs", THEIRS)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await type_name(pilot, "theirs")
        assert "It already exists" in shown(app)
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, SavePreset)
        assert path.read_text() == THEIRS
        await press(pilot, "tab")
        assert app.focused is app.screen.query_one("#replace", Button)
        await press(pilot, "enter")
        assert app.is_in_front
        assert app.compose_screen.draft.base == "theirs"

    drive(tmp_path, step)
    assert path.read_text() != THEIRS


def test_another_name_takes_the_offer_to_replace_back(tmp_path: Path) -> None:
    write_preset(tmp_path, "experiment", "theirs", THEIRS)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await type_name(pilot, "theirs")
        await press(pilot, "2")
        assert not app.screen.query_one("#replace", Button).display
        assert app.screen.query_one("#save", Button).display

    drive(tmp_path, step)


def test_wrong_settings_are_not_saved_and_the_dialog_says_why(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.compose_screen.draft.set("optimizer.lr", "fast")
        await type_name(pilot, "mine")
        await press(pilot, "enter")
        assert isinstance(app.screen, SavePreset)
        assert "not saved: optimizer.lr" in shown(app)

    drive(tmp_path, step)
    assert list(tmp_path.rglob("*.yaml")) == []


def test_a_folder_that_cannot_be_written_is_an_error_in_the_dialog(tmp_path: Path) -> None:
    (tmp_path / "experiments").write_text("a file where the folder should be")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await type_name(pilot, "mine")
        await press(pilot, "enter")
        assert isinstance(app.screen, SavePreset)
        assert str(app.screen.query_one("#wrong", Static).content)

    drive(tmp_path, step)
