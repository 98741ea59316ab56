"""The four recipes, cut after every step with and without workers, equal the uncut runs.

All of them clip, compute in bf16, keep the mean of the weights, and have a setting edited; those
that return a loss accumulate gradients, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plugins import restored
from tests.training.harness import write_images
from tests.training.test_recipes import EXAMPLES, RECIPES
from tui_trainer.config.overrides import with_value
from tui_trainer.config.plugin_loader import load_plugins
from tui_trainer.config.sections.datasets import DATASETS, DatasetSection
from tui_trainer.plugins import Data, dataset
from tui_trainer.runs.commands import Set
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import read_edits
from tui_trainer.training.exactness import compare_cuts

pytestmark = pytest.mark.soak

COMMON: dict[str, Any] = {
    "training.ema_decay": 0.9,
    "training.grad_clip_norm": 0.1,
    "training.precision": "bf16",
    "training.batch_size": 8,
}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    with restored():
        load_plugins([EXAMPLES / f"{name}.py" for name in ("gan", "diffusion", "contrastive")])
        load_plugins([EXAMPLES / "distillation.py"])
        yield


class Noisy(torch.utils.data.Dataset[Any]):
    """Pictures as `write_images` has them, drawn anew for each epoch."""

    def __len__(self) -> int:
        return 72

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        label = index % 3
        picture = torch.rand(1, 4, 4) * 0.3
        picture[:, label] += 0.6
        return picture, label


def noisy_section() -> DatasetSection:
    @dataset("noisy")
    def noisy() -> Data:
        return Data(Noisy(), classes=("0", "1", "2"))

    spec = DATASETS.find("noisy")
    assert spec is not None
    section = spec.params.model_validate({"type": "noisy"})
    assert isinstance(section, DatasetSection)
    return section


@pytest.mark.parametrize(("workers", "steps"), [(0, 6), (2, 4)])
@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_cut_at_every_step(tmp_path: Path, name: str, workers: int, steps: int) -> None:
    make, key, value = RECIPES[name]
    experiment = make(write_images(tmp_path / "images.csv"), tmp_path)
    if experiment.dataset.type == "pixels":
        # Samples that workers read.
        experiment = replace(experiment, dataset=noisy_section())
    settings = dict(COMMON)
    if name != "gan":
        settings["training.grad_accumulation"] = 2
    for one, setting in settings.items():
        experiment = with_value(experiment, one, setting)
    proof = compare_cuts(
        experiment,
        steps,
        tmp_path,
        edit=Set(key=key, value=value),
        edited_at=2,
        workers=workers,
    )
    assert proof.holds, proof.text
    for run in ("whole", f"cut-{steps - 1}"):
        (made,) = read_edits(RunDirectory(tmp_path / run).edits)
        assert (made.key, made.new) == (key, value)
