"""The examples run as their first lines say, and a resume of each equals the uncut run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import LIMIT_S, call, lines

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


# One epoch of each example has so many steps, at this size of a batch.
SIZES = {
    "multilabel": (200, 7),
    "ordinal": (40, 7),
    "two-inputs": (200, 7),
    "segmentation": (32, 7),
    "tags": (64, 7),
    "gan": (200, 7),
    "diffusion": (200, 7),
    "contrastive": (40, 7),
}


@pytest.mark.full
@pytest.mark.parametrize("name", SIZES)
def test_an_example_cut_and_resumed_with_workers_equals_the_whole(
    tmp_path: Path, name: str
) -> None:
    size, steps = SIZES[name]
    plugin = EXAMPLES / f"{name.replace('-', '_')}.py"
    words = ("train", str(EXAMPLES / f"{name}.yaml"), "--plugin", str(plugin), "--no-ui")
    assert f"examples/{name}.yaml --plugin examples/{plugin.name}" in plugin.read_text()
    settings = ("training.epochs=1", "logging.every_steps=1", f"training.batch_size={size}")
    done = call(tmp_path, *words, *settings, "--name", "whole")
    assert done.returncode == 0, done.stderr
    cut = (*settings, "--name", "cut", "training.max_steps=3", "loader.num_workers=2")
    assert call(tmp_path, *words, *cut).returncode == 0
    whole, part = (next((tmp_path / "runs").glob(f"{name}*")) for name in ("whole", "cut"))
    resume = ("resume", part.name, "training.max_steps=null", "--plugin", str(plugin), "--no-ui")
    done = call(tmp_path, *resume)
    assert done.returncode == 0, done.stderr
    losses = [[line["train/loss"] for line in lines(run)] for run in (whole, part)]
    assert losses[0] == losses[1]
    assert len(losses[0]) == steps


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "metric", "least", "settings"),
    [
        ("tags", "accuracy", 0.95, ()),
        ("segmentation", "mean_iou", 0.5, ("training.epochs=8", "model.width=8")),
    ],
)
def test_an_example_learns_more_than_the_majority(
    tmp_path: Path, name: str, metric: str, least: float, settings: tuple[str, ...]
) -> None:
    words = ("train", str(EXAMPLES / f"{name}.yaml"), "--plugin", str(EXAMPLES / f"{name}.py"))
    done = call(tmp_path, *words, *settings, "--name", name, "--log-format", "json")
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["test"][metric] > least
    assert ended["baseline"]["majority_class"][metric] < 0.4


@pytest.mark.full
def test_the_forecast_is_better_than_the_last_value(tmp_path: Path) -> None:
    for name in ("forecast.py", "forecast.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    subprocess.run([sys.executable, "forecast.py"], cwd=tmp_path, check=True, timeout=LIMIT_S)
    words = ("train", str(tmp_path / "forecast.yaml"))
    done = call(tmp_path, *words, "training.epochs=8", "--log-format", "json")
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["test"]["mae"] < ended["baseline"]["last_value"]["mae"]
    done = call(tmp_path, "predict", "last", str(tmp_path / "forecast.csv"), "--json")
    assert done.returncode == 0, done.stderr
    assert "series Borken, after line 2689" in done.stdout


@pytest.mark.full
def test_pets_are_trained_with_workers_and_predicted(tmp_path: Path) -> None:
    for name in ("pets.py", "pets.yaml"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    subprocess.run([sys.executable, "pets.py"], cwd=tmp_path, check=True, timeout=LIMIT_S)
    plugin = ("--plugin", str(tmp_path / "pets.py"))
    words = ("train", str(tmp_path / "pets.yaml"), *plugin, "--log-format", "json")
    done = call(tmp_path, *words, "loader.num_workers=2")
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout.splitlines()[-1])
    assert ended["test"]["mae"] < 1
    assert "within_one" in ended["best"]["metric"]
    files = [str(tmp_path / "pets" / f"{number:03}.json") for number in range(3)]
    done = call(tmp_path, "predict", "last", *files, "--json", *plugin)
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == files
