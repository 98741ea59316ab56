"""The compose screen: what each key does to the draft, and what is shown of it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.events import Resize
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from tests.ui.composing import (
    Host,
    drive,
    drive_in_turn,
    press,
    shown,
    type_text,
    until,
    write_preset,
)
from tests.ui.fakes import FakeServices
from tui_trainer.config.drafts.draft import Draft
from tui_trainer.sessions.loader import Unforeseen
from tui_trainer.text.errors import BadInput, ConfigError, Problem, TrainerError
from tui_trainer.ui.compose.details import Details, DetailsScreen
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.save_preset import SavePreset
from tui_trainer.ui.compose.schedule import ScheduleSketch
from tui_trainer.ui.compose.screen import ComposeScreen
from tui_trainer.ui.compose.style import HEIGHTS, WIDTHS, rows_of_form, size_classes
from tui_trainer.ui.shared.bindings import bindings_of
from tui_trainer.ui.shared.key_line import KeyLine
from tui_trainer.ui.shared.search_bar import SearchBar


def test_tab_goes_through_the_lists_and_f6_round_the_panes(tmp_path: Path) -> None:
    async def tab(app: Host, pilot: Pilot[None]) -> None:
        assert app.focused is app.pane("experiment")
        for kind in ("dataset", "model", "optimizer"):
            await press(pilot, "tab")
            assert app.focused is app.pane(kind)
        await press(pilot, "tab")
        assert app.compose_screen.query_one(Form).has_focus_within

    async def f6(app: Host, pilot: Pilot[None]) -> None:
        app.pane("experiment").focus()
        await press(pilot, "f6", "f6", "f6", "f6")
        assert app.compose_screen.query_one(Form).has_focus_within
        seen = []
        for _ in range(3):
            await press(pilot, "f6")
            seen.append(app.focused.id if app.focused else None)
        assert seen == ["run-name", "start", "experiment"]

    drive_in_turn(tmp_path, tab, f6)


def test_choosing_an_experiment_fills_the_other_lists(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, *"jjjj", "enter")
        draft = app.compose_screen.draft
        assert draft.base == "penguins-mlp"
        assert (draft.preset("dataset"), draft.preset("model")) == ("penguins", "mlp")
        assert app.focused is app.pane("experiment")
        text = shown(app)
        assert "● penguins-mlp" in text
        assert "● mlp" in text

    drive(tmp_path, step)


def test_choosing_a_model_marks_the_experiment_as_modified_until_r(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        assert "unmodified" in shown(app)
        await press(pilot, "f6", "f6", "end", "space")
        last = app.services.library.list("model")[-1].name
        assert app.compose_screen.draft.preset("model") == last
        text = shown(app)
        assert f"modified: model cnn → {last}" in text
        assert "● digits-cnn *" in text
        assert f"tui-trainer train digits-cnn model={last}" in text
        await press(pilot, "r")
        assert app.compose_screen.draft.preset("model") == "cnn"
        assert "unmodified" in shown(app)

    drive(tmp_path, step)


def test_another_experiment_is_taken_at_once_only_when_nothing_is_lost(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        await press(pilot, "j", "enter")
        assert draft.base == "digits-cnn"
        assert (
            "↵ again takes digits-mlp and discards 1 change: optimizer.lr 0.003 → 0.0001"
            in shown(app)
        )
        await press(pilot, "j", "k")
        await press(pilot, "enter")
        assert draft.base == "digits-cnn", "moving takes the warning back"
        await press(pilot, "enter")
        assert draft.base == "digits-mlp"
        assert draft.changes == []

    drive(tmp_path, step, overrides=["optimizer.lr=1e-4"])


def test_another_preset_is_taken_at_once_only_when_no_edit_of_its_kind_is_lost(
    tmp_path: Path,
) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        app.pane("model").focus()
        await press(pilot, "end", "enter")
        assert draft.preset("model") == "cnn"
        text = "↵ again takes unet and discards 1 change: model.dropout 0.3 → 0.5"
        assert text in shown(app)
        await press(pilot, "enter")
        assert draft.preset("model") == "unet"
        assert draft.text("optimizer.lr") == "0.0001"
        await press(pilot, "home", "enter")
        assert draft.preset("model") == "cnn", "no edit of a model is left"

    drive(tmp_path, step, overrides=["model.dropout=0.5", "optimizer.lr=1e-4"])


def test_enter_on_the_chosen_preset_changes_nothing(tmp_path: Path) -> None:
    overrides = ["dataset.val_fraction=0.3", "model.dropout=0.5", "optimizer.lr=1e-4"]

    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        before = draft.command()
        for kind in ("experiment", "dataset", "model", "optimizer"):
            app.pane(kind).focus()
            await pilot.pause()
            await press(pilot, "enter", "enter", "space")
            assert draft.command() == before
            assert f"{draft.preset(kind)} is chosen already; r resets its settings" in shown(app)

    drive(tmp_path, step, overrides=overrides)


def test_r_on_the_experiments_discards_all_changes_when_pressed_twice(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        await press(pilot, "r")
        assert len(draft.changes) == 2
        assert "r again takes digits-cnn and discards 2 changes: model cnn → mlp" in shown(app)
        await press(pilot, "r")
        assert draft.changes == []
        await press(pilot, "r")
        assert "nothing is changed" in shown(app)

    drive(tmp_path, step, overrides=["model=mlp", "optimizer.lr=1e-4"])


def test_what_is_typed_into_a_field_changes_the_draft_and_is_no_command(tmp_path: Path) -> None:
    async def typing(app: Host, pilot: Pilot[None]) -> None:
        form = app.compose_screen.query_one(Form)
        assert form.focus_field("optimizer.lr")
        await press(pilot, "ctrl+a", "ctrl+k", *"1e-4")
        experiment = app.compose_screen.draft.experiment
        assert experiment is not None
        assert experiment.get("optimizer.lr") == 1e-4
        text = shown(app)
        assert "modified: optimizer.lr 0.003 → 1e-4" in text
        assert "optimizer.lr=1e-4" in text
        await press(pilot, "ctrl+r")
        assert "unmodified" in shown(app)

    async def letters(app: Host, pilot: Pilot[None]) -> None:
        form = app.compose_screen.query_one(Form)
        assert form.focus_field("dataset.path")
        await press(pilot, "ctrl+a", "ctrl+k", *"yrdjkq", "slash", "question_mark")
        assert app.compose_screen.draft.text("dataset.path") == "yrdjkq/?"
        assert app.is_in_front
        assert app.clipboard == ""

    drive_in_turn(tmp_path, typing, letters)


@pytest.mark.parametrize("key", ["f5", "ctrl+g"])
def test_start_hands_the_experiment_over_once(tmp_path: Path, key: str) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, key, key)

    app = drive(tmp_path, step, overrides=["training.epochs=3"])
    assert [launch.name for launch in app.launched] == [""]
    assert app.launched[0].experiment.training.epochs == 3


def test_enter_in_the_name_goes_to_the_button_and_enter_there_starts(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.compose_screen.query_one("#run-name", Input).focus()
        await press(pilot, *"my run", "enter")
        assert app.launched == []
        assert app.focused is not None
        assert app.focused.id == "start"
        await press(pilot, "enter")

    app = drive(tmp_path, step)
    assert [launch.name for launch in app.launched] == ["my run"]


def test_start_can_be_clicked(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await pilot.click("#start")
        await pilot.pause()

    assert len(drive(tmp_path, step).launched) == 1


def start_line(app: Host) -> str:
    """The line with the start button, as long as no message is shown over it."""
    return next(line for line in shown(app).splitlines() if "Start  F5" in line)


def can_start(app: Host) -> bool:
    """Whether the start button looks available."""
    label = str(app.compose_screen.query_one("#start", Button).label)
    assert label in ("▶ Start  F5", "✗ Start  F5")
    return label.startswith("▶")


@pytest.mark.parametrize("size", [(80, 24), pytest.param((200, 50), marks=pytest.mark.further)])
def test_a_wrong_setting_is_told_at_start_and_by_its_key_which_goes_there(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        assert start_line(app).rstrip().endswith("▶ Start  F5")
        form = app.compose_screen.query_one(Form)
        assert form.focus_field("optimizer.lr")
        await press(pilot, "ctrl+u", *"fast")
        assert "✗ Start  F5" in start_line(app)
        assert " optimizer.lr: should be a numb" in start_line(app)
        app.pane("experiment").focus()
        await press(pilot, "f5")
        assert form.focused_key == "optimizer.lr"
        assert form.has_focus_within
        problem = "should be a number, above 0, at most 10,000 (got 'fast')"
        assert app.notices() == [f"cannot start: optimizer.lr: {problem}"]
        await press(pilot, "ctrl+u", "1")
        assert can_start(app)

    assert drive(tmp_path, step, size=size).launched == []


def test_start_says_how_many_more_settings_are_wrong(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f5")
        (notice,) = app.notices()
        assert notice.startswith("cannot start: training.seed: ")
        assert notice.endswith(" (and 1 more)")

    drive(tmp_path, step, overrides=["optimizer.lr=fast", "training.seed=x"])


REFUSALS: list[tuple[TrainerError, str, str]] = [
    (
        ConfigError([Problem("cnn takes images, but the data are rows; use mlp", "model.type")]),
        "model.type",
        "cnn takes images, but the data are rows; use mlp",
    ),
    (BadInput("a.csv:3: 2 columns"), "dataset.path", "a.csv:3: 2 columns"),
    (
        BadInput("training.batch_size 64 is more than 5 samples"),
        "training.batch_size",
        "training.batch_size 64 is more than 5 samples",
    ),
    (BadInput("--device cuda: no GPU was found"), "training.device", "no GPU was found"),
]
REFUSALS[1][0].key, REFUSALS[3][0].key = "dataset.path", "training.device"


def test_what_the_data_or_the_machine_refuse_is_told_at_start_and_at_the_field(
    tmp_path: Path,
) -> None:
    services = FakeServices(tmp_path)

    async def refused(
        app: Host, pilot: Pilot[None], refusal: TrainerError, key: str, text: str
    ) -> None:
        await until(pilot, lambda: str(refusal)[:20] in start_line(app))
        assert not can_start(app)
        assert text in app.compose_screen.draft.problem(key)
        # Mended meanwhile: the key still tells what was refused, and has it looked at again.
        services.fake_workbench.failure = None
        await press(pilot, "f5")
        assert app.compose_screen.query_one(Form).focused_key == key
        assert app.notices() == [f"cannot start: {refusal}"]
        await until(pilot, lambda: can_start(app))
        assert app.compose_screen.draft.problem(key) == ""
        assert app.launched == []
        app.clear_notifications()
        await pilot.pause()

    async def step(app: Host, pilot: Pilot[None]) -> None:
        for epochs, refusal in enumerate(REFUSALS, 3):
            services.fake_workbench.failure = refusal[0]
            app.compose_screen.draft.set("training.epochs", str(epochs))
            app.compose_screen.on_form_changed()
            await refused(app, pilot, *refusal)
        await press(pilot, "f5")

    assert len(drive(tmp_path, step, services=services).launched) == 1


def test_a_folder_that_takes_no_runs_is_told_at_start(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    services.fake_workbench.runs_dir_problem = "/r/runs: cannot be written: Permission denied"

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "✗ Start  F5 " in start_line(app))
        assert "/r/runs: cannot be written" in start_line(app)
        await press(pilot, "f5")
        reason = "/r/runs: cannot be written: Permission denied"
        assert app.notices() == [f"cannot start: {reason}"]

    assert drive(tmp_path, step, services=services).launched == []


def test_an_error_that_nobody_foresaw_does_not_keep_it_from_starting(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)
    services.fake_workbench.failure = Unforeseen("KeyError: 'x'; this is a bug")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "this is a bug" in shown(app))
        await press(pilot, "f5")

    assert len(drive(tmp_path, step, services=services).launched) == 1


def test_a_complaint_is_shown_and_nothing_typed_is_lost(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f5")
        app.compose_screen.complain("no such [b]device[/b]\x1b[31m")
        await pilot.pause()
        assert isinstance(app.screen, DetailsScreen)
        assert r"no such [b]device[/b]\x1b[31m" in shown(app)
        await press(pilot, "escape")
        assert "optimizer.lr 0.003 → 0.01" in shown(app)
        await press(pilot, "f5")

    app = drive(tmp_path, step, overrides=["optimizer.lr=0.01"])
    assert len(app.launched) == 2, "it can be started again"


def test_y_copies_the_whole_command_line(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "y")
        assert app.clipboard == app.compose_screen.draft.command()
        await until(pilot, lambda: bool(app.notices()))
        assert any(text.startswith("copied: tui-trainer train") for text in app.notices())

    drive(tmp_path, step, overrides=["model.channels=[1,2,3,4,5,6,7,8]", "training.epochs=3"])


def test_the_command_shown_and_copied_has_the_name_and_the_options_of_the_run(
    tmp_path: Path,
) -> None:
    services = FakeServices(tmp_path)
    services.runs_dir, services.plugins = Path("my runs"), (Path("-mine.py"),)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.compose_screen.query_one("#run-name", Input).focus()
        await press(pilot, "y")
        options = f"--preset-dir {tmp_path} --plugin=-mine.py --runs-dir 'my runs' --name y"
        assert f"$ tui-trainer train digits-cnn {options}" in shown(app)
        await press(pilot, "ctrl+y")
        assert app.clipboard == f"tui-trainer train digits-cnn {options}"

    drive(tmp_path, step, services=services, size=(200, 50))


def test_a_search_in_the_lists_narrows_them_until_escape(tmp_path: Path) -> None:
    async def by_name(app: Host, pilot: Pilot[None]) -> None:
        pane = app.pane("experiment")
        await press(pilot, "slash", "enter")
        assert app.focused is pane
        assert not app.compose_screen.query_one(SearchBar).display
        await press(pilot, "slash", *"mlp")
        count = len(app.presets("experiment", "mlp"))
        assert pane.option_count == count
        await press(pilot, "enter")
        assert app.focused is pane
        assert pane.option_count == count
        await press(pilot, "escape")
        assert pane.option_count == len(app.presets("experiment")) > count
        assert not app.compose_screen.query_one(SearchBar).display

    async def by_description(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f6", "slash")
        await type_text(pilot, "344 penguins")
        pane = app.pane("dataset")
        assert pane.option_count == 1
        assert pane.pointed is not None
        assert pane.pointed.name == "penguins"
        await press(pilot, "escape")

    async def with_and_without_a_match(app: Host, pilot: Pilot[None]) -> None:
        app.pane("experiment").focus()
        await press(pilot, "slash", *"lr", "backspace", "backspace", *"mlp")
        assert app.pane("experiment").option_count == len(app.presets("experiment", "mlp"))
        assert "search in the experiments" in shown(app)
        assert "patience" in shown(app)
        await press(pilot, *"zzz")
        assert "nothing matches" in shown(app)
        assert "patience" in shown(app)

    drive_in_turn(tmp_path, by_name, by_description, with_and_without_a_match)


def test_a_search_in_the_fields_goes_to_the_one_it_finds(tmp_path: Path) -> None:
    async def folded(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "slash")
        await type_text(pilot, "grad clip norm")
        await press(pilot, "enter")
        assert app.compose_screen.query_one(Form).focused_key == "training.grad_clip_norm"
        await until(pilot, lambda: "clip norm" in shown(app))

    async def from_inside_of_one(app: Host, pilot: Pilot[None]) -> None:
        form = app.compose_screen.query_one(Form)
        assert form.focus_field("training.epochs")
        await press(pilot, "f3")
        await type_text(pilot, "weight decay")
        await press(pilot, "enter")
        assert form.focused_key == "optimizer.weight_decay"
        await press(pilot, "escape")
        assert form.focus_field("training.epochs")

    async def what_no_list_has(app: Host, pilot: Pilot[None]) -> None:
        app.pane("experiment").focus()
        form = app.compose_screen.query_one(Form)
        await press(pilot, "f6", "f6", "slash", *"lr")
        assert "no model matches, but these fields do" in shown(app)
        assert "lr " in shown(app)
        assert "patience" not in shown(app)
        await press(pilot, "enter")
        assert form.focused_key == "optimizer.lr"
        assert form.has_focus_within
        assert "patience" in shown(app)
        assert app.pane("model").option_count == len(app.presets("model"))
        assert "no model matches lr: this is the field optimizer.lr" in app.notices()

    drive_in_turn(tmp_path, folded, from_inside_of_one, what_no_list_has)


def test_letters_that_come_at_once_with_the_slash_are_searched_for(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f6")
        for key, character in (("slash", "/"), ("r", "r"), ("d", "d"), ("q", "q"), ("y", "y")):
            app.post_message(events.Key(key, character))
        text = app.compose_screen.query_one(SearchBar).query_one(Input)
        await until(pilot, lambda: text.value == "rdqy")
        assert app.is_in_front
        assert app.clipboard == ""

    drive(tmp_path, step)


def test_letters_that_come_at_once_with_a_key_are_not_for_the_field_left(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f3")
        await type_text(pilot, "weight decay")
        await press(pilot, "enter", "escape")
        before = app.compose_screen.draft.command()
        for key, character in (("f3", None), ("l", "l"), ("r", "r")):
            app.post_message(events.Key(key, character))
        text = app.compose_screen.query_one(SearchBar).query_one(Input)
        await until(pilot, lambda: text.value == "lr")
        await press(pilot, "escape")
        for key, character in (("f6", None), ("j", "j")):
            app.post_message(events.Key(key, character))
        await press(pilot)
        assert app.compose_screen.draft.command() == before

    drive(tmp_path, step)


def test_details_show_preset_changes_command_and_layers(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.summary.survey.preview is not None)
        app.pane("optimizer").focus()
        await press(pilot, "d")
        text = shown(app)
        for part in (
            *("Adam with decoupled weight decay", "lr", "adamw.yaml", "0.003 → 0.01"),
            *("Conv2d", "20,778 parameters", "alice (pid 7, 2.1 GiB)", "optimizer.lr=0.01"),
        ):
            assert part in text, part
        await press(pilot, "escape")
        assert app.is_in_front

    drive(tmp_path, step, size=(120, 60), overrides=["optimizer.lr=0.01"])


def test_details_tell_every_problem_whole(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "d")
        text = shown(app)
        assert "needs attention" in text
        assert "✗ training.device: should be auto, cpu, cuda or cuda:N" in text
        assert "✗ optimizer.lr: should be a number" in text

    drive(tmp_path, step, overrides=["training.device=gpu", "optimizer.lr=x"], size=(80, 40))


def test_a_text_shown_before_the_details_are_mounted_is_there() -> None:
    class Early(App[None]):
        def compose(self) -> ComposeResult:
            details = Details()
            details.show("title", lambda: Content("the first text"))
            yield details

    async def shown() -> str:
        async with Early().run_test() as pilot:
            await pilot.pause()
            return str(pilot.app.query_one(Details).query_one(Static).render())

    assert asyncio.run(shown()) == "the first text"


def test_a_large_terminal_has_the_details_beside_the_lists(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await until(pilot, lambda: app.summary.survey.preview is not None)
        await pilot.pause()
        text = shown(app)
        assert "cnn.yaml" in text or "channels           [64, 128]" in text
        assert "Flatten" in text

    drive(tmp_path, step, size=(120, 40))


def test_what_is_saved_stands_in_the_list_and_is_chosen(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "ctrl+s")
        assert isinstance(app.screen, SavePreset)
        await press(pilot, "ctrl+a", "ctrl+k", *"mine", "enter")
        assert app.is_in_front
        path = tmp_path / "experiments" / "mine.yaml"
        assert path.is_file()
        assert any(f"saved as {path}" in text for text in app.notices())
        assert "● mine" in shown(app)
        experiment = app.compose_screen.draft.experiment
        assert experiment is not None
        assert experiment.get("optimizer.lr") == 0.01

    drive(tmp_path, step, overrides=["optimizer.lr=0.01"])


def test_another_draft_takes_the_place_of_this_one_and_ends_its_search(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.compose_screen.query_one(Form).focus_field("training.epochs")
        await press(pilot, "f3")
        await type_text(pilot, "weight decay")
        await press(pilot, "enter")
        assert "patience" not in shown(app)
        assert "that match; esc shows all: " in shown(app)
        app.compose_screen.take(Draft(app.services.library, "penguins-mlp"))
        await pilot.pause()
        assert "● penguins-mlp" in shown(app)
        assert not app.compose_screen.query_one(SearchBar).display
        assert "patience" in shown(app)

    drive(tmp_path, step)


def test_the_schedule_of_what_cannot_be_measured_has_no_number_of_steps(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        form = app.compose_screen.query_one(ScheduleSketch)
        await until(pilot, lambda: " steps" in str(form.render()))
        app.services.fake_workbench.failure = BadInput("digits.csv: no such file; name another")
        app.compose_screen.draft.set("training.batch_size", "7")
        app.compose_screen.on_form_changed()
        await until(pilot, lambda: "over the run" in str(form.render()))

    drive(tmp_path, step, size=(120, 40))


def test_the_heading_names_the_device_with_its_free_memory(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "cuda:0  61 of 80 GiB free" in shown(app).splitlines()[0])
        app.compose_screen.draft.set("training.device", "cpu")
        app.compose_screen.on_form_changed()
        await until(pilot, lambda: "cpu  20 of 24 GiB free" in shown(app).splitlines()[0])

    drive(tmp_path, step)


SIZES = [(1, 1), (20, 5), (40, 12), (60, 20), (80, 24), (120, 40), (200, 50), (500, 200)]


@pytest.mark.soak
def test_every_size_can_be_worked_in(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        for size in SIZES:
            await pilot.resize_terminal(*size)
            app.compose_screen.take(Draft(app.services.library))
            app.pane("model").focus()
            await press(pilot, "j", "enter", "d", "escape", "slash", "a", "escape")
            await press(pilot, "ctrl+s", "escape", "f5")

    app = drive(tmp_path, step)
    names = [preset.name for preset in app.services.library.list("model")]
    taken = Draft(app.services.library)
    taken.choose("model", names[names.index("cnn") + 1])
    assert taken.experiment is not None
    models = [launch.experiment.model for launch in app.launched]
    assert models == [taken.experiment.model] * len(SIZES)


@pytest.mark.parametrize(
    "size",
    [(1, 1), *(pytest.param(size, marks=pytest.mark.further) for size in ((20, 5), (500, 200)))],
)
def test_it_can_begin_at_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "f5")

    assert len(drive(tmp_path, step, size=size).launched) == 1


def test_it_is_styled_for_its_size_before_it_is_painted(tmp_path: Path) -> None:
    """Otherwise every style would be worked out twice before the whole screen is there."""
    names = {name for _, name in (*WIDTHS, *HEIGHTS)}

    async def step(app: Host, pilot: Pilot[None]) -> None:
        def fits(width: int, height: int) -> bool:
            return app.compose_screen.classes & names == set(size_classes(width, height))

        for size in SIZES[:-1]:
            await pilot.resize_terminal(*size)
            await until(pilot, partial(fits, *size))
            await pilot.pause()
            assert app.compose_screen.query_one(Form).size.height == max(3, rows_of_form(size[1]))
        assert first == [{"-normal", "-medium"}]

    first = []

    class Watched(ComposeScreen):
        def on_mount(self) -> None:
            first.append(self.classes & names)

    class Seen(Host):
        def get_default_screen(self) -> Screen[Any]:
            return Watched(self.services, self.draft)

    drive(tmp_path, step, host=Seen)


def test_a_resize_keeps_focus_and_draft_and_shows_the_newest_details(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await press(pilot, "down")
        layouts: list[object] = []
        app.compose_screen.screen_layout_refresh_signal.subscribe(app, layouts.append)
        await press(pilot, "end", "home")
        assert layouts == [], "details that are hidden cost no layout"
        await press(pilot, "end")
        pointed = app.pane("model").pointed
        assert pointed is not None
        assert pointed.description
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        assert pointed.description[:30] in str(app.compose_screen.query_one(Details)._text.content)
        for size in ((20, 5), (200, 50), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        assert app.focused is app.pane("model")
        assert "● digits-cnn" in shown(app)

    drive(tmp_path, step)


def test_what_a_newcomer_needs_stands_on_the_screen(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.summary.survey.preview is not None)
        for size in ((60, 20), (80, 24), (120, 40)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            text = shown(app)
            for part in ("Model", "digits-cnn", "Start", "F5", "epochs", "tui-trainer train"):
                assert part in text, (size, part)
            assert "20,778 parameters" in text, size

    drive(tmp_path, step)


def test_a_narrow_line_of_keys_keeps_those_that_matter(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        for focus, search, tell, leave in (("#model", *"/?q"), ("#run-name", "F3", "F1", "^q")):
            app.compose_screen.query_one(focus).focus()
            await pilot.pause()
            last = shown(app).splitlines()[-1]
            keys = ("F5 Start", "^s Save", f"{search} Search", f"{tell} Help", f"{leave} Quit")
            for part in keys:
                assert part in last, part
            assert len(last.rstrip()) <= 60

    class Narrow(Host, inherit_bindings=False):
        BINDINGS = bindings_of("app")

    drive(tmp_path, step, size=(60, 20), host=Narrow)


def test_a_click_on_a_key_presses_it(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        last = shown(app).splitlines()[-1]
        await pilot.hover(KeyLine, offset=(last.index("Start"), 0))
        assert app.compose_screen.query_one(KeyLine).tooltip == "Start this experiment"
        await pilot.click(KeyLine, offset=(last.index("Start"), 0))
        await pilot.pause()

    assert len(drive(tmp_path, step).launched) == 1


def test_foreign_text_is_neither_markup_nor_escape(tmp_path: Path) -> None:
    write_preset(
        tmp_path,
        "model",
        "evil",
        'description: "[red]red[/red] [@click=app.quit]q[/] \\e[31m \\u202e [/b"\n'
        "type: mlp\nactivation: relu\n",
    )

    async def step(app: Host, pilot: Pilot[None]) -> None:
        pane = app.pane("model")
        pane.focus()
        await pilot.pause()
        while pane.pointed is None or pane.pointed.name != "evil":
            await press(pilot, "j")
        text = shown(app)
        assert "[red]red[/red] [@click=app.quit]q[/]" in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        await press(pilot, "enter", "d")
        assert "[red]red[/red]" in shown(app)

    drive(tmp_path, step, size=(120, 40))


def test_nothing_is_asked_while_another_screen_is_in_front(tmp_path: Path) -> None:
    services = FakeServices(tmp_path)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.summary.survey.preview is not None)
        asked = len(services.fake_workbench.asked)
        await press(pilot, "d")
        app.compose_screen.draft.set("training.epochs", "7")
        app.compose_screen.on_form_changed()
        await pilot.pause()
        assert not app.summary.survey.is_due
        await press(pilot, "escape")
        await until(pilot, lambda: len(services.fake_workbench.asked) == asked + 1)
        assert services.fake_workbench.asked[-1].training.epochs == 7

    drive(tmp_path, step, services=services)


def test_the_screen_is_painted_even_if_textual_tells_it_no_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted: list[Screen[Any]] = []
    monkeypatch.setitem(ComposeScreen._decorated_handlers, Resize, [])
    monkeypatch.setattr("tui_trainer.ui.compose.screen.LATEST_S", 0.01)

    def paint(screen: Screen[Any]) -> None:
        painted.append(screen)

    monkeypatch.setattr(Screen, "_compositor_refresh", paint)

    async def steps(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.screen in painted)

    drive(tmp_path, steps)


def test_a_letter_right_behind_the_keys_to_a_field_replaces_its_text(tmp_path: Path) -> None:
    async def steps(app: Host, pilot: Pilot[None]) -> None:
        for key, character in [*[("tab", None)] * 4, ("9", "9"), ("5", "5")]:
            app.post_message(events.Key(key, character))
        await until(pilot, lambda: app.compose_screen.draft.text("training.epochs") == "95")

    drive(tmp_path, steps)
