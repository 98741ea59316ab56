"""The `pixels` source: images as rows of a CSV file, with their label.

Layer: data. Inputs are divided by `max_value` and then normalised with a single mean and deviation
over all pixels of the training split, not one per pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import PixelsSection
from tui_trainer.data.base.augment import augment_images, check_changes
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.files.cell_values import is_missing, order_classes, to_number, to_numbers
from tui_trainer.data.files.csv import CHUNK_ROWS, LineChunk, read_chunks
from tui_trainer.data.files.disk import DataFile
from tui_trainer.data.files.input_rows import InputRows, rows_of_table, rows_without_header
from tui_trainer.data.files.picture_opener import is_image, read_image
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.pixel_file import open_pixels, shape_of, with_label_last
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.division import Division, rule_for
from tui_trainer.data.splits.row_keys import vector_keys
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_BYTES = {str(number): float(number) for number in range(256)}
_LEAST_STD = 1e-7
"""Below it all pixels are equal, and the rest is rounding."""


@dataclass(frozen=True, slots=True)
class PixelSource:
    """The images of a file; implements `Source`."""

    kind: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "picture"
    section: PixelsSection
    name: str
    sha256: str
    pixels: NDArray[np.float32]
    """(N, pixels), from 0 to `max_value`."""
    target: Target
    rows: NDArray[np.int64]
    division: Division
    notes: tuple[str, ...]

    @property
    def contents(self) -> str:
        return counted(len(self.rows), self.noun)

    @property
    def layout(self) -> dict[str, str]:
        shape = "x".join(map(str, self.section.shape))
        return {"shape": shape, "max_value": f"{self.section.max_value:g}"}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: NDArray[np.int64]) -> dict[str, Any]:
        mean, std = _moments(self.pixels, train, self.section.max_value)
        return {"mean": mean, "std": std}

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        return Encoded(_scaled(self.pixels, self.section, fitted))

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        background = -fitted["mean"] / fitted["std"]
        return augment_images(self.section, background, len(self.target.classes))


def read_pixels(section: PixelsSection, older: Mapping[str, Any] | None = None) -> PixelSource:
    """Read the file of a section; BadInput names the line of what is wrong.

    `older` is the preprocessing of a checkpoint, which says by which rule its rows were split.
    """
    shown = f"dataset.shape [{', '.join(map(str, section.shape))}]"
    check_changes(section, section.shape, shown)
    opened = open_pixels(section)
    file, place = opened.file, opened.label
    assert place is not None, "a file of the settings has labels"
    count = math.prod(section.shape)
    shape = ", ".join(map(str, section.shape))
    end = "at the end" if place == opened.width - 1 else f"in column {place + 1}"
    expectation = (
        f"but dataset.shape [{shape}] needs {count + 1}: {count} pixels and the label {end}"
        f"{_shape_hint(opened.width - 1, count)}"
    )
    blocks: list[NDArray[np.float32]] = []
    labels: list[str] = []
    distinct: dict[str, str] = {}
    reading = read_chunks(
        file, count + 1, expectation, header=opened.has_header, with_progress=True
    )
    for read in reading:
        chunk = LineChunk(read.lines, with_label_last(read.records, place))
        blocks.append(_pixels(file, chunk, section.max_value))
        for line, record in zip(chunk.lines, chunk.records, strict=True):
            label = record[-1].strip()
            if is_missing(label):
                raise BadInput(f"{file.name}:{line}: the label {end} of the row is missing")
            # Keep one string object per class, not one per row.
            labels.append(distinct.setdefault(label, label))
    classes = order_classes(distinct)
    index = {label: position for position, label in enumerate(classes)}
    targets = np.array([index[label] for label in labels], dtype=np.int64)
    pixels = np.concatenate(blocks)
    keys = vector_keys(pixels)
    return PixelSource(
        section,
        file.name,
        file.sha256,
        pixels,
        Target(classes, targets),
        np.arange(len(targets)),
        Division(rule_for(section, older), keys, keys),
        (*opened.notes, *_range_note(float(pixels.max()), section.max_value)),
    )


def _scaled(
    pixels: NDArray[np.float32], section: PixelsSection, fitted: dict[str, Any]
) -> torch.Tensor:
    """Convert pixels (N, pixels) to inputs (N, *shape), with the values that `fit` returned."""
    inputs = torch.from_numpy(pixels) / section.max_value
    inputs.sub_(fitted["mean"]).div_(fitted["std"])
    return inputs.view(-1, *section.shape)


def read_new_pixels(section: PixelsSection, fitted: dict[str, Any], path: str) -> Unseen:
    """Read a picture, or a file of images without their labels.

    Raises:
        BadInput: it cannot be read, or has other pixels than the data; names the line.
    """
    rows = None
    if is_image(path):
        pixels, notes = read_image(path, section.shape, section.max_value)
        places: tuple[str, ...] = ("",)
    else:
        pixels, lines = _read_unlabelled(path, section)
        notes, places = (), tuple(f"line {line}" for line in lines)
        rows = _rows_as_written(section, path, pixels.shape[1])
    return Unseen(_scaled(pixels, section, fitted), places, notes, rows=rows)


def read_pixels_to_measure(
    section: PixelsSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read a file of images with their labels.

    Raises:
        BadInput: it is a picture, or cannot be read; names the line.
    """
    if is_image(path):
        raise BadInput(
            f"{clean(path, 200)}: a picture has no label; --data takes a CSV file of pixels with "
            "a label in each row"
        )
    source = read_pixels(section.model_copy(update={"path": path}))
    return LabelledRows.of(source, preprocessing)


def _rows_as_written(section: PixelsSection, path: str, count: int) -> InputRows:
    opened = open_pixels(section, path)
    if opened.has_header:
        return rows_of_table(opened.file, opened.names)
    names = [f"pixel_{number}" for number in range(1, count + 1)]
    if opened.label is not None:
        names.insert(opened.label, "label")
    return rows_without_header(opened.file, tuple(names))


def _read_unlabelled(path: str, section: PixelsSection) -> tuple[NDArray[np.float32], list[int]]:
    """Read a file of images, with or without labels at the ends of its rows.

    Returns the pixels (N, pixels) and the line of each image.
    """
    opened = open_pixels(section, path)
    file, width, place = opened.file, opened.width, opened.label
    count = math.prod(section.shape)
    shape = ", ".join(map(str, section.shape))
    if width not in (count, count + 1):
        raise BadInput(
            f"{file.name}:1: {width} fields, but images of [{shape}] have {count}, or one more "
            "with the label"
        )
    blocks, lines = [], []
    expectation = f"but the first row has {width}"
    for chunk in read_chunks(file, width, expectation, header=opened.has_header):
        records = chunk.records if place is None else with_label_last(chunk.records, place)
        unlabelled = LineChunk(chunk.lines, [[*record[:count], ""] for record in records])
        blocks.append(_pixels(file, unlabelled, section.max_value))
        lines += chunk.lines
    return np.concatenate(blocks), lines


def _pixels(file: DataFile, chunk: LineChunk, max_value: float) -> NDArray[np.float32]:
    """Return the pixels of a chunk, (rows, pixels); BadInput for a value out of range."""
    numbers, foreign = _numbers(chunk)
    # NaN fails both comparisons and infinity the second, so both are caught here too.
    in_range = (numbers >= 0) & (numbers <= max_value)
    if foreign or not in_range.all():
        position = min([*foreign[:1], *np.flatnonzero(~in_range)[:1].tolist()])
        row, column = divmod(position, len(chunk.records[0]) - 1)
        raise _bad_pixel(file, chunk, position, chunk.records[row][column], max_value)
    return numbers.astype(np.float32).reshape(len(chunk.records), -1)


def _numbers(chunk: LineChunk) -> tuple[NDArray[np.float64], list[int]]:
    """Return the pixels of a chunk as numbers, and the positions of those that are none."""
    count = len(chunk.records) * (len(chunk.records[0]) - 1)
    texts = chain.from_iterable(record[:-1] for record in chunk.records)
    try:
        # Most files have nothing else, and looking it up is three times as fast.
        return np.fromiter(map(_BYTES.__getitem__, texts), np.float64, count), []
    except KeyError:
        return to_numbers([text for record in chunk.records for text in record[:-1]])


def _bad_pixel(
    file: DataFile, chunk: LineChunk, position: int, text: str, max_value: float
) -> BadInput:
    row, column = divmod(position, len(chunk.records[0]) - 1)
    line = chunk.lines[row]
    number = to_number(text)
    if number is None:
        reason = f"is {clean(text, 40)!r}, not a number"
        if line == 1:
            reason += "; if the first row has names: dataset.header=yes"
    elif math.isnan(number):
        reason = "is missing"
    elif number < 0:
        reason = f"is {number:g}, below 0"
    else:
        reason = f"is {number:g}, above dataset.max_value {max_value:g}"
    return BadInput(f"{file.name}:{line}: pixel {column + 1} {reason}")


def _shape_hint(width: int, count: int) -> str:
    """Return the shape that a file of another width may have; empty if there is none."""
    if width == count or (shape := shape_of(width)) is None:
        return ""
    return f"; dataset.shape=[{','.join(map(str, shape))}] is that of {width} pixels"


def _range_note(largest: float, max_value: float) -> tuple[str, ...]:
    if 0 < largest < max_value / 4:
        return (f"the largest pixel is {largest:g}, far below dataset.max_value {max_value:g}",)
    return ()


def _moments(
    pixels: NDArray[np.float32], train: NDArray[np.int64], max_value: float
) -> tuple[float, float]:
    """Return mean and deviation of some rows' scaled pixels; the deviation is 1 if all are equal.

    Works chunk by chunk, so that float64 values of all pixels never exist at once.
    """
    total = squares = 0.0
    for start in range(0, len(train), CHUNK_ROWS):
        block = pixels[train[start : start + CHUNK_ROWS]].astype(np.float64) / max_value
        total += float(block.sum())
        squares += float(np.square(block).sum())
    count = len(train) * pixels.shape[1]
    mean = total / count
    std = math.sqrt(max(squares / count - mean * mean, 0.0))
    return mean, std if std > _LEAST_STD else 1.0
