"""The picker of data: what the keys do, what is shown, and what it makes of the experiment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.ui.composing import Host, WaitingLoader, drive, press, shown, until
from tests.ui.fakes import FakeServices
from tui_trainer.text.errors import BadInput
from tui_trainer.ui.compose.data_picker import DataPicker, PathInput
from tui_trainer.ui.compose.entry_list import EntryList

ROWS = "width,kind\n" + "".join(f"{n * 7 % 13},{'ab'[n % 2]}\n" for n in range(60))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a folder with a file of rows, and another beside it."""
    place = tmp_path / "here"
    (place / "sub").mkdir(parents=True)
    (place / "rows.csv").write_text(ROWS)
    (place / "sub" / "more.csv").write_text(ROWS)
    monkeypatch.chdir(place)
    return place


async def opened(app: Host, pilot: Pilot[None]) -> DataPicker:
    await press(pilot, "o")
    picker = app.screen
    assert isinstance(picker, DataPicker)
    await until(pilot, lambda: bool(picker.query_one(EntryList).option_count))
    return picker


@pytest.mark.parametrize(
    "size",
    [
        *[(60, 18), (120, 40)],
        *(pytest.param(size, marks=pytest.mark.further) for size in ((80, 24), (200, 50))),
    ],
)
def test_a_file_is_chosen_with_the_keyboard_and_fills_the_experiment(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        picker = await opened(app, pilot)
        await press(pilot, "end")
        await until(pilot, lambda: "60 rows, 2 columns" in shown(app))
        assert "width  kind" in shown(app) or size == (60, 18)
        assert app.services.fake_workbench.proposed == ["rows.csv"]
        assert "--" not in shown(app), "options are for the command line"
        await press(pilot, "enter")
        assert app.screen is not picker
        draft = app.compose_screen.draft
        assert (draft.text("dataset.path"), draft.text("dataset.target")) == (
            os.path.abspath("rows.csv"),
            "kind",
        )
        assert draft.changes == []
        assert draft.experiment is not None
        assert "train ./rows.csv --preset-dir" in draft.command()
        assert any("60 rows, 2 columns" in notice for notice in app.notices())

    drive(tmp_path, step, size=size)


def test_folders_are_opened_and_left_with_the_cursor_where_it_was(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        picker = await opened(app, pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: "more.csv" in shown(app))
        assert picker.query_one(PathInput).value.rstrip("/").endswith("sub")
        await press(pilot, "backspace")
        await until(pilot, lambda: "rows.csv" in shown(app))
        entries = picker.query_one(EntryList)
        assert entries.highlighted == 2
        await press(pilot, "k", "k", "enter")
        await until(pilot, lambda: "here/" in shown(app))
        await press(pilot, "escape")
        assert app.is_in_front
        assert app.compose_screen.draft.base == "digits-cnn"

    drive(tmp_path, step)


def test_a_path_is_typed_and_completed(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        picker = await opened(app, pilot)
        await press(pilot, "slash", *"su", "tab")
        field = picker.query_one(PathInput)
        await until(pilot, lambda: field.value.endswith("sub/"))
        await press(pilot, *"mo", "tab")
        await until(pilot, lambda: field.value.endswith("sub/more.csv"))
        await press(pilot, "enter")
        await until(pilot, lambda: app.is_in_front)
        assert app.compose_screen.draft.text("dataset.path") == os.path.abspath("sub/more.csv")

    drive(tmp_path, step)


def test_the_target_is_named_where_the_last_column_is_none(tmp_path: Path, folder: Path) -> None:
    rows = "".join(f"{n % 7 + n / 100},2024-{n // 28 + 1:02}-{n % 28 + 1:02}\n" for n in range(60))
    (folder / "rows.csv").write_text("width,day\n" + rows)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await press(pilot, "end")
        await until(pilot, lambda: "t goes to its field" in shown(app))
        await press(pilot, "t", *"width", "enter")
        await until(pilot, lambda: "width (numbers from" in shown(app))
        await press(pilot, "enter")
        await until(pilot, lambda: app.is_in_front)
        draft = app.compose_screen.draft
        assert draft.text("dataset.target") == "width"
        assert draft.problems == {}
        assert "train ./rows.csv dataset.target=width" in draft.command()

    drive(tmp_path, step, size=(200, 50))


def test_letters_that_arrive_with_the_key_of_the_field_are_typed(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        picker = await opened(app, pilot)
        for key in ("slash", "s", "u", "b"):
            app.simulate_key(key)
        await until(pilot, lambda: picker.query_one(PathInput).value == "./sub")

    drive(tmp_path, step)


def test_why_a_file_cannot_be_used_is_shown_and_the_picker_stays(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.services.fake_workbench.failure = BadInput("rows.csv:3: a quote\x1b never closes")
        picker = await opened(app, pilot)
        await press(pilot, "end", "enter")
        await until(pilot, lambda: "a quote\\x1b never closes" in shown(app))
        assert app.screen is picker

    drive(tmp_path, step)


def test_an_answer_about_another_file_is_dropped(tmp_path: Path, folder: Path) -> None:
    (folder / "slow.csv").write_text(ROWS)
    services = FakeServices(tmp_path)
    services.loader = loader = WaitingLoader()
    services.trains_here = lambda: "vowels"

    async def step(app: Host, pilot: Pilot[None]) -> None:
        picker = await opened(app, pilot)
        await press(pilot, "end", "enter")
        await until(pilot, lambda: "before that: vowels must end" in shown(app))
        await press(pilot, "up")
        loader.do("inspect")
        await pilot.pause()
        assert app.screen is picker
        assert app.compose_screen.draft.base == "digits-cnn"

    drive(tmp_path, step, services=services)


def test_a_second_answer_about_a_chosen_file_is_dropped(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    services.loader = loader = WaitingLoader()

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await press(pilot, "end", "enter")
        await until(pilot, lambda: "inspect" in loader.waiting)
        # The file was read for the preview as well, and that ends at the same time.
        _, done = asked = loader.waiting["inspect"]
        loader.do("inspect")
        done(asked[0]())
        await pilot.pause()
        assert app.is_in_front
        assert app.compose_screen.draft.text("dataset.path") == os.path.abspath("rows.csv")

    drive(tmp_path, step, services=services)


def test_names_and_cells_are_shown_cleaned_and_chosen_as_they_are(
    tmp_path: Path, folder: Path
) -> None:
    name = "e\x1b[31m\u202e[b]\n.csv"
    (folder / "rows.csv").unlink()
    (folder / name).write_text(ROWS.replace("width", "wi\x1bdth"))

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await press(pilot, "end")
        await until(pilot, lambda: "60 rows" in shown(app))
        assert "e\\x1b[31m\\u202e[b]\\n.csv" in shown(app)
        assert "wi\\x1bdth" in shown(app)
        await press(pilot, "enter")
        await until(pilot, lambda: app.is_in_front)
        assert "\x1b" not in shown(app)
        experiment = app.compose_screen.draft.experiment
        assert experiment is not None
        assert experiment.dataset.path == str(folder / name)

    drive(tmp_path, step)


def test_a_file_with_the_name_of_a_preset_does_not_hide_it(tmp_path: Path, folder: Path) -> None:
    (folder / "rows.csv").rename(folder / "vowels-gru")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await press(pilot, "end", "enter")
        await until(pilot, lambda: app.is_in_front)
        draft = app.compose_screen.draft
        assert draft.text("dataset.path") == str(folder / "vowels-gru")
        assert "train ./vowels-gru --preset-dir" in draft.command()
        draft.choose_experiment("vowels-gru")
        assert draft.text("dataset.path").startswith("builtin:")

    drive(tmp_path, step)


def test_an_empty_or_missing_folder_says_so(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await opened(app, pilot)
        await press(pilot, "slash", *"gone/")
        await until(pilot, lambda: "no such file or directory" in shown(app))
        await press(pilot, "backspace")
        await until(pilot, lambda: "nothing matches" in shown(app))

    drive(tmp_path, step)
