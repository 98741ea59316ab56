"""Training on samples whose fields have names, with a model that names what it reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.training.harness import Run, cut_at, same
from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import DATASET_FACTORIES, MODEL_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.sections.models import MODELS
from tui_trainer.config.tree import Place, Tree
from tui_trainer.models.summary import summarize
from tui_trainer.plugins import Data, DatasetParams, ModelParams, dataset, model, setting
from tui_trainer.problems.signature import SampleField, Signature

CLASSES = ("short", "long")


class Captioned(torch.utils.data.Dataset[Any]):
    """Images, noisy words of different lengths, and a number that tells nothing."""

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> dict[str, Any]:
        label = index % 2
        words = torch.randn(2 + 3 * label + index % 3, 2)
        image = torch.full((3, 4, 4), float(label)) + torch.randn(3, 4, 4)
        return {"image": image, "words": words, "noise": torch.randn(1), "target": label}


class Towers(nn.Module):
    """Reads an image and the mean of the words."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Flatten(), nn.Linear(48, 4), nn.Dropout(0.2))
        self.words = nn.Linear(2, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, words: Tensor, image: Tensor, words_mask: Tensor) -> Tensor:
        kept = words * words_mask.unsqueeze(2)
        mean = kept.sum(1) / words_mask.sum(1, keepdim=True)
        logits: Tensor = self.head(torch.relu(self.words(mean) + self.image(image)))
        return logits


class Blind(nn.Module):
    """Reads the words without their lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Linear(2, 2)

    def forward(self, *, words: Tensor) -> Tensor:
        outputs: Tensor = self.words(words).mean(1)
        return outputs


class Params(DatasetParams):
    as_columns: bool = setting(False, "whether all samples are in memory")


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    @dataset("test-captioned", description="images with words", params=Params)
    def captioned(params: Params) -> Data:
        if not params.as_columns:
            return Data(Captioned(), classes=CLASSES)
        label = torch.arange(40) % 2
        images = torch.rand(40, 3, 4, 4) + label.view(-1, 1, 1, 1)
        words = torch.rand(40, 3, 2)
        return Data({"image": images, "words": words, "target": label}, classes=CLASSES)

    @model("test-towers", description="two towers", params=ModelParams)
    def towers(params: ModelParams, signature: Signature) -> nn.Module:
        return Towers()

    @model("test-blind", description="words alone", params=ModelParams)
    def blind(params: ModelParams, signature: Signature) -> nn.Module:
        return Blind()

    yield
    DATASETS._specs.pop("test-captioned", None)
    DATASET_FACTORIES.pop("test-captioned", None)
    for name in ("test-towers", "test-blind"):
        MODELS._specs.pop(name, None)
        MODEL_FACTORIES.pop(name, None)


def experiment(
    model: str = "test-towers", *, as_columns: bool = False, **sections: Any
) -> Experiment:
    values: dict[str, Any] = {
        "dataset": {"type": "test-captioned", "as_columns": as_columns},
        "model": {"type": model},
        "optimizer": {"type": "adamw", "lr": 0.01},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"epochs": 2, "batch_size": 8, "eval_batch_size": 5},
        "logging": {"every_steps": 1, "every_seconds": 1e-6},
        "checkpoint": {"every_steps": 1, "every_seconds": None, "keep_last": 100},
        **sections,
    }
    return resolve(Tree(values, {(): Place("test")}), "small")


@pytest.mark.parametrize(
    "as_columns", [pytest.param(False, marks=pytest.mark.further), True], ids=["samples", "columns"]
)
def test_a_cut_in_the_middle_equals_the_uncut_run(tmp_path: Path, *, as_columns: bool) -> None:
    asked = experiment(as_columns=as_columns)
    whole = Run.new(tmp_path / "whole", asked)
    assert whole.start().state == "finished"
    assert len(whole.lines()) == 8
    cut = Run.new(tmp_path / "cut", asked)
    assert cut_at(cut, (1, 4, 6)).state == "finished"
    assert cut.lines() == whole.lines()
    assert same(cut.final(), whole.final())


def test_workers_make_the_same_batches(tmp_path: Path) -> None:
    runs = []
    for workers in (0, 2):
        asked = experiment(loader={"num_workers": workers})
        runs.append(Run.new(tmp_path / str(workers), asked))
        assert runs[-1].start().state == "finished"
    assert runs[0].lines() == runs[1].lines()


def test_what_the_model_does_not_read_and_padding_it_does_not_see_are_told(tmp_path: Path) -> None:
    def notes(**options: Any) -> str:
        task = Run.new(tmp_path / str(options), experiment(**options)).task()
        return "\n".join(task.dataset.notes)

    assert "the model does not read noise" in notes()
    assert "padding" not in notes()
    blind = notes(model="test-blind")
    assert "the model does not read image, noise" in blind
    assert "the padding of words counts as data: forward has no parameter words_lengths" in blind
    # In columns nothing is padded.
    assert "padding" not in notes(model="test-blind", as_columns=True)


def test_the_layers_are_listed_with_the_shapes_of_all_fields() -> None:
    found = summarize(
        Towers(),
        [SampleField("image", (3, 4, 4), "float32"), SampleField("words", (6, 2), "float32")],
    )
    assert {layer.name: layer.output_shape for layer in found}["words"] == (4,)
