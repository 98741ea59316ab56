"""Reads new samples from a user's files, prepared like those that a model was trained on.

Layer: data. Nothing is learned here: means, categories and sizes come from the checkpoint, and the
original data set is not needed. Pictures are read with Pillow, which is imported only then, turned
upright, and converted to the channels, size and value range of the data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.config.sections.datasets import (
    DatasetSection,
    ForecastSection,
    PixelsSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.config.sections.text_datasets import TextFoldersSection
from tui_trainer.data.base.split import Measurable
from tui_trainer.data.base.table_rules import as_in_run
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.data.batches.read_rows import ReadSplit, RowReader, SampleReader
from tui_trainer.data.batches.tensors import Scaling, TensorSplit
from tui_trainer.data.files.columns import RequestedKind, Table
from tui_trainer.data.files.input_rows import InputRows, rows_of_table, rows_without_header
from tui_trainer.data.files.number_forms import FORMS
from tui_trainer.data.files.picture_opener import SUFFIXES, open_picture, with_8_bits
from tui_trainer.data.files.picture_samples import PictureSamples
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import OpenTable, open_table, with_normal_names
from tui_trainer.data.sources.column_inputs import encode_all
from tui_trainer.data.sources.column_kinds import as_kind
from tui_trainer.data.sources.column_marks import kinds_with_marks, with_marks
from tui_trainer.data.sources.forecast import read_new_windows
from tui_trainer.data.sources.new_arrays import form_of_run, read_new_arrays
from tui_trainer.data.sources.pictures import read_unlabelled_pictures, scaling_of
from tui_trainer.data.sources.pixel_file import open_pixels
from tui_trainer.data.sources.pixels import read_unlabelled, scale_pixels
from tui_trainer.data.sources.plugin_data import read_sample
from tui_trainer.data.sources.sequence_rows import read_new_frames
from tui_trainer.data.sources.sequences import encode_frames
from tui_trainer.data.sources.text_folders import read_new_passages
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput

_MOST_NAMED = 5
"""How many missing columns a message names."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """The samples of one file."""

    inputs: torch.Tensor
    """(N, *input_shape), as a model takes them, once the scaling is applied."""
    places: tuple[str, ...]
    """The location of each sample in the file, as `line 7`; empty if the file is one sample."""
    notes: tuple[str, ...] = ()
    lengths: torch.Tensor | None = None
    is_one: bool = False
    """Whether the samples are parts of one whole, which should also get a prediction as a whole."""

    others: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Further fields by name, (N, ...) each."""
    scaling: Scaling | None = None
    """Is applied to inputs that are kept as they are stored."""
    samples: SampleReader | None = None
    """Reads the inputs of a sample when it is needed; then `inputs` has their shape alone."""
    rows: InputRows | None = None
    """The rows of the file as they are written; None if it is no table."""

    def split(self, name: str = "input") -> Measurable:
        """Return the samples as a split with dummy targets; `name` is that of their first field."""
        count = len(self.inputs)
        nothing = torch.zeros(count, dtype=torch.int64)
        rows = torch.arange(count)
        if self.samples is not None and self.scaling is not None:
            shape = tuple(self.inputs.shape[1:])
            # A prediction for each: what cannot be read any more is an error.
            maker = RowReader(self.samples, rows, nothing, shape, skips=False)
            return ReadSplit(maker, rows, LeftOut(count, "sample"), self.scaling)
        return TensorSplit(
            self.inputs,
            nothing,
            rows,
            self.lengths,
            name,
            dict(self.others),
            scaling=self.scaling,
        )


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


def read_columns(
    section: TableSection,
    fitted: dict[str, Any],
    path: str,
    targets: Mapping[str, RequestedKind] | None = None,
    classes: str = "",
) -> tuple[OpenTable, Table]:
    """Read the columns that a model was trained on, and those of its targets.

    The columns may be in any order, with others between them. `classes` is as in `read_table`.

    Raises:
        BadInput: a column is missing, or a cell cannot be read; names the line.
    """
    opened = open_table(section, path, fitted)
    section = with_normal_names(section, opened)
    file, header = opened.file, opened.header
    kinds: dict[str, RequestedKind] = {
        name: "number" if settings["kind"] == "number" else "category"
        for name, settings in fitted.items()
    }
    kinds |= targets or {}
    missing = [name for name in kinds if name not in header]
    if missing:
        noun = "columns" if len(missing) > 1 else "column"
        shown = ", ".join(f"'{clean(name, 80)}'" for name in missing[:_MOST_NAMED])
        others = f" (and {len(missing) - _MOST_NAMED} more)" if len(missing) > _MOST_NAMED else ""
        near = clean(suggest(missing[0], header))
        raise BadInput(
            f"{file.name}:1: no {noun} {shown}{others}{near}; the "
            f"model was trained on: {clean(', '.join(kinds), 400)}"
        )
    forms = {name: FORMS[own["form"]] for name, own in fitted.items() if own.get("form") in FORMS}
    marks = section.missing_values_by_column
    asked = kinds_with_marks(kinds, marks)
    table = read_table(file, header, asked, forms=forms, classes=classes)
    table, notes = with_marks(file, table, kinds, marks, forms)
    columns = dict(table.columns)
    for name, own in fitted.items():
        columns[name] = as_kind(
            own["kind"], name, columns[name], file.name, table.lines, own.get("order")
        )
    return opened, replace(table, columns=columns, notes=(*table.notes, *notes))


def _table(section: TableSection, fitted: dict[str, Any], path: str) -> Unseen:
    opened, table = read_columns(section, fitted, path)
    for name, column in table.columns.items():
        empty = column.missing
        if section.missing != "mean" and empty.any():
            line = int(table.lines[int(empty.argmax())])
            raise BadInput(
                f"{opened.file.name}:{line}: column '{clean(name, 80)}' has no value, but the "
                "model was trained on rows without gaps; fill it in"
            )
    encoded = encode_all(table.columns, fitted, opened.file.name)
    place = opened.file.style.place
    places = tuple(f"{place} {line}" for line in table.lines)
    notes = (*opened.notes, *table.notes, *encoded.notes)
    rows = rows_of_table(opened.file, opened.header)
    return Unseen(encoded.inputs, places, notes, encoded.lengths, others=encoded.others, rows=rows)


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
    "table": _table,
    "huggingface": _table,
    "pixels": _pixels,
    "sequences": _sequences,
    "forecast": _forecast,
    "text_folders": _passages,
}
"""Readers by the `type` of the section they take."""


_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_image(path: str) -> bool:
    """Whether a file is a picture, judging by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_image(
    path: str, shape: tuple[int, ...], max_value: float
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Read a picture as pixels (1, C*H*W) from 0 to `max_value`, and notes on changes made to it.

    Raises:
        BadInput: it cannot be read, is too large, or the data need an unsupported number of
            channels.
    """
    from PIL import Image, ImageOps

    shown = clean(path, 200)
    channels, height, width = shape
    mode = _MODES.get(channels)
    if mode is None:
        raise BadInput(f"{shown}: a picture has 1, 3 or 4 channels, but the data have {channels}")
    notes = []
    with open_picture(path) as picture:
        if getattr(picture, "n_frames", 1) > 1:
            notes.append(f"{shown}: only the first of its pictures is read")
        image = with_8_bits(ImageOps.exif_transpose(picture)).convert(mode)
    if image.size != (width, height):
        original = f"{image.width}x{image.height}"
        notes.append(f"{shown}: scaled from {original} to {width}x{height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32).reshape(height, width, channels)
    flat = values.transpose(2, 0, 1).reshape(1, -1) * (max_value / 255.0)
    return np.ascontiguousarray(flat), tuple(notes)
