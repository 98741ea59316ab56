"""Errors in the user's own code: file and line of it first, then the exception, never "a bug"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_trainer.cli.main import main
from tui_trainer.config.plugin_loader import DATASET_FACTORIES, LOADED, MODEL_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.sections.models import MODELS

PLUGIN = """
import sys
import torch
from pydantic import field_validator
from torch import nn
from torch.utils.data import get_worker_info
from tui_trainer.plugins import Data, DatasetParams, ModelParams, dataset, model, setting

class Params(DatasetParams):
    fail: str = setting("", "where to fail")

    @field_validator("fail")
    @classmethod
    def look(cls, value):
        return {}[value] if value == "config" else value  # at config

class Points(torch.utils.data.Dataset):
    def __init__(self, fail):
        self.fail = fail

    def __len__(self):
        return 60 if self.fail != "len" else [][1]  # at len

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.fail == "set up":
            raise RuntimeError("no licence")  # at set up

    def path(self, index):
        return f"{index}.png"

    def __getitem__(self, index):
        if self.fail == "sample" or (self.fail == "worker" and get_worker_info()):
            raise ValueError("truncated")  # at sample
        if self.fail == "exit" and get_worker_info():
            sys.exit(3)  # at exit
        return torch.randn(4), index % 2

@dataset("faulty-points", params=Params)
def points(params):
    if params.fail == "function":
        raise OSError("no such share")  # at function
    return Data(Points(params.fail), classes=("a", "b"))

class Settings(ModelParams):
    fail: str = setting("", "where to fail")

class Net(nn.Module):
    def __init__(self, fail, outputs):
        super().__init__()
        self.fail = fail.removeprefix("late ")
        self.calls = 0 if fail.startswith("late ") else 9
        self.layer = nn.Linear(4, outputs + (fail == "outputs"))
        self.narrow = nn.Linear(5, outputs)

    def forward(self, x):  # at outputs
        self.calls += 1
        if self.calls < 5:  # a step is tried first
            return self.layer(x)
        if self.fail == "shapes":
            return self.narrow(x)  # at shapes
        if self.fail == "validation" and not self.training:
            raise ZeroDivisionError("nothing there")  # at validation
        y = self.layer(x).exp()
        if self.fail == "backward":
            y.add_(1)
        if self.fail == "numbers" and x.sum().item() > 1e9:
            return None
        return y

@model("faulty-net", params=Settings)
def net(params, signature):
    if params.fail == "model":
        raise KeyError("weights")  # at model
    return Net(params.fail, signature.outputs)
"""
EXPERIMENT = """
dataset: {type: faulty-points}
model: {type: faulty-net}
optimizer: {type: adamw, lr: 0.01}
schedule: {type: constant}
training: {epochs: 1, batch_size: 8}
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("plugin") / "faulty.py"
    path.write_text(PLUGIN)
    path.with_suffix(".yaml").write_text(EXPERIMENT)
    yield path
    LOADED.pop(str(path), None)
    for registry, factories, name in (
        (DATASETS, DATASET_FACTORIES, "faulty-points"),
        (MODELS, MODEL_FACTORIES, "faulty-net"),
    ):
        registry._specs.pop(name, None)
        factories.pop(name, None)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_TRAINER_RUNS_DIR", str(tmp_path))
    return tmp_path


def line_of(plugin: Path, mark: str) -> str:
    (number,) = (
        number for number, line in enumerate(PLUGIN.split("\n"), 1) if line.endswith(f"# at {mark}")
    )
    return f"{plugin}:{number}: "


def train(plugin: Path, *words: str) -> int:
    experiment = str(plugin.with_suffix(".yaml"))
    return main(["train", experiment, "--plugin", str(plugin), "--no-ui", *words])


TRUNCATED = "ValueError: truncated; sample"
SHAPES = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x4 and 5x2); the inputs are 8x4"


@pytest.mark.parametrize(
    ("words", "mark", "text", "status"),
    [
        (["dataset.fail=function"], "function", "OSError: no such share (in dataset faulty", 2),
        (["dataset.fail=len"], "len", "IndexError: list index out of range (in dataset", 2),
        (["dataset.fail=sample"], "sample", TRUNCATED, 2),
        (["model.fail=model"], "model", "KeyError: 'weights' (in model faulty-net)", 2),
        (["model.fail=outputs"], "outputs", "model faulty-net returns (8, 3) for inputs (8, 4)", 2),
        (["model.fail=shapes"], "shapes", SHAPES, 2),
        (["model.fail=validation"], "validation", "ZeroDivisionError: nothing there; the inp", 2),
        (["model.fail=backward"], "outputs", "RuntimeError: one of the variables needed", 2),
        (["model.fail=late shapes"], "shapes", SHAPES, 1),
        (["model.fail=late validation"], "validation", "ZeroDivisionError: nothing there", 1),
        (["model.fail=late backward"], "outputs", "RuntimeError: one of the variables needed", 1),
    ],
)
def test_fault_49_an_error_in_training_names_the_line_of_the_user(
    plugin: Path,
    runs: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    mark: str,
    text: str,
    status: int,
) -> None:
    assert train(plugin, *words) == status
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tui-trainer: {line_of(plugin, mark)}{text}")
    assert "bug" not in line
    if status == 2:
        assert not list(runs.iterdir()), "what is found before the run leaves none"
    if status == 1:
        (run,) = runs.iterdir()
        back = f"once it is fixed, tui-trainer resume {run.name} --plugin {plugin} continues"
        assert line.endswith(f"; {back}")


@pytest.mark.processes
@pytest.mark.parametrize(
    ("fail", "mark", "text"),
    [
        ("worker", "sample", TRUNCATED),
        ("exit", "exit", "SystemExit: 3; sample"),
        ("set up", "set up", "RuntimeError: no licence; the data set cannot be set up in a worker"),
    ],
)
def test_fault_49_an_error_in_a_worker_is_one_line_and_its_traceback_is_for_debug(
    plugin: Path, runs: Path, capfd: pytest.CaptureFixture[str], fail: str, mark: str, text: str
) -> None:
    words = (f"dataset.fail={fail}", "loader.num_workers=1")
    assert train(plugin, *words) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tui-trainer: {line_of(plugin, mark)}{text}")
    if fail == "worker":
        assert train(plugin, *words, "--debug") == 1
        printed = capfd.readouterr().err
        assert "Traceback (most recent call last)" in printed
        assert 'faulty.py", line' in printed


def test_fault_49_an_error_in_the_settings_of_a_plugin_is_one_of_the_configuration(
    plugin: Path, runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(plugin, "dataset.fail=config") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert f"dataset: {line_of(plugin, 'config')}KeyError: 'config'" in line


def test_fault_49_evaluate_predict_and_a_dry_run_name_the_line_of_the_user(
    plugin: Path, runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(plugin, "--name", "whole") == 0
    (run,) = runs.iterdir()
    config = run / "config.yaml"
    fails = config.read_text().replace("fail: ''", "fail: validation")
    assert "fail: validation" in fails
    config.write_text(fails)
    capfd.readouterr()
    assert main(["evaluate", run.name, "--plugin", str(plugin)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    at = line_of(plugin, "validation")
    assert line.startswith(f"tui-trainer: {at}ZeroDivisionError: nothing there; the inputs are")

    assert train(plugin, "--dry-run", "model.fail=outputs") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tui-trainer: {line_of(plugin, 'outputs')}model faulty-net returns")


def test_a_model_that_needs_numbers_is_previewed_without_its_layers(
    plugin: Path, runs: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert train(plugin, "--dry-run", "model.fail=numbers") == 0
    printed = capfd.readouterr().out
    assert "the layers cannot be listed without data: " in printed
    assert "Tensor.item() cannot be called on meta tensors" in printed
    assert re.search(r"size: [0-9]+ parameters\n", printed)
