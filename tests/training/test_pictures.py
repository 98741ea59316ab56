"""Runs on pictures in files: cut and resumed, measured and used on others."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.training.harness import Run, at_step, same, small_experiment
from tui_trainer.runs.commands import Stop
from tui_trainer.text.errors import BadInput
from tui_trainer.training.evaluation import evaluate, evaluate_file
from tui_trainer.training.prediction import load_predictor

CPU = torch.device("cpu")
COUNT = 40
OLD_S = 60.0


def picture(bright: int, seed: int, side: int = 10) -> Image.Image:
    """Noise that is brighter in one half: the class can be learned."""
    numbers = np.random.default_rng(seed).integers(0, 120, (side, side, 3), dtype=np.uint8)
    numbers[:, bright * side // 2 : (bright + 1) * side // 2] += 100
    return Image.fromarray(numbers)


def write(folder: Path, count: int = COUNT, first: int = 0) -> Path:
    for bright, name in enumerate(("left", "right")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            path = folder / name / f"{number:03}.png"
            picture(bright, first + 1000 * bright + number).save(path)
            os.utime(path, (time.time() - OLD_S,) * 2)
    return folder


def trained(folder: Path, data: Path, stop_at: int | None = None, **sections: Any) -> Run:
    dataset = {
        "type": "pictures",
        "path": str(data),
        "size": 8,
        "crop_padding": 1,
        "rotate_degrees": 5,
    }
    sections = {"training": {"epochs": 2, "batch_size": 10}, **sections}
    run = Run.new(folder, small_experiment(data, dataset=dataset, **sections))
    outcome = run.start(*([] if stop_at is None else [at_step(stop_at, Stop())]))
    assert outcome.state == ("finished" if stop_at is None else "stopped")
    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Run:
    return trained(tmp_path_factory.mktemp("uncut") / "run", data)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5])
def test_a_cut_run_equals_the_uncut_one(step: int, data: Path, uncut: Run, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", data, step)
    assert run.resume().state == "finished"
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_workers_are_not_needed_and_change_nothing(data: Path, uncut: Run, tmp_path: Path) -> None:
    run = trained(tmp_path / "run", data, 3, loader={"num_workers": 2})
    assert any("not used for the training data" in note for note in run.task().dataset.notes)
    assert run.resume().state == "finished"
    assert run.lines() == uncut.lines()


def test_a_file_that_breaks_ends_no_run_and_stays_out(tmp_path: Path) -> None:
    data = write(tmp_path / "data")
    run = trained(tmp_path / "run", data, 2)
    (data / "left" / "003.png").write_bytes(b"broken by now")
    (data / "right" / "new.png").write_bytes((data / "right" / "001.png").read_bytes())
    assert run.resume().state == "finished"
    record = run.task().dataset.split_record
    assert record is not None
    assert len(record.sides) == 2 * COUNT


def test_pictures_of_the_test_folder_give_the_results_of_the_test(tmp_path: Path) -> None:
    data = write(tmp_path / "data" / "train")
    write(tmp_path / "data" / "test", 10, first=5000)
    run = trained(tmp_path / "run", tmp_path / "data")
    expected = evaluate(run.directory, run.experiment, CPU, "test", "last")
    found = evaluate_file(run.directory, run.experiment, CPU, str(data.parent / "test"), "last")
    assert found.metrics == expected.metrics
    assert found.baseline == expected.baseline
    assert found.file is not None
    assert (found.file.count, found.file.known) == ("20 pictures", 0)
    again = evaluate_file(run.directory, run.experiment, CPU, str(data), "last")
    assert again.file is not None
    assert again.file.known == len(run.task().dataset.train)
    with pytest.raises(BadInput, match="a picture has no class; --data takes a folder"):
        evaluate_file(run.directory, run.experiment, CPU, str(data / "left" / "001.png"), "last")


def test_a_picture_and_a_folder_of_pictures_are_predicted(uncut: Run, tmp_path: Path) -> None:
    predictor, _ = load_predictor(uncut.directory, uncut.experiment, CPU, "last")
    new = write(tmp_path / "new", 3, first=9000)
    (new / "left" / "bad.png").write_bytes(b"")
    predictions = predictor.file(str(new))
    places = [sample.place for sample in predictions.samples]
    assert places == [f"{side}/{n:03}.png" for side in ("left", "right") for n in range(3)]
    assert any("1 broken file: left/bad.png (is empty)" in note for note in predictions.notes)
    single = predictor.file(str(new / "left" / "001.png"))
    assert single.samples[0].place == ""
    assert single.samples[0].shares == predictions.samples[1].shares
    rows = predictor.rows(str(new))
    assert rows.header == ("place",)
    assert [cells for cells, _ in rows.rows] == [[place] for place in places]
    with pytest.raises(BadInput, match=r"bad\.png: is empty"):
        predictor.file(str(new / "left" / "bad.png"))
    with pytest.raises(BadInput, match="nowhere"):
        predictor.file(str(new / "nowhere"))
