"""New samples in a user's files, prepared as those that a model was trained on.

Layer: data. Nothing is learned here: means, categories and sizes are those of the checkpoint, and
the data set itself need not be there.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import (
    DatasetSection,
    PixelsSection,
    SequencesSection,
    TableSection,
    TextFoldersSection,
)
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.files.columns import Wanted, read_table
from tui_trainer.data.files.csv import check_text, other_separator, read_header
from tui_trainer.data.files.disk import open_file
from tui_trainer.data.sources.encoding import encode_column
from tui_trainer.data.sources.pixels import read_unlabelled, scaled
from tui_trainer.data.sources.sequence_rows import read_new_frames
from tui_trainer.data.sources.sequences import encode_frames
from tui_trainer.data.sources.text_folders import read_new_passages
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput


@dataclass(frozen=True, slots=True)
class Unseen:
    """Samples of one file."""

    inputs: torch.Tensor
    """(N, *input_shape), as a model takes them."""
    places: tuple[str, ...]
    """Where each is in its file, as `line 7`; empty when the file is one sample."""
    notes: tuple[str, ...] = ()
    lengths: torch.Tensor | None = None
    is_one: bool = False
    """Whether the samples are parts of one thing, and a word on all of them is wanted too."""

    def split(self) -> TensorSplit:
        """The samples in batches, with targets that mean nothing."""
        count = len(self.inputs)
        nothing = torch.zeros(count, dtype=torch.int64)
        return TensorSplit(self.inputs, nothing, torch.arange(count), self.lengths)


Reader = Callable[[Any, dict[str, Any], str], Unseen]


def read_unseen(section: DatasetSection, preprocessing: dict[str, Any], path: str) -> Unseen:
    """The samples of a file, by the preprocessing of a checkpoint.

    Raises:
        BadInput: the file cannot be read, or is none of such samples; names its line.
    """
    reader = READERS.get(section.type)
    if reader is None:
        raise BadInput(f"files cannot be predicted for a data set of the type {section.type}")
    return reader(section, preprocessing["inputs"], path)


def _table(section: TableSection, fitted: dict[str, Any], path: str) -> Unseen:
    file = open_file(path)
    check_text(file)
    header = read_header(file)
    missing = [name for name in fitted if name not in header]
    if missing:
        name = clean(missing[0], 80)
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        hint = other_separator(header)
        near = f"; {hint}" if hint else clean(suggest(missing[0], header))
        raise BadInput(
            f"{file.name}:1: no column '{name}'{others}{near}; the "
            f"model was trained on: {clean(', '.join(fitted), 400)}"
        )
    wanted: dict[str, Wanted] = {name: settings["kind"] for name, settings in fitted.items()}
    table = read_table(file, header, wanted)
    blocks, notes = [], list(table.notes)
    for name, settings in fitted.items():
        column = table.columns[name]
        empty = column.missing
        if section.missing != "mean" and empty.any():
            line = int(table.lines[int(empty.argmax())])
            raise BadInput(
                f"{file.name}:{line}: column '{clean(name, 80)}' has no value, and the model was "
                "trained on rows without gaps; fill it in"
            )
        block, said = encode_column(name, column, settings)
        blocks.append(block)
        notes += said
    places = tuple(f"line {line}" for line in table.lines)
    return Unseen(torch.from_numpy(np.concatenate(blocks, axis=1)), places, tuple(notes))


def _pixels(section: PixelsSection, fitted: dict[str, Any], path: str) -> Unseen:
    if is_image(path):
        pixels, notes = read_image(path, section.shape, section.max_value)
        places: tuple[str, ...] = ("",)
    else:
        pixels, lines = read_unlabelled(path, section)
        notes, places = (), tuple(f"line {line}" for line in lines)
    return Unseen(scaled(pixels, section, fitted), places, notes)


def _sequences(section: SequencesSection, fitted: dict[str, Any], path: str) -> Unseen:
    frames = read_new_frames(section, tuple(fitted), path)
    encoded = encode_frames(frames, fitted)
    places = tuple(f"sequence {name}" if name else "" for name in frames.ids)
    return Unseen(encoded.inputs, places, (*frames.notes, *encoded.notes), encoded.lengths)


def _passages(section: TextFoldersSection, fitted: dict[str, Any], path: str) -> Unseen:
    tokens, lengths, places = read_new_passages(section, path)
    return Unseen(tokens, tuple(places), (), lengths, is_one=True)


READERS: dict[str, Reader] = {
    "table": _table,
    "pixels": _pixels,
    "sequences": _sequences,
    "text_folders": _passages,
}
"""By the `type` of the section they take."""


# A picture file as the pixels of one sample.
#
# Pillow reads it, and is imported only here; a picture is turned upright, brought to the channels
# and the size of the data, and its values to the data's range.


SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm"})
MOST_PIXELS = 64_000_000
"""A larger picture is refused before it is unpacked."""

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def is_image(path: str) -> bool:
    """Whether a file is a picture by its name."""
    return Path(path).suffix.lower() in SUFFIXES


def read_image(
    path: str, shape: tuple[int, ...], max_value: float
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A picture as pixels (1, C*H*W) from 0 to `max_value`, and what was done to it.

    Raises:
        BadInput: it cannot be read, is too large, or has channels that cannot be had.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    shown = clean(path, 200)
    channels, height, width = shape
    mode = _MODES.get(channels)
    if mode is None:
        raise BadInput(f"{shown}: a picture has 1, 3 or 4 channels, and the data {channels}")
    notes = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    size = f"{opened.width}x{opened.height}"
                    raise BadInput(f"{shown}: {size} pixels, more than {MOST_PIXELS:,}")
                if getattr(opened, "n_frames", 1) > 1:
                    notes.append(f"{shown}: only the first of its pictures is read")
                image = ImageOps.exif_transpose(opened).convert(mode)
    except FileNotFoundError as error:
        raise BadInput(f"{shown}: no such file") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        reason = clean(str(error), 120)
        raise BadInput(f"{shown}: no picture that can be read ({reason})") from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"{shown}: more than {MOST_PIXELS:,} pixels") from error
    if image.size != (width, height):
        was = f"{image.width}x{image.height}"
        notes.append(f"{shown}: scaled from {was} to {width}x{height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(image, dtype=np.float32).reshape(height, width, channels)
    flat = values.transpose(2, 0, 1).reshape(1, -1) * (max_value / 255.0)
    return np.ascontiguousarray(flat), tuple(notes)
