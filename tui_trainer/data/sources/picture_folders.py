"""`list_pictures`: the pictures in a folder, with the class and the split that its folders say.

Layer: data. The layouts: a folder per class; train, val and test above such folders; images beside
masks. Which one it is is told by the names of the folders, and said in a note.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.csv import order_classes
from tui_trainer.data.files.disk import reason_of
from tui_trainer.data.files.folders import ListedFile, SourceFolder, open_folder, walk_files
from tui_trainer.data.files.picture_reader import PictureFile
from tui_trainer.data.files.pictures import is_picture_name
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.split_column import split_of_word
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Layout = Literal["classes", "splits", "masks"]

_MOST_NAMED = 5
_SIDES = {TRAIN: "train", VAL: "val", TEST: "test"}


@dataclass(frozen=True, slots=True)
class PictureList:
    """The files of a data set, in the order of their names, before any was opened."""

    name: str
    """Of the folder or table, cleaned for messages."""
    path: str
    """Of the same, absolute."""
    layout: Layout | Literal["table"]
    names: tuple[str, ...]
    """The path of each picture below the folder."""
    files: tuple[PictureFile, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    """(N,) positions in `classes`; all 0 if there are masks or numbers."""
    sides: NDArray[np.int8] | None = None
    """(N,) the split that the folders say, if they say one."""
    notes: tuple[str, ...] = ()
    numbers: NDArray[np.float64] | None = None
    """(N,) what is predicted, if these are numbers."""


@dataclass(slots=True)
class _Sorted:
    """Files with what their folders say."""

    files: list[ListedFile] = field(default_factory=list)
    masks: list[ListedFile] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    sides: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def list_pictures(section: PicturesSection) -> PictureList:
    """List the pictures in the folder of a section.

    Raises:
        NoSuchData: there is no such folder.
        BadInput: it has no pictures, or they are in no folders that say what they are.
    """
    folder = open_folder(section.path)
    listing = walk_files(folder, is_picture_name)
    files = listing.files
    left_out = listing.omissions.notes()
    if listing.others:
        left_out.append(f"files that are no pictures left out: {listing.counts_of_others()}")
    if not files:
        raise BadInput(
            f"{folder.name}: no picture in this folder or below it"
            + "".join(f"; {note}" for note in left_out)
        )
    below = _common_folder(files) if section.layout == "auto" else ""
    layout = section.layout if section.layout != "auto" else _layout_of(files, below)
    if layout == "masks":
        found = _with_masks(folder, files, below)
    else:
        found = _with_classes(folder, files, below, has_splits=layout == "splits")
    notes = [*_layout_note(section, layout, found, below), *found.notes, *left_out]
    classes = order_classes(found.classes)
    place = {name: index for index, name in enumerate(classes)}
    masks: Iterable[ListedFile | None] = found.masks or [None] * len(found.files)
    return PictureList(
        folder.name,
        os.path.abspath(folder.path),
        layout,
        tuple(file.name for file in found.files),
        tuple(_as_file(folder, file, mask) for file, mask in zip(found.files, masks, strict=True)),
        classes,
        np.array([place[name] for name in found.classes] or [0] * len(found.files), dtype=np.int64),
        np.array(found.sides, dtype=np.int8) if found.sides else None,
        tuple(notes),
    )


def list_unlabelled(path: str) -> PictureList:
    """List the pictures in a folder and below it, or the one that is named, without classes.

    Raises:
        BadInput: there is none.
    """
    name = clean(path, 200)
    notes: tuple[str, ...] = ()
    if os.path.isdir(path):
        folder = open_folder(path)
        listing = walk_files(folder, is_picture_name)
        if not listing.files:
            raise BadInput(f"{name}: no picture in this folder or below it")
        names = tuple(file.name for file in listing.files)
        files = tuple(_as_file(folder, file, None) for file in listing.files)
        notes = tuple(listing.omissions.notes())
    else:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise BadInput(f"{name}: {reason_of(error)}") from error
        names, files = ("",), (PictureFile(path, status.st_size, status.st_mtime_ns),)
    labels = np.zeros(len(files), dtype=np.int64)
    return PictureList(
        name, os.path.abspath(path), "classes", names, files, (), labels, notes=notes
    )


def _as_file(folder: SourceFolder, file: ListedFile, mask: ListedFile | None) -> PictureFile:
    own_mask = None if mask is None else _as_file(folder, mask, None)
    return PictureFile(f"{folder.path}/{file.name}", file.size, file.mtime_ns, own_mask)


def _common_folder(files: Sequence[ListedFile]) -> str:
    """Return the folder that all pictures are in, and only folders with them, with its slash.

    An unpacked archive often has one such folder, and another in it.
    """
    below = ""
    while True:
        head, slash, rest = files[0].name.removeprefix(below).partition("/")
        inner = below + head + slash
        if not slash or "/" not in rest or split_of_word(head) is not None:
            return below
        if not all(
            file.name.startswith(inner) and "/" in file.name[len(inner) :] for file in files
        ):
            return below
        below = inner


def _layout_of(files: Sequence[ListedFile], below: str) -> Layout:
    tops: set[str] = set()
    seconds: set[str] = set()
    for file in files:
        parts = file.name[len(below) :].split("/", 2)
        if len(parts) > 1:
            tops.add(parts[0].lower())
        if len(parts) > 2:
            seconds.add(parts[1].lower())
    if {"images", "masks"} <= tops or {"images", "masks"} <= seconds:
        return "masks"
    words = {name for name in tops if split_of_word(name) is not None}
    is_trained = any(split_of_word(name) == TRAIN for name in words)
    # A class may be called so, as the trains of CIFAR-100, but then it has no classes below it.
    return "splits" if is_trained and seconds and (len(words) > 1 or words == tops) else "classes"


def _with_classes(
    folder: SourceFolder, files: Sequence[ListedFile], below: str, *, has_splits: bool
) -> _Sorted:
    found = _Sorted()
    beside: Counter[str] = Counter()
    for file in files:
        parts = file.name[len(below) :].split("/")
        side = split_of_word(parts[0]) if has_splits and len(parts) > 1 else TRAIN
        inner = parts[1:] if has_splits else parts
        if side is None:
            beside[f"{parts[0]}/, which is none of train, val and test"] += 1
        elif len(inner) < 2:
            place = "/".join(parts[:-1])
            beside[f"{place}/, without a folder of a class" if place else "no folder"] += 1
        else:
            found.files.append(file)
            found.classes.append(inner[0])
            if has_splits:
                found.sides.append(side)
    for place, count in beside.items():
        found.notes.append(f"{counted(count, 'picture')} left out: in {clean(place, 120)}")
    if not found.files:
        raise BadInput(
            f"{folder.name}: there are pictures but no folders of classes; put the pictures of "
            "each class into a folder of their own, or name a table of paths and labels"
        )
    tops = {f"{below}{name}/" for name in _folders_in(folder.path / below)}
    if has_splits:
        tops = {
            f"{top}{name}/"
            for top in tops
            if split_of_word(top[len(below) : -1]) is not None
            for name in _folders_in(folder.path / top)
        }
    depth = below.count("/") + 1 + has_splits
    used = {"/".join(file.name.split("/")[:depth]) + "/" for file in found.files}
    if empty := sorted(tops - used):
        found.notes.append(f"{counted(len(empty), 'folder')} without a picture: {_named(empty)}")
    return found


def _folders_in(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            ]
    except OSError:
        return []


def _with_masks(folder: SourceFolder, files: Sequence[ListedFile], below: str) -> _Sorted:
    """Return the pictures that have a mask of the same name, whatever its ending."""
    found = _Sorted()
    pictures: dict[str, ListedFile] = {}
    masks: dict[str, ListedFile] = {}
    for file in files:
        parts = file.name[len(below) :].split("/")
        kinds = [part.lower() for part in parts[:2]]
        for word, group in (("images", pictures), ("masks", masks)):
            if word in kinds[: len(parts) - 1]:
                del parts[kinds.index(word)]
                group[str(PurePosixPath(*parts).with_suffix(""))] = file
                break
    sides: list[int | None] = []
    for key in sorted(pictures.keys() & masks.keys()):
        found.files.append(pictures[key])
        found.masks.append(masks[key])
        sides.append(split_of_word(key.partition("/")[0]) if "/" in key else None)
    if sides and all(side is not None for side in sides):
        found.sides = [TRAIN if side is None else side for side in sides]
    for word, group, other in (("picture", pictures, masks), ("mask", masks, pictures)):
        if alone := sorted(file.name for key, file in group.items() if key not in other):
            missing = "mask" if word == "picture" else "picture"
            found.notes.append(
                f"{counted(len(alone), word)} without a {missing} left out: {_named(alone)}"
            )
    if not found.files:
        raise BadInput(
            f"{folder.name}: no picture in images/ has a mask of the same name in masks/"
            + "".join(f"; {note}" for note in found.notes)
        )
    return found


def _layout_note(section: PicturesSection, layout: Layout, found: _Sorted, below: str) -> list[str]:
    where = f" in {clean(below, 80)}" if below else ""
    if section.layout != "auto":
        return []
    if layout == "masks":
        text = f"the folders images and masks{where} are pictures and the classes of their pixels"
    elif layout == "splits":
        counts = Counter(_SIDES[side] for side in found.sides)
        shown = ", ".join(f"{name} {counts[name]:,}" for name in _SIDES.values() if counts[name])
        text = f"the folders{where} are the splits ({shown}) and below them the classes"
        return [f"{text}; dataset.split_by=identity draws the split instead"]
    elif below:
        text = f"the folders{where} are the classes"
    else:
        return []
    return [f"{text} (dataset.layout)"]


def check_sides(pictures: PictureList) -> None:
    """Raise BadInput if the folders of splits have no pictures to train on."""
    if pictures.sides is not None and not (pictures.sides == TRAIN).any():
        if pictures.layout == "table":
            raise BadInput(
                f"{pictures.name}: no row is for training in the column of dataset.split"
            )
        raise BadInput(
            f"{pictures.name}: no picture is in a folder train; dataset.layout=classes takes the "
            "folders as classes"
        )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return clean(", ".join(names[:_MOST_NAMED]), 300) + more


def broken_note(names: Sequence[str], reasons: Mapping[int, str]) -> str:
    """Return a note that counts and names broken files; empty if there are none."""
    if not reasons:
        return ""
    shown = [
        f"{clean(names[place], 120)} ({reason})"
        for place, reason in list(reasons.items())[:_MOST_NAMED]
    ]
    more = f" and {len(reasons) - _MOST_NAMED:,} more" if len(reasons) > _MOST_NAMED else ""
    return f"{counted(len(reasons), 'broken file')}: {', '.join(shown)}{more}"
