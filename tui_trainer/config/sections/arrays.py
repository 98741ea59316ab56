"""The section and the spec of data sets of arrays.

Layer: config.
"""

from typing import Literal

from tui_trainer.config.sections.datasets import ImagesSection, Side
from tui_trainer.config.sections.section import Items, Spec, setting

Layout = Literal["auto", "features", "sequences", "pictures", "channels_first", "channels_last"]


class ArraysSection(ImagesSection):
    """Numbers, sequences or pictures in arrays, with an array of what is to be predicted."""

    type: Literal["arrays"]
    path: str = setting(
        ...,
        ".npy, .npz, .safetensors, IDX or CIFAR file, or the folder they are in",
        path=True,
    )
    inputs: str | None = setting(
        None, "the array of the inputs, such as x_train; empty: by its name", min_length=1
    )
    target: str | None = setting(
        None, "the array to predict, such as y_train; empty: by its name", min_length=1
    )
    layout: Layout = setting(
        "auto",
        "what the axes after the first are: features; sequences: steps, channels; pictures, with "
        "their channels first or last; auto: if only one is possible",
    )
    shape: Items[Side] | None = setting(
        None,
        "channels, height, width of pictures that are stored as rows of numbers; empty: none",
        min_length=3,
        max_length=3,
    )


ARRAY_DATASETS = (
    Spec(
        "arrays", "arrays of numbers, sequences or pictures (npy, npz, IDX, CIFAR)", ArraysSection
    ),
)
