"""`predict` on own data: `read`, `collate`, `decode`, `predict_step`, and pictures with `--out`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.plugins import restored
from tests.training.harness import Run, small_experiment
from tui_trainer.cli.main import main
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.plugins import Data, dataset, model, problem, recipe, setting
from tui_trainer.training.evaluation import evaluate

SECTIONS: dict[str, Any] = {
    "loss": {"type": "auto"},
    "early_stopping": {"patience": None},
    "training": {"grad_accumulation": 1, "batch_size": 8, "epochs": 1},
}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        yield


def read(file: Path) -> Any:
    return np.load(file)


def folder_of_arrays(folder: Path, count: int = 40) -> Path:
    """Small pictures whose class is in the name of their folder."""
    dice = np.random.default_rng(0)
    for index in range(count):
        path = folder / "ab"[index % 2] / f"{index}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, dice.random((1, 4, 6), dtype=np.float32) * 0.1 + 0.8 * (index % 2))
    return folder


def trained(tmp_path: Path, **sections: Any) -> Run:
    values = {**SECTIONS, "dataset": {"type": "arrays-of-mine"}, **sections}
    values["dataset"] = {**values["dataset"], "path": str(folder_of_arrays(tmp_path / "data"))}
    run = Run.new(tmp_path / "runs" / "run", small_experiment(tmp_path, **values))
    assert run.start().state == "finished"
    return run


def predict(tmp_path: Path, *words: str | Path) -> int:
    folder = ("--runs-dir", str(tmp_path / "runs"), "--device", "cpu")
    return main(["predict", "run", *folder, *map(str, words)])


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def arrays() -> None:
    @dataset("arrays-of-mine")
    def arrays_of_mine(path: str = "") -> Data:
        files = sorted(Path(path).glob("*/*.npy"))
        return Data(files, read=read, target=lambda file: file.parent.name)


def test_a_recipe_predicts_pictures_masks_and_texts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays()

    @recipe("brighter")
    class Brighter:
        gives: str = "pictures"

        def compute_loss(self, model: Any, batch: Any, step: Any) -> Tensor:
            return nn.functional.cross_entropy(model(batch["input"]), batch["target"])

        def predict_step(self, model: Any, batch: Any, step: Any) -> Any:
            inputs = batch["input"]
            if self.gives == "pictures":
                return inputs.clamp(0, 1) / 2
            if self.gives == "masks":
                return (inputs[:, 0] > 0.5).long() * 3
            return [f"mean {one.mean():.1f}" for one in inputs]

    run = trained(tmp_path, recipe={"type": "brighter"})
    files = [tmp_path / "data" / "a" / "0.npy", tmp_path / "data" / "b" / "1.npy"]
    out = tmp_path / "out"
    assert predict(tmp_path, *files, "--out", out, "--json") == 0
    assert lines_of(capsys) == [
        {"file": str(file), "place": "", "picture": str(out / f"{file.stem}.png")} for file in files
    ]
    with Image.open(out / "1.png") as picture:
        assert picture.size == (6, 4)
        wanted = np.round(np.load(files[1])[0].clip(0, 1) / 2 * 255)
        assert (np.asarray(picture) == wanted).all()
    assert predict(tmp_path, *files, "--out", tmp_path / "p.csv") == 2
    assert "the predictions are pictures; --out must name a folder" in capsys.readouterr().err
    assert not (tmp_path / "p.csv").exists()

    config = run.directory.config
    config.write_text(config.read_text().replace("gives: pictures", "gives: masks"))
    assert predict(tmp_path, files[1], "--out", out, "--force", "--json") == 0
    assert lines_of(capsys)[0]["shares"] == {"3": 1.0}
    with Image.open(out / "1.png") as mask:
        assert (np.asarray(mask) == 3).all()

    config.write_text(config.read_text().replace("gives: masks", "gives: texts"))
    means = [f"mean {np.load(file).mean():.1f}" for file in files]
    assert predict(tmp_path, *files) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(f"0.npy: {means[0]}")
    assert predict(tmp_path, *files, "--out", tmp_path / "p.csv") == 0
    with (tmp_path / "p.csv").open() as table:
        assert [row["prediction"] for row in csv.DictReader(table)] == means
    assert predict(tmp_path, *files, "--out", tmp_path / "texts") == 2
    assert "the predictions are neither; name a .csv or a .jsonl" in capsys.readouterr().err


def test_a_problem_decodes_and_evaluate_measures_as_the_training_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays()

    @problem("shouted", like="classification")
    class Shouted:
        sign: str = setting("!", "behind each class")

        def decode(self, outputs: Tensor, info: Any) -> Any:
            return [one.value.upper() + self.sign for one in super().decode(outputs, info)]  # type: ignore[misc]

    run = trained(
        tmp_path,
        problem={"type": "shouted", "sign": "?"},
        training={**SECTIONS["training"], "epochs": 8, "metrics": ["balanced_accuracy"]},
    )
    files = [tmp_path / "data" / "a" / "0.npy", tmp_path / "data" / "b" / "1.npy"]
    assert predict(tmp_path, *files, "--json") == 0
    assert [one["prediction"] for one in lines_of(capsys)] == ["A?", "B?"]
    assert predict(tmp_path, *files, "--out", tmp_path / "p.jsonl") == 0
    rows = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [row["prediction"] for row in rows] == ["A?", "B?"]
    measured = evaluate(run.directory, run.experiment, torch.device("cpu"), "val", "last")
    last = [line for line in run.lines() if "val/loss" in line][-1]
    assert measured.metrics == {
        name.removeprefix("val/"): value for name, value in last.items() if name.startswith("val/")
    }
    assert "balanced_accuracy" in measured.metrics


def collated(samples: list[Any]) -> dict[str, Any]:
    """Texts as numbers of their letters, always eight, and how many there are."""
    rows = [[ord(letter) for letter in one["text"]] for one in samples]
    batch = {
        "letters": torch.tensor([(row + [0] * 8)[:8] for row in rows]),
        "letters_lengths": torch.tensor([min(len(row), 8) for row in rows]),
    }
    if "target" in samples[0]:
        batch["target"] = torch.tensor([one["target"] for one in samples])
    return batch


class Counts(nn.Module):
    """Sees how long a text is, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, letters: Tensor, letters_lengths: Tensor) -> Tensor:
        return letters_lengths.to(self.scale)[:, None] * self.scale


def test_what_collate_makes_of_a_sample_without_a_target_is_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_target = [False]

    def collate(samples: list[Any]) -> dict[str, Any]:
        if needs_target[0]:
            return {**collated(samples), "target": [one["target"] for one in samples]}
        return collated(samples)

    @dataset("arrays-of-mine")
    def texts(path: str = "") -> Data:
        return Data(
            [f"{'x' * (n % 8 + 1)}" for n in range(40)],
            read=lambda text: {"text": Path(text).stem},
            target=lambda text: float(len(text)),
            collate=collate,
            vocabulary=256,
        )

    @model("counts")
    def counts(signature: Any) -> nn.Module:
        return Counts()

    trained(
        tmp_path,
        model={"type": "counts"},
        optimizer={"type": "adamw", "lr": 1e-9, "weight_decay": 0.0},
    )
    assert predict(tmp_path, "xyz.txt", "abcdefghij", "--json") == 0
    values = [one["prediction"] for one in lines_of(capsys)]
    assert values == pytest.approx([3.0, 8.0], abs=1e-4), "the lengths are those of collate"
    needs_target[0] = True
    assert predict(tmp_path, "xyz.txt") == 2
    assert "KeyError: 'target'; a sample to be predicted has no target" in capsys.readouterr().err


def test_data_that_read_no_files_are_refused_before_the_plugin_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    @dataset("arrays-of-mine")
    def columns(path: str = "") -> Data:
        return Data({"input": torch.randn(40, 2), "target": torch.randn(40)})

    run = trained(tmp_path)
    facts = {"plugins": [{"path": "/gone/mine.py", "sha256": "0" * 64}]}
    run.directory.provenance.write_text(json.dumps(facts))
    refusal = "dataset arrays-of-mine: no files can be predicted, because its Data has no read="
    assert predict(tmp_path, "x.npy") == 2
    assert refusal in capsys.readouterr().err
    with restored():
        del DATASETS._specs["arrays-of-mine"]
        assert predict(tmp_path, "x.npy") == 2
        errors = capsys.readouterr().err
        assert refusal in errors
        assert "--plugin" not in errors
