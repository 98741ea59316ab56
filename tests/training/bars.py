"""Images of bars with a mask, as the data set `test-masks` of a plugin, and an experiment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.plugin_loader import DATASET_FACTORIES
from tui_trainer.config.sections.datasets import DATASETS
from tui_trainer.config.tree import Place, Tree
from tui_trainer.plugins import Data, DatasetParams, dataset, setting
from tui_trainer.problems.batch import IGNORED

CLASSES = ("ground", "wide", "tall")
SIDE = 9


def picture(index: int) -> tuple[Tensor, Tensor]:
    """An image with a wide and a tall bar of the same brightness, and its mask."""
    generator = torch.Generator().manual_seed(index)
    row, column = torch.randint(1, SIDE - 2, (2,), generator=generator).tolist()
    mask = torch.zeros(SIDE, SIDE, dtype=torch.int64)
    mask[row, : SIDE // 2] = 1
    mask[SIDE // 2 :, column] = 2
    image = (mask > 0).float() + 0.2 * torch.randn(SIDE, SIDE, generator=generator)
    mask[0, 0] = IGNORED
    return image[None], mask


class Pictures(torch.utils.data.Dataset[Any]):
    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return picture(index)


class Params(DatasetParams):
    as_columns: bool = setting(False, "whether all samples are in memory")


@contextmanager
def registered() -> Iterator[None]:
    """Keep the data set registered inside the block."""

    @dataset("test-masks", description="bars", params=Params, augment="images")
    def masks(params: Params) -> Data:
        if not params.as_columns:
            return Data(Pictures(), classes=CLASSES)
        images, targets = zip(*map(picture, range(60)), strict=True)
        columns = {"image": torch.stack(images), "target": torch.stack(targets)}
        return Data(columns, classes=CLASSES)

    yield
    DATASETS._specs.pop("test-masks", None)
    DATASET_FACTORIES.pop("test-masks", None)


def experiment(*, as_columns: bool = False, **sections: Any) -> Experiment:
    values: dict[str, Any] = {
        "dataset": {
            "type": "test-masks",
            "as_columns": as_columns,
            "rotate_degrees": 5.0,
            "shift_pixels": 0.5,
        },
        "model": {"type": "unet", "width": 4, "depth": 1},
        "optimizer": {"type": "adamw", "lr": 0.01},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"epochs": 2, "batch_size": 8, "eval_batch_size": 5, "metrics": ["dice"]},
        "logging": {"every_steps": 1, "every_seconds": 1e-6},
        "checkpoint": {"every_steps": 1, "every_seconds": None, "keep_last": 100},
        **sections,
    }
    return resolve(Tree(values, {(): Place("test")}), "small")
