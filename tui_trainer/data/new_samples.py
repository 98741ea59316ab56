"""Reads new samples from a user's files, prepared like those that a model was trained on.

Layer: data. Nothing is learned here: means, categories and sizes come from the checkpoint, and the
original data set is not needed. Pictures are read with Pillow, which is imported only then, turned
upright, and converted to the channels, size and value range of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.config.sections.datasets import (
    DatasetSection,
    ForecastSection,
    PixelsSection,
    SequencesSection,
)
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.config.sections.text_datasets import TextFoldersSection
from tui_trainer.data.base.table_rules import as_in_run
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.files.input_rows import InputRows, rows_of_table, rows_without_header
from tui_trainer.data.files.picture_opener import is_image, read_image
from tui_trainer.data.files.picture_samples import PictureSamples
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.data.sources.forecast import read_new_windows
from tui_trainer.data.sources.new_arrays import form_of_run, read_new_arrays
from tui_trainer.data.sources.new_rows import read_new_rows
from tui_trainer.data.sources.pictures import read_unlabelled_pictures, scaling_of
from tui_trainer.data.sources.pixel_file import open_pixels
from tui_trainer.data.sources.pixels import read_unlabelled, scale_pixels
from tui_trainer.data.sources.plugin_data import read_sample
from tui_trainer.data.sources.sequence_rows import read_new_frames
from tui_trainer.data.sources.sequences import encode_frames
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
        return _pictures(section, preprocessing, path)
    reader = READERS.get(section.type)
    if reader is None:
        first, *others = read_sample(section, info, path).items()
        fields = {name: value[None] for name, value in others}
        return Unseen(first[1][None], ("",), others=fields)
    return reader(as_in_run(section, preprocessing), preprocessing.get("inputs"), path)


def _pixels(section: PixelsSection, fitted: dict[str, Any], path: str) -> Unseen:
    rows = None
    if is_image(path):
        pixels, notes = read_image(path, section.shape, section.max_value)
        places: tuple[str, ...] = ("",)
    else:
        pixels, lines = read_unlabelled(path, section)
        notes, places = (), tuple(f"line {line}" for line in lines)
        rows = _rows_of_pixels(section, path, pixels.shape[1])
    return Unseen(scale_pixels(pixels, section, fitted), places, notes, rows=rows)


def _pictures(section: PicturesSection, preprocessing: dict[str, Any], path: str) -> Unseen:
    """Read a picture, or all in a folder; of a folder, broken files are left out with a note."""
    files, stored, names, notes = read_unlabelled_pictures(section, preprocessing, path)
    scaling = scaling_of(preprocessing["inputs"])
    samples = PictureSamples.of(files, stored) if stored.place == "training" else None
    return Unseen(stored.pictures, names, tuple(notes), scaling=scaling, samples=samples)


def _rows_of_pixels(section: PixelsSection, path: str, count: int) -> InputRows:
    opened = open_pixels(section, path)
    if opened.has_header:
        return rows_of_table(opened.file, opened.names)
    names = [f"pixel_{number}" for number in range(1, count + 1)]
    if opened.label is not None:
        names.insert(opened.label, "label")
    return rows_without_header(opened.file, tuple(names))


def _sequences(section: SequencesSection, fitted: dict[str, Any], path: str) -> Unseen:
    frames = read_new_frames(section, tuple(fitted), path)
    encoded = encode_frames(frames, fitted)
    places = tuple(f"sequence {name}" if name else "" for name in frames.ids)
    notes = (*frames.notes, *encoded.notes)
    rows = rows_of_table(frames.file, frames.header, frames.members)
    return Unseen(encoded.inputs, places, notes, encoded.lengths, rows=rows)


def _forecast(section: ForecastSection, fitted: dict[str, Any], path: str) -> Unseen:
    encoded, places = read_new_windows(section, fitted, path)
    return Unseen(encoded.inputs, places, tuple(encoded.notes))


def _passages(section: TextFoldersSection, fitted: dict[str, Any], path: str) -> Unseen:
    encoded, places = read_new_passages(section, fitted or {}, path)
    notes = tuple(encoded.notes)
    return Unseen(encoded.inputs, tuple(places), notes, encoded.lengths, is_one=True)


def _arrays(section: ArraysSection, fitted: dict[str, Any], path: str) -> Unseen:
    form = form_of_run(fitted)
    if is_image(path) and form.kind == "image":
        pixels, notes = read_image(path, form.shape, 1.0)
        black, white = fitted["black"], fitted["white"]
        inputs = torch.from_numpy(pixels).view(1, *form.shape) * (white - black) + black
        return Unseen(inputs, ("",), notes, scaling=Scaling(fitted["mean"], fitted["std"]))
    encoded, count = read_new_arrays(section, fitted, path)
    places = tuple(f"row {row}" for row in range(count))
    notes = tuple(encoded.notes)
    return Unseen(encoded.inputs, places, notes, encoded.lengths, scaling=encoded.scaling)


READERS: dict[str, Reader] = {
    "arrays": _arrays,
    "table": read_new_rows,
    "huggingface": read_new_rows,
    "pixels": _pixels,
    "sequences": _sequences,
    "forecast": _forecast,
    "text_folders": _passages,
}
"""Readers by the `type` of the section they take."""
