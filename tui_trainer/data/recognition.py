"""`recognise`: the settings of a data set for a file or folder that a person names.

Layer: data. Only the beginning of a file or the names in a folder are looked at. Each setting that
is not certain has a reason, which is shown together with the setting.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tui_trainer.config.sections.datasets import (
    BUILTIN,
    DATASETS,
    HUB,
    STDLIB,
    DelimitedSection,
    TableSection,
)
from tui_trainer.config.sections.picture_datasets import TABLE_SETTINGS, PicturesSection
from tui_trainer.data.files.array_files import is_array_file, is_array_folder
from tui_trainer.data.files.disk import NoSuchData, reason_of, similar_name
from tui_trainer.data.files.hub_pictures import hub_columns, sample_of
from tui_trainer.data.files.huggingface import is_dataset_folder
from tui_trainer.data.files.picture_form import suggest_size
from tui_trainer.data.files.picture_opener import SUFFIXES, is_picture_name
from tui_trainer.data.files.picture_reader import PictureFiles, sizes_of
from tui_trainer.data.files.split_names import split_name
from tui_trainer.data.files.tables import open_table
from tui_trainer.data.sources.picture_folders import list_unlabelled, without_masks
from tui_trainer.data.sources.picture_table import list_table, picture_column, target_columns
from tui_trainer.data.sources.pixel_file import recognise_pixels
from tui_trainer.data.sources.split_folders import (
    TABLES,
    check_folders_are_no_splits,
    check_has_classes,
)
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, TrainerError

TEXT_SUFFIXES = (".txt", ".md", ".rst", ".py", ".tex", ".html", ".c", ".h", ".js", ".java")
"""Files with these names are read as text."""
TOKENS_SUFFIX = ".bin"
_TOKENS_BEGINNING = 1 << 16
_LEAST_HALVES, _MOST_UPPER = 16, 16
_MOST_OPENED = 200
"""That many pictures of a folder are opened, to see how large they are."""
_CROPPED = 16
"""The share of the side by which pictures are moved at random, which changes none of their meaning;
mirrored digits, letters or signs would be others."""
_MOST_FOLDERS = 50
"""That many folders in a folder are looked through for arrays."""
_SMALL_TEXT_BYTES = 4096
"""A text of a page or two, as a review or a mail, is one sample."""
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
    if path.startswith(HUB):
        pictures = _hub_pictures(path, stated)
        return pictures or Recognised({"type": "huggingface", "path": path})
    if path.startswith(BUILTIN):
        return _table(path, stated)
    where = os.path.abspath(os.path.expanduser(path))
    try:
        status = os.stat(where)
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = similar_name(where)
        raise NoSuchData(f"{clean(path, 200)}: no such file or folder{hint}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{clean(path, 200)}: cannot be read: {reason_of(error)}") from error
    if stat.S_ISDIR(status.st_mode):
        if stated.get("type") == "huggingface":
            return Recognised({"type": "huggingface", "path": where})
        if (pictures := _hub_pictures(where, stated)) is not None:
            return pictures
        if "type" not in stated and is_dataset_folder(where) and not _has_pictures(where):
            reason = {"type": "a data set of Hugging Face's library"}
            return Recognised({"type": "huggingface", "path": where}, reason)
        return _array_folder(where, stated) or _folder(where, stated)
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{clean(path, 200)}: is not a regular file")
    if is_picture_name(where):
        raise BadInput(
            f"{clean(path, 200)}: is one picture; name the folder that has a folder of pictures "
            "for each class"
        )
    if stated.get("type", "arrays") == "arrays" and is_array_file(where):
        return Recognised({"type": "arrays", "path": where})
    if stated.get("type", "tokens") == "tokens" and where.endswith(TOKENS_SUFFIX):
        return _tokens(where, where, stated)
    if stated.get("type", "text") == "text" and ("column" in stated or "type" in stated):
        return Recognised({"type": "text", "path": where, "sequence_length": 128})
    if "type" not in stated and where.endswith(TEXT_SUFFIXES):
        reasons = {"type": f"the name ends in {Path(where).suffix}"}
        return Recognised({"type": "text", "path": where, "sequence_length": 128}, reasons)
    return _table(where, stated)


def _table(path: str, stated: Mapping[str, Any]) -> Recognised:
    """Return the settings of a table, whose rows may be pictures, or the paths of pictures."""
    if (pictures := _picture_table(path, stated)) is not None:
        return pictures
    if stated.get("type", "pixels") == "pixels" and (found := recognise_pixels(path, stated)):
        return Recognised(*found)
    return Recognised({"type": _table_type(stated), "path": path})


def _picture_table(where: str, stated: Mapping[str, Any]) -> Recognised | None:
    """Return the settings of a table of paths of pictures; None if it is none."""
    kind = stated.get("type")
    if kind not in (None, "pictures") or not stated.keys() <= PicturesSection.model_fields.keys():
        return None
    try:
        opened = open_table(TableSection(type="table", path=where, target="?"))
        column = picture_column(opened)
    except TrainerError:
        # What is wrong with it is said when it is read.
        column = None
    if column is None:
        return None if kind is None else Recognised({"type": "pictures", "path": where})
    reasons = {"type": f"the cells of {clean(column, 80)} are names of pictures"}
    section = PicturesSection(type="pictures", path=where, picture=column)
    chosen = {key: value for key, value in stated.items() if key in TABLE_SETTINGS}
    section = PicturesSection.model_validate({**section.model_dump(), **chosen})
    found = picture_settings(where, stated, reasons, list_table(section, "auto").files)
    targets, reason = target_columns(section, opened, section.picture or column)
    columns: dict[str, Any] = {} if "picture" in chosen else {"picture": column}
    if reason:
        columns["target"] = targets[0] if len(targets) == 1 else list(targets)
        found.reasons["target"] = reason
    return Recognised({**found.settings, **columns}, found.reasons)


def _hub_pictures(where: str, stated: Mapping[str, Any]) -> Recognised | None:
    """Return the settings of a Hugging Face data set with pictures; None if it is none."""
    if stated.get("type", "pictures") != "pictures" or stated.get("layout", "auto") != "auto":
        return None
    columns = hub_columns(where, stated.get("config"), stated.get("revision"))
    if columns is None:
        return None
    files = sample_of(where, columns, _MOST_OPENED)
    reasons = {"type": "a data set of Hugging Face's library with pictures"}
    return picture_settings(where, stated, reasons, files)


def _array_folder(where: str, stated: Mapping[str, Any]) -> Recognised | None:
    """Return the settings of a folder of arrays, or of the only one in it; None if it is none.

    If there are more pictures, these are the data; below the folder, texts too.
    """
    if stated.get("type", "arrays") != "arrays":
        return None
    found, arrays, others = [], 0, 0
    for folder, folders, names in islice(os.walk(where), _MOST_FOLDERS):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if is_array_folder(folder, names):
            found.append(folder)
            arrays += len(names)
        suffixes = SUFFIXES if found == [where] else {*SUFFIXES, *TEXT_SUFFIXES}
        others += sum(Path(name).suffix.lower() in suffixes for name in names)
    if found[:1] == [where]:
        found = found[:1]
    if len(found) != 1 or (others > arrays and "type" not in stated):
        return None
    reason = {} if found[0] == where else {"path": "the only folder of arrays in it"}
    return Recognised({"type": "arrays", "path": found[0]}, reason)


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
    both = here + below
    texts = Counter({end: count for end, count in both.items() if end in TEXT_SUFFIXES})
    pictures = Counter({end: count for end, count in both.items() if end in SUFFIXES})
    asked = stated.get("type")
    if asked == "pictures" or (asked is None and pictures.total() > texts.total()):
        ends = " and ".join(f"*{end}" for end, _ in pictures.most_common(2))
        files = list_unlabelled(where).files
        if asked is None:
            _check_has_no_table(where, files)
        if stated.get("layout", "auto") == "auto":
            check_has_classes(where, files)
        return picture_settings(
            where, stated, {"type": f"most files are {ends}"}, without_masks(files)
        )
    if not texts:
        seen = ", ".join(end or "no ending" for end, _ in (here + below).most_common(5))
        raise BadInput(
            f"{shown}: no texts or pictures in this folder (its files: "
            f"{clean(seen, 200) or 'none'}); name one of its files, or put texts or pictures there"
        )
    kind = stated.get("type") or ("text_folders" if not here.keys() & texts.keys() else "text")
    if kind == "text_folders" and asked is None:
        check_folders_are_no_splits(where)
    settings: dict[str, Any] = {"type": kind, "path": where}
    if "patterns" not in stated:
        settings["patterns"] = [f"*{end}" for end in sorted(texts)]
    if kind == "text":
        settings["sequence_length"] = 128
        return Recognised(settings, {"type": "texts that are in no folders of their own"})
    return _class_folders(where, settings, stated)


def _check_has_no_table(where: str, files: PictureFiles) -> None:
    """Raise BadInput if pictures in a single folder have their labels in a table beside it."""
    if len({os.path.dirname(file.name) for file in files.pictures}) > 1:
        return
    for name in sorted(os.listdir(where)):
        path = os.path.join(where, name)
        if name.lower().endswith(TABLES) and _picture_table(path, {}) is not None:
            raise BadInput(
                f"{clean(where, 200)}: the pictures are in no folders of classes, but "
                f"{clean(name, 80)} names them; name that table in place of the folder: "
                f"{clean(path, 200)}"
            )


def _class_folders(where: str, settings: dict[str, Any], stated: Mapping[str, Any]) -> Recognised:
    """Recognise whether small texts in folders are a sample each, or long ones have passages."""
    reasons = {"type": "a folder of texts for each class"}
    patterns = stated["patterns"] if "patterns" in stated else settings["patterns"]
    suffixes = tuple(str(one).lstrip("*") for one in patterns)
    sizes = sorted(_sizes(where, suffixes))
    if not sizes or "samples" in stated or settings["type"] != "text_folders":
        return Recognised(settings, reasons)
    middle = sizes[len(sizes) // 2]
    are_small = middle <= _SMALL_TEXT_BYTES
    settings["samples"] = "files" if are_small else "passages"
    what = "each file is a sample" if are_small else "passages of the files are the samples"
    extent = "at most" if are_small else "at least"
    reasons["samples"] = f"{what}, because half of them have {extent} {middle:,} bytes"
    if are_small and "max_passage_bytes" not in stated:
        # Nineteen of twenty are read to their end, if they are no longer than a few pages.
        usual = sizes[min(len(sizes) - 1, len(sizes) * 19 // 20)]
        settings["max_passage_bytes"] = min(max(1 << (usual - 1).bit_length(), 64), 4096)
        reasons["max_passage_bytes"] = f"nineteen of twenty files have {usual:,} bytes or less"
    return Recognised(settings, reasons)


def _sizes(where: str, suffixes: tuple[str, ...]) -> list[int]:
    """Return the sizes of some of the files with these endings below a folder."""
    sizes = []
    for folder, _, names in islice(os.walk(where), _MOST_ENTRIES):
        for name in names:
            if name.endswith(suffixes) and not name.startswith("."):
                with contextlib.suppress(OSError):
                    sizes.append(os.stat(os.path.join(folder, name)).st_size)
        if len(sizes) > _MOST_ENTRIES:
            break
    return [size for size in sizes if size]


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
        reasons["token_dtype"] = "every second 16-bit number is nearly zero"
    return Recognised(settings, reasons)


def picture_settings(
    where: str,
    stated: Mapping[str, Any],
    reasons: Mapping[str, str],
    files: PictureFiles,
) -> Recognised:
    """Return the settings of pictures, with a size that suits some of them."""
    settings: dict[str, Any] = {"type": "pictures", "path": where}
    sizes = sizes_of(files.some(_MOST_OPENED))
    if not sizes:
        return Recognised(settings, dict(reasons))
    (height, width), reason = suggest_size(sizes), dict(reasons)
    if "size" not in stated:
        settings["size"] = [height, width]
        low, high = min(sizes), max(sizes)
        spread = "x".join(map(str, low)) + ("" if low == high else f" to {high[0]}x{high[1]}")
        reason["size"] = f"the pictures are {spread}"
    if "crop_padding" not in stated and "size" not in stated:
        settings["crop_padding"] = min(height, width) // _CROPPED
    return Recognised(settings, reason)


def _has_pictures(where: str) -> bool:
    """Whether most files directly in a folder, or in a folder of a split in it, are pictures."""
    splits = [os.path.join(where, name) for name in os.listdir(where) if split_name(name)]
    counts = [_suffixes(folder)[0] for folder in (where, *splits)]
    return any(2 * sum(here[end] for end in SUFFIXES) > here.total() for here in counts)


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
