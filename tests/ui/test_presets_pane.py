"""The lists of presets, and what is said of a preset that is broken or foreign."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual import events
from textual.app import App, ComposeResult
from textual.content import Content
from textual.pilot import Pilot

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
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.yaml.reader import Document
from tui_trainer.text.cells import cut_end, cut_middle
from tui_trainer.ui.compose.catalogue import Catalogue, Entry
from tui_trainer.ui.compose.details import entry_text
from tui_trainer.ui.compose.form import Form
from tui_trainer.ui.compose.preset_list import PresetPane
from tui_trainer.ui.shared.lines import fitted


def entry_of(folder: Path, kind: str, name: str) -> Entry:
    library = PresetLibrary([folder, builtin_dir()])
    return Catalogue(library).entry(library.find(kind, name))


def test_a_list_is_made_without_reading_a_file(tmp_path: Path) -> None:
    path = write_preset(tmp_path, "model", "late", "type: mlp\n")
    catalogue = Catalogue(PresetLibrary([tmp_path]))
    names = [preset.name for preset in catalogue.listed("model")]
    path.write_text("description: written later\ntype: mlp\n")
    assert names == ["late"]
    assert catalogue.entry(catalogue.listed("model")[0]).description == "written later"


def test_a_catalogue_looks_again_when_told_to(tmp_path: Path) -> None:
    catalogue = Catalogue(PresetLibrary([tmp_path]))
    assert catalogue.listed("model") == []
    write_preset(tmp_path, "model", "new", "type: mlp\n")
    assert catalogue.listed("model") == []
    catalogue.forget()
    assert [preset.name for preset in catalogue.listed("model")] == ["new"]


@pytest.mark.parametrize(
    ("kind", "text", "why"),
    [
        ("model", "type: [", "check the brackets"),
        ("model", "type: mpl\n", "did you mean 'mlp'?"),
        ("optimizer", "type: adam\nlr: fast\n", "number"),
        ("experiment", "dataset: nowhere\nmodel: mlp\noptimizer: adam\n", "nowhere"),
    ],
)
def test_a_broken_preset_says_what_is_wrong(tmp_path: Path, kind: str, text: str, why: str) -> None:
    write_preset(tmp_path, kind, "broken", text)
    assert why in entry_of(tmp_path, kind, "broken").wrong


def test_a_broken_preset_is_marked_and_can_be_chosen_once_it_is_mended(tmp_path: Path) -> None:
    path = write_preset(tmp_path, "model", "broken", "type: mpl\n")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        assert "! broken" in shown(app)
        app.pane("model").focus()
        await press(pilot, "home")
        assert "broken cannot be used: " in shown(app)
        await press(pilot, "enter")
        assert app.compose_screen.draft.preset("model") == "cnn"
        assert any(text.startswith("broken cannot be used: ") for text in app.notices())
        path.write_text("description: it is whole again\ntype: mlp\n")
        await press(pilot, "enter")
        assert app.compose_screen.draft.preset("model") == "broken"
        assert "broken: it is whole again" in shown(app)
        assert "! broken" not in shown(app)

    drive(tmp_path, step)


def test_keys_are_answered_while_the_files_of_a_list_are_read(tmp_path: Path) -> None:
    happened: list[str] = []

    class Recorded(PresetLibrary):
        def read(self, path: Path) -> Document:
            # Not at the first file, which is read for the cursor, in two steps.
            if len(happened) == 2:
                app.post_message(events.Key("x", "x"))
            happened.append(path.stem)
            return super().read(path)

    class Listing(App[None]):
        AUTO_FOCUS = None

        def compose(self) -> ComposeResult:
            yield PresetPane(Catalogue(Recorded([tmp_path])), "model")

        def on_key(self) -> None:
            happened.append("a key")

    for number in range(40):
        write_preset(tmp_path, "model", f"mlp-{number:02d}", "type: mlp\n")
    app = Listing()

    async def run() -> None:
        async with app.run_test() as pilot:
            await pilot.pause()

    asyncio.run(run())
    assert happened[-1] == "mlp-39"
    assert happened.index("a key") < len(happened) - 5


def test_a_file_that_no_name_can_mean_is_in_the_list_with_what_is_wrong(tmp_path: Path) -> None:
    names = ("größe.yaml", "mine.yml")
    for name in names:
        write_preset(tmp_path, "model", "x", "type: mlp\n").rename(tmp_path / "models" / name)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await press(pilot, "end")
        for name in reversed(names):
            assert f"! {name}" in shown(app)
            assert f"{name} cannot be used: " in shown(app)
            assert "rename" in shown(app)
            await press(pilot, "enter")
            assert app.compose_screen.draft.preset("model") == "cnn"
            await press(pilot, "k")

    drive(tmp_path, step)


@pytest.mark.parametrize("size", [(80, 24), pytest.param((120, 40), marks=pytest.mark.further)])
def test_a_preset_that_does_not_fit_the_data_is_marked_with_the_reason(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    services = FakeServices(tmp_path)
    services.fake_workbench.unfit = {"model": {"cnn": "takes images", "gpt": "takes texts"}}

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "✗ gpt" in shown(app))
        assert "● cnn ✗" in shown(app)
        assert "  linear " in shown(app)
        pane = app.pane("model")
        prompts = [option.prompt for option in pane.options[:3]]
        styles = [[str(s.style) for s in p.spans] for p in prompts if isinstance(p, Content)]
        assert styles == [["bold"], [], ["dim"]]
        pane.focus()
        await press(pilot, "j", "j")
        assert "✗ gpt does not fit: takes texts" in shown(app)
        assert ("It does not fit the data:" in shown(app)) is (size[0] > 80)
        await press(pilot, "enter")
        assert app.compose_screen.draft.preset("model") == "gpt", "it can be chosen all the same"
        await until(pilot, lambda: "✗ gpt does not fit" in shown(app))
        await press(pilot, "d")
        assert "✗ It does not fit the data:" in shown(app)

    drive(tmp_path, step, services=services, size=size)


@pytest.mark.parametrize("size", [pytest.param((80, 24), marks=pytest.mark.further), (120, 40)])
def test_the_preset_under_the_cursor_is_described_once(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await press(pilot, "j")
        assert "↵ chooses it" in shown(app)
        assert shown(app).count("two blocks of convolutions") == 1

    drive(tmp_path, step, size=size)


def test_a_loss_that_does_not_fit_is_marked_and_marks_go_when_the_data_change(
    tmp_path: Path,
) -> None:
    services = FakeServices(tmp_path)
    services.fake_workbench.unfit = {
        "model": {"gpt": "takes texts"},
        "loss": {"mse": "mse needs a number to predict"},
    }

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: bool(app.summary.survey.misfits))
        assert app.compose_screen.query_one(Form).focus_field("loss.type")
        await press(pilot, "enter")
        assert "✗mse" in shown(app)
        assert "mse needs a number to predict" in shown(app)
        await press(pilot, *["down"] * 4, "enter")
        assert app.compose_screen.draft.text("loss.type") == "mse"
        await until(pilot, lambda: "✗ gpt" in shown(app))
        services.fake_workbench.unfit = {}
        app.pane("dataset").focus()
        await press(pilot, "home", "enter")
        assert "✗ gpt" not in shown(app)

    drive(tmp_path, step, services=services)


def test_a_preset_broken_in_an_editor_is_refused_and_marked(tmp_path: Path) -> None:
    path = write_preset(tmp_path, "model", "whole", "type: mlp\n")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await press(pilot, "end")
        path.write_text("type: mpl\n")
        await press(pilot, "enter")
        assert app.compose_screen.draft.preset("model") == "cnn"
        assert "whole cannot be used: " in shown(app)
        assert "! whole" in shown(app)

    drive(tmp_path, step)


def test_an_experiment_can_be_chosen_once_the_preset_it_names_is_mended(tmp_path: Path) -> None:
    path = write_preset(tmp_path, "dataset", "mine", "type: tabel\n")
    text = "dataset: mine\nmodel: mlp\noptimizer: adam\ntraining: {epochs: 1}\n"
    write_preset(tmp_path, "experiment", "aa", text)

    async def step(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "home", "enter")
        assert app.compose_screen.draft.base == "digits-cnn"
        path.write_text("type: table\npath: x.csv\ntarget: y\n")
        await press(pilot, "enter")
        assert app.compose_screen.draft.base == "aa"

    drive(tmp_path, step)


def test_a_preset_written_meanwhile_is_in_the_list_that_gets_the_focus(tmp_path: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        write_preset(tmp_path, "model", "zz-new", "description: of today\ntype: mlp\n")
        await press(pilot, "tab", "tab", "end")
        assert app.focused is app.pane("model")
        assert "zz-new: of today" in shown(app)

    drive(tmp_path, step)


def test_moving_and_searching_choose_nothing_and_enter_says_when_it_would(tmp_path: Path) -> None:
    async def moved(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "j", "j", "k")
        pane = app.pane("experiment")
        assert pane.pointed is not None
        assert pane.pointed.name == "digits-mlp"
        assert app.compose_screen.draft.base == "digits-cnn"
        assert "digits-mlp: a fully connected network" in shown(app)

    async def nothing_matches(app: Host, pilot: Pilot[None]) -> None:
        await press(pilot, "slash", *"zzz", "enter")
        assert "nothing matches" in shown(app)
        assert f"0 of {len(app.presets('experiment'))}" in shown(app)
        await press(pilot, "enter", "d", "escape")
        assert app.compose_screen.draft.base == "digits-cnn"
        await press(pilot, "escape")
        assert "● digits-cnn" in shown(app)

    async def with_the_focus_alone(app: Host, pilot: Pilot[None]) -> None:
        left, entered = app.pane("dataset"), app.pane("model")
        left.focus()
        await press(pilot, "home")
        assert left.border_subtitle == "↵ chooses it"
        entered.focus()
        await pilot.pause()
        assert left.border_subtitle == ""
        left.focus()
        await pilot.pause()
        assert left.border_subtitle == "↵ chooses it"

    async def at_what_is_chosen(app: Host, pilot: Pilot[None]) -> None:
        pane = app.pane("optimizer")
        assert pane.pointed is not None
        assert pane.pointed.name == "adamw"
        pane.focus()
        await pilot.pause()
        assert pane.border_subtitle == ""
        await press(pilot, "j")
        assert pane.border_subtitle == "↵ chooses it"
        await press(pilot, "enter")
        assert pane.border_subtitle == ""
        assert app.compose_screen.draft.preset("optimizer") == "muon"

    drive_in_turn(tmp_path, moved, nothing_matches, with_the_focus_alone, at_what_is_chosen)


@pytest.mark.further
def test_a_list_of_a_thousand_presets_can_be_searched(tmp_path: Path) -> None:
    for number in range(300):
        write_preset(
            tmp_path, "model", f"net-{number:03}", f"description: no {number}\ntype: mlp\n"
        )

    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("model").focus()
        await press(pilot, "slash")
        await type_text(pilot, "net-29")
        assert app.pane("model").option_count == 10

    drive(tmp_path, step)


def test_details_tell_given_values_from_defaults(tmp_path: Path) -> None:
    lines = entry_text(entry_of(tmp_path, "optimizer", "adamw")).plain.splitlines()
    assert lines[0].startswith("Adam with decoupled")
    values = {line.split()[0]: line for line in lines if line.strip()}
    assert "(default)" not in values["weight_decay"]
    assert "0.05" in values["weight_decay"]
    assert "(default)" in values["eps"]
    assert lines[-1].endswith("adamw.yaml")


def test_details_say_what_a_preset_and_its_kind_have_in_common_once(tmp_path: Path) -> None:
    text = entry_text(entry_of(tmp_path, "optimizer", "radam")).plain
    assert text.count("Adam that needs no warm-up") == 1


def test_details_of_an_experiment_have_a_line_for_each_setting(tmp_path: Path) -> None:
    text = entry_text(entry_of(tmp_path, "experiment", "stdlib-gpt")).plain
    rows = [line.split() for line in text.splitlines()]
    assert ["dataset", "stdlib"] in rows
    assert ["sequence_length", "128"] in rows
    assert ["schedule", "one_cycle"] in rows
    assert ["training"] in rows
    assert ["max_steps", "700"] in rows
    assert "{" not in text


def test_details_of_a_broken_preset_begin_with_what_is_wrong(tmp_path: Path) -> None:
    write_preset(tmp_path, "model", "broken", "description: x\ntype: mpl\n")
    text = entry_text(entry_of(tmp_path, "model", "broken")).plain
    assert text.startswith("It cannot be used:\n")


def test_a_description_is_cleaned_and_a_long_one_is_cut(tmp_path: Path) -> None:
    write_preset(tmp_path, "model", "long", f'description: "\\e[31m{"x" * 5000}"\ntype: mlp\n')
    description = entry_of(tmp_path, "model", "long").description
    assert description.startswith(r"\x1b[31m")
    assert len(description) <= 300


def test_a_heading_keeps_its_right_side_and_cuts_a_name_in_its_middle() -> None:
    left, right = fitted("digits-cnn-1122-2315 · running", "ETA 0:06", 34)
    assert right == "ETA 0:06"
    assert left.startswith("digits-cnn")
    assert "…" in left
    assert left.endswith("running")


@pytest.mark.parametrize("width", range(12))
def test_a_cut_text_is_never_wider_than_its_room(width: int) -> None:
    for text in ("", "a", "digits-cnn", "数字の分類器", "é" * 20):
        for cut in (cut_end(text, width), cut_middle(text, width)):
            assert cell_len(cut) <= width
    assert sum(map(len, fitted("left side", "right side", width))) <= width


def test_the_chosen_preset_is_in_view_in_a_long_list_from_the_first(tmp_path: Path) -> None:
    for number in range(30):
        write_preset(tmp_path, "optimizer", f"aa-{number:02}", "type: sgd\n")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        assert "● adamw" in shown(app)
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert "● adamw" in shown(app)
        app.pane("optimizer").focus()
        await press(pilot, "home", "enter")
        assert app.compose_screen.draft.preset("optimizer") == "aa-00"

    drive(tmp_path, step)
