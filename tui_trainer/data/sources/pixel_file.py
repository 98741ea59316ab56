"""The layout of a CSV file of pixels: its separator, its header, and the column of the label.

Layer: data. A header has names where all other rows have numbers. The label is the column with such
a name, or the last one; `recognise_pixels` looks at the first rows, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tui_trainer.config.sections.datasets import SEPARATORS, PixelsSection
from tui_trainer.data.files.cell_values import to_number, to_numbers
from tui_trainer.data.files.csv import check_text, no_column, read_header
from tui_trainer.data.files.delimited import first_rows, recognise_separator
from tui_trainer.data.files.disk import DataFile, open_beginning, open_file
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem

LABELS = ("label", "labels", "class", "target", "y", "digit", "emotion")
_PIXEL = re.compile(r"(?:pixels?|pix|px|p)?[ _-]?\d+(?:x\d+)?")
"""The names that columns of pixels have, in lower case."""
_LEAST_PIXELS = 64
_WHITES = (1, 15, 16, 255, 65535)
"""The largest values that pixels usually have."""
_COLOURS = 3


@dataclass(frozen=True, slots=True)
class PixelFile:
    """A file of pixels whose first row was read."""

    file: DataFile
    """With its style."""
    names: tuple[str, ...]
    """Of the columns, if there is a header."""
    width: int
    """The number of columns."""
    label: int | None
    """The column of the label, from 0; None if there is none."""
    notes: tuple[str, ...]

    @property
    def has_header(self) -> bool:
        return self.file.style.has_header


def open_pixels(section: PixelsSection, path: str | None = None) -> PixelFile:
    """Open the file of a section, or another one, which may have no labels.

    Raises:
        BadInput: it is no text.
        ConfigError: there is no column of the name of `dataset.label`.
    """
    file = open_file(section.path if path is None else path)
    check_text(file)
    return _opened(section, file, may_lack_label=path is not None)


def _opened(section: PixelsSection, file: DataFile, *, may_lack_label: bool) -> PixelFile:
    separator = SEPARATORS.get(section.separator) or recognise_separator(
        file, section.is_of_earlier_run
    )
    file = replace(file, style=replace(file.style, separator=separator))
    first = read_header(file)
    has_header = section.header == "yes" or (section.header == "auto" and _are_names(first))
    file = replace(file, style=replace(file.style, has_header=has_header))
    names = tuple(first) if has_header else ()
    count = math.prod(section.shape)
    is_labelled = not may_lack_label or len(first) == count + 1
    label, said = _label(section, file, names, len(first)) if is_labelled else (None, "")
    notes = []
    if separator != "," and section.separator == "auto":
        word = next(word for word, sign in SEPARATORS.items() if sign == separator)
        notes.append(f"the separator is a {word}")
    if has_header and section.header == "auto":
        shown = clean(", ".join(first[:3]), 60)
        notes.append(
            f"the first row has names ({shown}, ...), so it is the header; dataset.header=no takes "
            "it for pixels"
        )
    notes += [said] if said else []
    return PixelFile(file, names, len(first), label, tuple(notes))


def _are_names(first: Sequence[str]) -> bool:
    """Whether a first row has names: texts, or numbers that count and the name of a label."""
    texts = [field for field in first if to_number(field) is None]
    if len(first) > 1 and len(texts) >= len(first) - 1:
        return True
    numbers = [field for field in first if field not in texts]
    counted = [[str(number + begin) for number in range(len(numbers))] for begin in (0, 1)]
    return len(texts) == 1 and texts[0].lower() in LABELS and numbers in counted


def _label(
    section: PixelsSection, file: DataFile, names: Sequence[str], width: int
) -> tuple[int, str]:
    """Return the column of the label, and a note if its name tells it."""
    if section.label == "first":
        return 0, ""
    if section.label == "last":
        return width - 1, ""
    if section.label != "auto":
        if section.label not in names:
            message = no_column(section.label, file, names)
            if not names:
                message = f"{file.name} has no header; the label can be first or last"
            raise ConfigError([Problem(message, "dataset.label")])
        return names.index(section.label), ""
    known = [place for place, name in enumerate(names) if name.lower() in LABELS]
    if len(known) == 1 and known[0] != width - 1:
        shown = clean(names[known[0]], 80)
        return known[
            0
        ], f"the label is the column {shown}, by its name; dataset.label names another"
    return width - 1, ""


def with_label_last(records: list[list[str]], label: int) -> list[list[str]]:
    """Return records with the label, in this column, behind the pixels."""
    if not records or label == len(records[0]) - 1:
        return records
    return [[*record[:label], *record[label + 1 :], record[label]] for record in records]


def recognise_pixels(
    path: str, stated: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return the settings of a table whose rows are pictures, and the reasons; None if it is none.

    `stated` are settings of the user's. What cannot be read is none here: the reader says why.
    """
    if not stated.keys() <= PixelsSection.model_fields.keys():
        return None
    try:
        known = {key: value for key, value in stated.items() if key not in ("type", "shape")}
        section = PixelsSection.model_validate({**known, "type": "pixels", "path": path})
        opened = _opened(section, open_beginning(path), may_lack_label=False)
        rows = first_rows(opened.file)
    except (BadInput, ConfigError, ValueError):
        return None
    rows = rows[opened.has_header :]
    count = opened.width - 1
    stated_shape = stated.get("shape")
    shape = stated_shape if isinstance(stated_shape, list | tuple) else shape_of(count)
    if len(rows) < 2 or shape is None or any(len(row) != opened.width for row in rows):
        return None
    is_asked = stated.get("type") == "pixels"
    label, reason = _recognised_label(opened, rows, section)
    pixels, foreign = to_numbers(
        [text for row in with_label_last(rows, label) for text in row[:-1]]
    )
    if foreign or np.isnan(pixels).any() or pixels.min() < 0:
        return None
    high = float(pixels.max())
    if not is_asked and not _look_like_pixels(opened, label, pixels, count):
        return None
    settings: dict[str, Any] = {"type": "pixels", "path": path}
    shown = "x".join(map(str, shape))
    reasons = {
        "type": f"{count:,} columns of numbers from 0 to {high:g} beside a label are pictures of "
        f"{shown}; dataset.type=table reads a plain table"
    }
    if "shape" not in stated:
        settings["shape"] = list(shape)
        reasons["shape"] = f"{count:,} pixels in a row"
    if "max_value" not in stated:
        settings["max_value"] = float(next((most for most in _WHITES if high <= most), high))
        reasons["max_value"] = f"the largest of the first rows is {high:g}"
    if "label" not in stated and reason:
        settings["label"] = "first" if label == 0 else "last"
        reasons["label"] = reason
    return settings, reasons


def shape_of(count: int) -> tuple[int, int, int] | None:
    """Return channels, height and width of square pictures with so many numbers; None if not one.

    A square number is of grey ones: that of pictures with four channels is always square, too.
    """
    for channels in (1, _COLOURS):
        side = math.isqrt(count // channels)
        if side > 0 and channels * side * side == count:
            return channels, side, side
    return None


def _recognised_label(
    opened: PixelFile, rows: Sequence[Sequence[str]], section: PixelsSection
) -> tuple[int, str]:
    """Return the column of the label, and the reason if it is first although nothing says so."""
    assert opened.label is not None, "a file of the settings has labels"
    is_named = bool(opened.names) and opened.names[opened.label].lower() in LABELS
    if section.label != "auto" or is_named:
        return opened.label, ""
    first, last = ([row[place].strip() for row in rows] for place in (0, -1))
    if is_label(first) and not is_label(last):
        return 0, "the first column has few different whole numbers or texts, and the last has not"
    return opened.label, ""


def is_label(texts: Sequence[str]) -> bool:
    """Whether the texts of a column may be classes: more than one, and fewer than half as rows."""
    different = {*texts}
    numbers = [to_number(text) for text in different]
    are_small = all(number is None or number < len(texts) for number in numbers)
    return 1 < len(different) <= max(2, len(texts) // 2) and are_small


def _look_like_pixels(opened: PixelFile, label: int, pixels: Any, count: int) -> bool:
    """Whether the names or the numbers are those of pixels."""
    if count < _LEAST_PIXELS:
        return False
    whole = bool((pixels == np.round(pixels)).all())
    if opened.names:
        names = [name.lower() for place, name in enumerate(opened.names) if place != label]
        return all(_PIXEL.fullmatch(name) for name in names)
    # Grey and black are in most pictures, and one number in five is.
    return whole and float(pixels.max()) in _WHITES and float((pixels == 0).mean()) > 0.2
