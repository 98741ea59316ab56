"""The types of a plugin on the compose screen: in the lists, in the forms, and in the command."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.plugins import loaded
from tests.ui.composing import Host, drive, press, shown, type_text, until, write_preset
from tests.ui.fakes import FakeServices
from tui_trainer.cli.main import main
from tui_trainer.ui.compose.form import Form

PLUGIN = '''
import torch
from torch import nn
from tui_trainer.plugins import Data, dataset, loss, metric, model, recipe, setting, transform

@dataset("clouds", description="two clouds of points")
def clouds(path, count: int = setting(60, "how many points", ge=20)):
    if path.endswith("gone"):
        raise FileNotFoundError("no such clouds")
    label = torch.arange(count) % 2
    points = torch.randn(count, 2) + 3 * label[:, None]
    return Data({"input": points, "target": label}, classes=("left", "right"))

@model("two-layers", description="one hidden layer")
def two_layers(signature, width: int = setting(8, "hidden units", ge=1)):
    return nn.Sequential(nn.Linear(signature.input_shape[0], width), nn.ReLU(),
                         nn.Linear(width, signature.outputs))

@loss("soft", problems=("classification",))
def soft(outputs, target, smoothing: float = setting(0.1, "share that is moved", live=True)):
    """Cross entropy with smoothing."""
    return nn.functional.cross_entropy(outputs, target, label_smoothing=smoothing)

@metric("rights", better="higher", problems=("classification",), percent=True)
def rights(outputs, target):
    """Share that is right."""
    return (outputs.argmax(1) == target).float()

@transform("jitter", description="noise on the inputs")
def jitter(batch, generator, size: float = setting(0.1, "deviation", live=True)):
    noise = torch.randn(batch["input"].shape, generator=generator)
    return {**batch, "input": batch["input"] + size * noise}
'''
RECIPE = """
@recipe("twice", description="the loss, twice")
class Twice:
    weight: float = setting(2.0, "factor", live=True)

    def compute_loss(self, model, batch, step):
        return self.weight * nn.functional.cross_entropy(model(batch["input"]), batch["target"])
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A plugin of several types that is loaded."""
    path = tmp_path / "clouds.py"
    path.write_text(PLUGIN)
    with loaded(path):
        yield path


def services_for(folder: Path, file: Path) -> FakeServices:
    services = FakeServices(folder)
    services.plugins = (file,)
    return services


def experiment_of(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, object]:
    """Run a copied command with --dry-run, and return the configuration that it would train."""
    program, *words = shlex.split(command)
    assert program == "tui-trainer"
    capsys.readouterr()
    assert main([*words, "--dry-run", "--log-format", "json"]) == 0
    config: dict[str, object] = json.loads(capsys.readouterr().out)["config"]
    return config


def test_types_stand_beside_the_presets_and_in_the_forms(
    tmp_path: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[str] = []

    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        assert "two-layers · clouds.py" in shown(app)
        app.pane("model").focus()
        await press(pilot, "slash")
        await type_text(pilot, "clouds.py")
        await press(pilot, "enter")
        assert app.pane("model").option_count == 1
        await press(pilot, "escape", "home", "enter")
        assert draft.own_type("model") == "two-layers"
        assert draft.preset("model") == ""
        assert "● two-layers · clouds.py" in shown(app)
        assert "● cnn" not in shown(app)
        assert "hidden units" not in draft.text("model.width")
        assert draft.text("model.width") == "8"
        await press(pilot, "d")
        assert "one hidden layer" in shown(app)
        assert f"{file}:" in shown(app)
        await press(pilot, "escape")
        form = app.compose_screen.query_one(Form)
        for key, name in (("loss.type", "soft"), ("transform.type", "jitter")):
            assert form.focus_field(key)
            await press(pilot, "enter", "end")
            assert name in shown(app)
            assert "clouds.py" in shown(app).partition(f" {name} ")[2].partition("\n")[0]
            await press(pilot, "enter")
            assert draft.text(key) == name
        assert form.focus_field("checkpoint.monitor")
        await press(pilot, "enter", "end")
        assert "clouds.py: Share that is right." in shown(app)
        await press(pilot, "escape")
        assert form.focus_field("training.metrics")
        await pilot.pause()
        assert "rights (clouds.py)" in shown(app)
        # Another model drops the settings of this one, and asks first.
        draft.set("model.width", "9")
        app.compose_screen._refill()
        app.pane("model").focus()
        await press(pilot, "down", "enter")
        assert "discards 1 change: model.width 8 → 9" in shown(app)
        await press(pilot, "r")
        assert draft.preset("model") == "cnn"
        app.pane("model").focus()
        await press(pilot, "home", "enter")
        commands.append(app.compose_screen._command)

    app = drive(
        tmp_path,
        step,
        size=(200, 50),
        services=services_for(tmp_path, file),
        overrides=["dataset=penguins", "model=mlp", "training.epochs=1"],
    )
    assert app.draft.experiment is not None
    assert f"--plugin {file}" in commands[0]
    assert experiment_of(capsys, *commands) == app.draft.experiment.to_dict()


@pytest.mark.parametrize("recipe", [False, True])
def test_choosing_the_data_makes_a_whole_experiment_which_the_command_repeats(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: bool
) -> None:
    file = tmp_path / "clouds.py"
    file.write_text(PLUGIN + (RECIPE if recipe else ""))
    commands: list[str] = []

    async def step(app: Host, pilot: Pilot[None]) -> None:
        app.pane("dataset").focus()
        await press(pilot, "home")
        assert "enter makes an experiment for it" in shown(app)
        await press(pilot, "enter")
        # It takes the changes that the command line made with it.
        assert "discards 1 change: training.epochs" in shown(app)
        await press(pilot, "enter")
        draft = app.compose_screen.draft
        await until(pilot, lambda: draft.base == "clouds (clouds.py)")
        assert [draft.text(f"{k}.type") for k in ("dataset", "model")] == ["clouds", "two-layers"]
        if recipe:
            assert draft.text("recipe.type") == "twice"
        else:
            assert draft.text("loss.type") == "soft"
            assert draft.text("training.metrics") == "rights"
        assert draft.changes == []
        assert "● clouds" in shown(app)
        await press(pilot, "enter")
        assert "clouds is chosen already" in shown(app)
        draft.set("dataset.count", "80")
        app.compose_screen._refill()
        await press(pilot, "enter")
        assert "r resets its settings" in shown(app)
        commands.append(app.compose_screen._command)

    services = services_for(tmp_path, file)
    with loaded(file):
        app = drive(tmp_path, step, services=services, overrides=["training.epochs=3"])
        assert app.draft.experiment is not None
        words = f"train dataset.count=80 --preset-dir {tmp_path} --plugin {file}"
        assert commands == [f"tui-trainer {words}"]
        assert experiment_of(capsys, *commands) == app.draft.experiment.to_dict()


def test_data_that_cannot_be_read_yet_are_chosen_all_the_same(tmp_path: Path, file: Path) -> None:
    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        draft.choose_type("dataset", "clouds")
        draft.set("dataset.path", "gone")
        app.compose_screen._refill()
        app.pane("dataset").focus()
        await press(pilot, "enter")
        await until(pilot, lambda: any("no such clouds" in notice for notice in app.notices()))
        assert draft.base == "digits-cnn"
        assert draft.own_type("dataset") == "clouds"
        draft.set("dataset.path", "there")
        app.compose_screen._refill()
        await press(pilot, "enter")
        await until(pilot, lambda: draft.base == "clouds (clouds.py)")
        assert draft.text("dataset.path") == "there"
        assert [change.key for change in draft.changes] == ["dataset.path"]

    drive(tmp_path, step, services=services_for(tmp_path, file))


def test_a_preset_wins_over_a_type_of_its_name_with_a_note(tmp_path: Path, file: Path) -> None:
    preset = write_preset(tmp_path, "model", "two-layers", "type: mlp\nlayers: [4]\n")

    async def step(app: Host, pilot: Pilot[None]) -> None:
        draft = app.compose_screen.draft
        assert draft.preset("model") == "two-layers"
        assert draft.experiment is not None
        (note,) = draft.experiment.notes
        assert note == (
            f"model=two-layers is the preset {preset}; "
            f"model.type=two-layers means the type of {file}:14"
        )
        app.pane("model").focus()
        await press(pilot, "home")
        assert "model=two-layers is the preset" in shown(app)
        assert "● two-layers · " not in shown(app)
        await press(pilot, "enter")
        assert "● two-layers · " in shown(app)
        assert draft.experiment is not None
        assert draft.experiment.model.type == "two-layers"
        assert draft.experiment.notes == ()
        assert "model.type=two-layers" in draft.command()

    drive(
        tmp_path,
        step,
        size=(120, 40),
        services=services_for(tmp_path, file),
        overrides=["model=two-layers"],
    )
