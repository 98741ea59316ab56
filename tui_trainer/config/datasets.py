"""Specs of the data sets: where the rows come from, how they are split and prepared.

Layer: config. `split_seed` is apart from `training.seed`: changing the seed of a training never
moves a row from one split to another.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tui_trainer.config.registry import Registry, Spec
from tui_trainer.config.section import Items, TypedSection, setting

BUILTIN = "builtin:"
"""Prefix of a path that names a file shipped with the package."""

Side = Annotated[int, Field(ge=1, le=65536)]

DATASETS = Registry("dataset")


class DatasetSection(TypedSection):
    """What every data set has: a file, and a split that depends on nothing else."""

    path: str = setting(
        ..., "CSV file, also .gz; builtin:NAME for one that ships with the program", path=True
    )
    split_seed: int = setting(0, "seed of the split, apart from training.seed", ge=0, lt=2**63)
    test_fraction: float = setting(0.2, "share of the rows held out for the test", ge=0.2, le=0.8)
    val_fraction: float = setting(
        0.15, "share of the remaining rows used for validation", gt=0, le=0.5
    )
    stratify: bool = setting(True, "keep the share of each class alike in every split")


class PixelsSection(DatasetSection):
    """Images as rows of a CSV file: the pixels, row by row, then the label."""

    type: Literal["pixels"]
    shape: Items[Side] = setting((1, 8, 8), "channels, height, width", min_length=3, max_length=3)
    max_value: float = setting(255.0, "the largest value of a pixel; inputs become 0..1", gt=0)
    shift_pixels: float = setting(
        0.0, "random shift of training images, at most", unit="pixels", ge=0
    )
    rotate_degrees: float = setting(
        0.0, "random turn of training images, at most", unit="degrees", ge=0, le=180
    )


class TableSection(DatasetSection):
    """A table with a header: numbers and categories in, one class or one number out."""

    type: Literal["table"]
    target: str = setting(..., "the column to predict", min_length=1)
    task: Literal["auto", "classification", "regression"] = setting(
        "auto", "auto: regression where the target is numbers, else classification"
    )
    categorical: Items[str] = setting(
        (), "columns of numbers to be read as categories (text columns always are)"
    )
    drop: Items[str] = setting((), "columns left out")
    missing: Literal["error", "drop", "mean"] = setting(
        "error", "missing values: refuse, drop the row, or fill in the mean (a category: its own)"
    )


DATASETS.add(Spec("pixels", "images as rows of a CSV file, label last", PixelsSection))
DATASETS.add(Spec("table", "a CSV table of numbers and categories", TableSection))
