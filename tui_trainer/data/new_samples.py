"""Reads new samples from a user's files, prepared like those that a model was trained on.

Layer: data. Nothing is learned: means, categories and sizes come from the checkpoint, and the
original data set is not needed. The source of each type reads its own files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.base.table_rules import as_in_run
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.data.sources.forecast import read_new_windows
from tui_trainer.data.sources.new_arrays import read_new_arrays
from tui_trainer.data.sources.new_pictures import read_new_pictures
from tui_trainer.data.sources.new_plugin_data import read_sample
from tui_trainer.data.sources.new_rows import read_new_rows
from tui_trainer.data.sources.pixels import read_new_pixels
from tui_trainer.data.sources.sequences import read_new_sequences
from tui_trainer.data.sources.text_folders import read_new_passages
from tui_trainer.problems.dataset_info import DatasetInfo

Reader = Callable[[Any, Any, str], Unseen]


def read_unseen(
    section: DatasetSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Unseen:
    """Read the samples of a file and apply the preprocessing of a checkpoint.

    A plugin's data are read by its own function, as samples that `info` describes.

    Raises:
        BadInput: the file cannot be read, or does not hold such samples; names the line.
    """
    if isinstance(section, PicturesSection):
        return read_new_pictures(section, preprocessing, path)
    reader = READERS.get(section.type)
    if reader is None:
        first, *others = read_sample(section, info, path).items()
        fields = {name: value[None] for name, value in others}
        return Unseen(first[1][None], ("",), others=fields)
    return reader(as_in_run(section, preprocessing), preprocessing.get("inputs"), path)


READERS: dict[str, Reader] = {
    "arrays": read_new_arrays,
    "table": read_new_rows,
    "huggingface": read_new_rows,
    "pixels": read_new_pixels,
    "sequences": read_new_sequences,
    "forecast": read_new_windows,
    "text_folders": read_new_passages,
}
"""Readers by the `type` of the section they take."""
