"""`recognise`: the settings of a data set for a file or folder that a person names.

Layer: data. Only the beginning of a file or the names in a folder are looked at. Each setting that
is not certain has a reason, which is shown together with the setting.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tui_trainer.config.sections.datasets import BUILTIN, DATASETS, STDLIB, DelimitedSection
from tui_trainer.data.files.disk import NoSuchData, reason_of, similar_name
from tui_trainer.data.files.table_reader import read_table
from tui_trainer.data.files.tables import open_table
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

TARGETS = ("target", "label", "labels", "class", "y", "outcome", "response")
"""A column with one of these names is the target, in any case; else it is the last column."""
TEXT_SUFFIXES = (".txt", ".md", ".rst", ".py", ".tex", ".html", ".c", ".h", ".js", ".java")
"""Files with these names are read as text."""
TOKENS_SUFFIX = ".bin"
_TOKENS_BEGINNING = 1 << 16
_LEAST_HALVES, _MOST_UPPER = 16, 16
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")
_MOST_ENTRIES = 2000
"""That many files of a folder are looked at."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """The settings of a data set, and why they are what they are."""

    settings: dict[str, Any]
    reasons: dict[str, str] = field(default_factory=dict)
    """By setting, where it is a guess."""

    @property
    def type(self) -> str:
        return str(self.settings["type"])


def recognise(path: str, stated: Mapping[str, Any]) -> Recognised:
    """Return the type of the data at a path, and what else is known without reading them all.

    `stated` are the settings that the user has chosen, by their names; they are not in the result.

    Raises:
        BadInput: there is no such file, or it is nothing that can be read.
    """
    if path.startswith(STDLIB):
        kind = stated.get("type", "text")
        return Recognised({"type": kind, "path": path, "patterns": ["*.py"]})
    if path.startswith(BUILTIN):
        return Recognised({"type": _table_type(stated), "path": path})
    where = os.path.abspath(os.path.expanduser(path))
    try:
        status = os.stat(where)
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = similar_name(where)
        raise NoSuchData(f"{clean(path, 200)}: no such file or folder{hint}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{clean(path, 200)}: cannot be read: {reason_of(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        return _folder(where, stated)
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{clean(path, 200)}: is not a regular file")
    if stated.get("type", "tokens") == "tokens" and where.endswith(TOKENS_SUFFIX):
        return _tokens(where, where, stated)
    if stated.get("type", "text") == "text" and where.endswith(TEXT_SUFFIXES):
        reasons = {"type": f"the name ends in {Path(where).suffix}"}
        return Recognised({"type": "text", "path": where, "sequence_length": 128}, reasons)
    return Recognised({"type": _table_type(stated), "path": where})


def _table_type(stated: Mapping[str, Any]) -> str:
    """Return the type that has all settings that were stated; that of a plain table first."""
    if "type" in stated:
        return str(stated["type"])
    names = (
        "table",
        *(spec.name for spec in DATASETS if issubclass(spec.params, DelimitedSection)),
    )
    for name in names:
        spec = DATASETS.find(name)
        if spec is not None and stated.keys() <= spec.params.model_fields.keys():
            return name
    return "table"


def _folder(where: str, stated: Mapping[str, Any]) -> Recognised:
    """Recognise a folder by the names of the files in it."""
    train = os.path.join(where, "train.bin")
    if stated.get("type", "tokens") == "tokens" and os.path.isfile(train):
        return _tokens(where, train, stated)
    here, below = _suffixes(where)
    shown = clean(where, 200)
    texts = Counter({end: count for end, count in (here + below).items() if end in TEXT_SUFFIXES})
    if not texts:
        seen = ", ".join(end or "no ending" for end, _ in (here + below).most_common(5))
        pictures = any(end in PICTURE_SUFFIXES for end in here + below)
        advice = (
            "pictures in folders cannot be read yet"
            if pictures
            else ("name one of its files, or put texts there")
        )
        raise BadInput(
            f"{shown}: no texts in this folder (its files: {clean(seen, 200) or 'none'}); {advice}"
        )
    kind = stated.get("type") or ("text_folders" if not here.keys() & texts.keys() else "text")
    settings: dict[str, Any] = {"type": kind, "path": where}
    if "patterns" not in stated:
        settings["patterns"] = [f"*{end}" for end in sorted(texts)]
    if kind == "text":
        settings["sequence_length"] = 128
        return Recognised(settings, {"type": "texts that are in no folders of their own"})
    return Recognised(settings, {"type": "a folder of texts for each class"})


def _tokens(where: str, file: str, stated: Mapping[str, Any]) -> Recognised:
    """Recognise files of tokens; their width by the first numbers."""
    settings: dict[str, Any] = {"type": "tokens", "path": where}
    reasons = {"type": f"{Path(file).name} ends in .bin, as files of token numbers do"}
    if "token_dtype" in stated:
        return Recognised(settings, reasons)
    try:
        with open(file, "rb") as beginning:
            halves = np.frombuffer(beginning.read(_TOKENS_BEGINNING), dtype="<u2")
    except (OSError, ValueError):
        # Reading all of it says what is wrong.
        return Recognised(settings, reasons)
    settings["token_dtype"] = "uint16"
    reasons["token_dtype"] = "the usual one"
    # The upper half of a number of 32 bits is next to nothing, as no vocabulary has a million.
    if len(halves) >= _LEAST_HALVES and halves[1::2].max() < _MOST_UPPER < halves[::2].max():
        settings["token_dtype"] = "uint32"
        reasons["token_dtype"] = "every second number of 16 bits is next to nothing"
    return Recognised(settings, reasons)


def _suffixes(where: str) -> tuple[Counter[str], Counter[str]]:
    """Return how many files in a folder, and in its folders, have each ending."""
    here: Counter[str] = Counter()
    below: Counter[str] = Counter()
    try:
        for folder, _, names in islice(os.walk(where), _MOST_ENTRIES):
            counts = here if folder == where else below
            counts.update(Path(name).suffix.lower() for name in names if not name.startswith("."))
            if here.total() + below.total() > _MOST_ENTRIES:
                break
    except OSError as error:
        raise BadInput(f"{clean(where, 200)}: cannot be read: {reason_of(error)}") from error
    return here, below


def find_target(section: DelimitedSection) -> tuple[str, str]:
    """Return the column of a table that its name or its place makes the target, and the reason.

    Raises:
        BadInput: the file is no table, or has nothing to predict from.
    """
    opened = open_table(section)
    used = [getattr(section, name, None) for name in ("sequence", "step", "split", "group")]
    left_out = {*getattr(section, "drop", ()), *used}
    header = [column for column in opened.header if column not in left_out]
    if len(header) < 2:
        only = f" ('{clean(header[0], 80)}')" if header else ""
        raise BadInput(
            f"{opened.file.name}: one column{only}, so there is nothing to predict from; is the "
            "separator another one (dataset.separator)? dataset.type=text reads it as text"
        )
    named = [column for column in header if column.strip().lower() in TARGETS]
    if len(named) == 1:
        return named[0], "by its name"
    return header[-1], "the last column"


def check_target(section: DelimitedSection) -> None:
    """Raise BadInput if the texts of a table's target are too many to be classes."""
    opened = open_table(section)
    name = str(getattr(section, "target", ""))
    table = read_table(opened.file, opened.header, {name: "auto_target"})
    column, shown = table.columns[name], clean(name, 80)
    if numbers := next((note for note in table.notes if note.startswith(f"{shown}: read as")), ""):
        raise BadInput(
            f"{opened.file.name}: {numbers}; to predict them, correct the others, or name those "
            "that stand for a missing value in dataset.missing_values"
        )
    count, rows = len(getattr(column, "texts", ())), len(column.missing)
    if 2 * count > rows:
        others = clean(", ".join(other for other in opened.header[:20] if other != name), 400)
        raise BadInput(
            f"column '{shown}' has {count:,} different texts in {rows:,} rows, so it is "
            f"no class; name the column to predict: --target COLUMN; there are: {others}"
        )
