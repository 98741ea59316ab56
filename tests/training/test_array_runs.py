"""Runs on arrays: resumed exactly, measured and asked about other files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.data.array_files import labels, numbers, write_mnist
from tests.training.harness import Run, at_step, same, small_experiment
from tests.training.test_prediction import predictor
from tui_trainer.runs.commands import Stop
from tui_trainer.text.errors import BadInput
from tui_trainer.training.evaluation import Evaluation, evaluate, evaluate_file

CPU = torch.device("cpu")


def experiment(path: Path, **sections: Any) -> Any:
    dataset = {"type": "arrays", "path": str(path), **sections.pop("dataset", {})}
    return small_experiment(path, dataset=dataset, **sections)


def trained(folder: Path, path: Path, **sections: Any) -> Run:
    run = Run.new(folder / "run", experiment(path, **sections))
    assert run.start().state == "finished"
    return run


def measured(run: Run, path: Path) -> Evaluation:
    return evaluate_file(run.directory, run.experiment, CPU, str(path), "last")


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("step", [2, 5])
def test_a_cut_run_on_mapped_pictures_equals_the_uncut_one(
    tmp_path: Path, workers: int, step: int
) -> None:
    write_mnist(tmp_path / "m", packed=False)
    sections: dict[str, Any] = {
        "dataset": {"shift_pixels": 1.0, "noise": 0.1},
        "loader": {"num_workers": workers},
    }
    uncut = trained(tmp_path, tmp_path / "m", **sections)
    run = Run.new(tmp_path / "cut", experiment(tmp_path / "m", **sections))
    assert run.start(at_step(step, Stop())).state == "stopped"
    assert run.resume().state == "finished"

    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_the_test_arrays_give_the_results_of_the_test(tmp_path: Path) -> None:
    images, classes = write_mnist(tmp_path / "m", packed=True)
    run = trained(tmp_path, tmp_path / "m")
    np.savez(tmp_path / "new.npz", data=images[60:], labels=classes[60:])
    expected = evaluate(run.directory, run.experiment, CPU, "test", "last")

    for path in (tmp_path / "m", tmp_path / "new.npz"):
        found = measured(run, path)
        assert found.metrics == expected.metrics
        assert found.baseline == expected.baseline
        assert found.file is not None
        assert (found.file.count, found.file.known) == ("20 rows", 0)
    assert any("measured on t10k-images" in note for note in measured(run, tmp_path / "m").notes)
    np.savez(tmp_path / "seen.npz", x=images[:60].astype(np.float32), y=classes[:60])
    found = measured(run, tmp_path / "seen.npz")
    assert found.file is not None
    assert found.file.known == len(run.task().dataset.train)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": numbers(9, 6, 7), "y": labels(9)}, r"x: is \(9, 6, 7\) float32.*\(N, 6, 6\)"),
        ({"x": numbers(9, 6, 6), "y": labels(8)}, "9 rows of inputs, but 8 of the target"),
        ({"x": numbers(9, 6, 6), "y": labels(9) + 2}, "classes that the run was not trained on"),
        ({"x": numbers(9, 6, 6) * np.nan, "y": labels(9)}, "is NaN"),
    ],
)
def test_arrays_that_cannot_be_measured_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    write_mnist(tmp_path / "m", packed=False)
    run = trained(tmp_path, tmp_path / "m")
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(BadInput, match=message):
        measured(run, tmp_path / "new.npz")


def test_rows_of_an_array_one_sample_and_a_picture_are_predicted(tmp_path: Path) -> None:
    images, _ = write_mnist(tmp_path / "m", packed=False)
    run = trained(tmp_path, tmp_path / "m")
    np.save(tmp_path / "many.npy", images[60:, :, :, None])
    np.save(tmp_path / "one.npy", images[61])
    Image.fromarray(images[62]).save(tmp_path / "one.png")
    asked = predictor(run)
    many = asked.file(str(tmp_path / "many.npy")).samples

    assert [sample.place for sample in many[:2]] == ["row 0", "row 1"]
    assert len(many) == 20
    for name, row in (("one.npy", 1), ("one.png", 2)):
        (sample,) = asked.file(str(tmp_path / name)).samples
        assert sample.value == many[row].value
        assert sample.shares == pytest.approx(many[row].shares, rel=1e-5)
    idx = asked.file(str(tmp_path / "m" / "t10k-images-idx3-ubyte"))
    assert [sample.shares for sample in idx.samples] == [sample.shares for sample in many]
    np.save(tmp_path / "other.npy", images[:, :5])
    with pytest.raises(BadInput, match=r"no array has the shape \(N, 6, 6\)"):
        asked.file(str(tmp_path / "other.npy"))
    np.savez(tmp_path / "two.npz", a=images, b=images)
    with pytest.raises(BadInput, match="several arrays have the shape"):
        asked.file(str(tmp_path / "two.npz"))


def test_masks_are_learned_measured_and_predicted(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", images=images, masks=(images > 127).astype(np.uint8))
    run = trained(
        tmp_path,
        tmp_path / "a.npz",
        dataset={"target": "masks"},
        model={"type": "unet", "width": 8, "depth": 1},
        loss={"type": "auto"},
        training={"epochs": 25},
    )
    found = measured(run, tmp_path / "a.npz")
    assert found.metrics["accuracy"] > 0.9
    asked = predictor(run)
    assert asked.makes_masks
    np.save(tmp_path / "new.npy", images[:3])
    assert [one.is_mask for one in asked.file(str(tmp_path / "new.npy")).samples] == [True] * 3


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_numbers_are_predicted_in_units_of_the_target(tmp_path: Path, dtype: str) -> None:
    x = numbers(90, 4).astype(dtype) * 50 + 100
    np.savez(tmp_path / "a.npz", x=x, y=x[:, 0] * 3.0)
    run = trained(
        tmp_path,
        tmp_path / "a.npz",
        model={"type": "mlp", "layers": []},
        loss={"type": "auto"},
        training={"epochs": 60},
        optimizer={"type": "adamw", "lr": 0.05},
    )
    found = predictor(run).file(str(tmp_path / "a.npz"))
    values = [sample.value for sample in found.samples]
    assert values == pytest.approx((x[:, 0] * 3).tolist(), abs=10)
    assert f"{tmp_path}/a.npz: the inputs are x" in found.notes
