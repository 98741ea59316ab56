"""`list_pictures`: the pictures in a folder, with the class and the split that its folders say.

Layer: data. The layouts: a folder per class; train, val and test above such folders; images beside
masks. Which one it is is told by the names of the folders, and said in a note.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.files.disk import reason_of
from tui_trainer.data.files.folders import ListedFile, SourceFolder, open_folder, walk_files
from tui_trainer.data.files.picture_opener import is_picture_name
from tui_trainer.data.files.picture_reader import Broken, PictureFiles
from tui_trainer.data.sources.mask_names import check_has_no_masks, mask_name_hint
from tui_trainer.data.sources.source import Target
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
    layout: Layout | Literal["table", "single", "dataset"]
    files: PictureFiles
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    """(N,) positions in `classes`; all 0 if there are masks or a `target`."""
    sides: NDArray[np.int8] | None = None
    """(N,) the split that the folders say, if they say one."""
    notes: tuple[str, ...] = ()
    target: Target | None = None
    """What is predicted, if that is no class: numbers or labels of each picture."""

    def name_of(self, place: int) -> str:
        """Return the path of a picture below the folder; empty for one that is named alone."""
        name = self.files.pictures[place].name
        return name if self.layout != "single" else ""


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
        left_out.append(f"left out files that are not pictures: {listing.counts_of_others()}")
    if not files:
        raise BadInput(
            f"{folder.name}: no picture in this folder or below it"
            + "".join(f"; {note}" for note in left_out)
        )
    places = [name[: name.rfind("/") + 1] for name, _, _ in files]
    folders = {*places}
    below = _common_folder(folders) if section.layout == "auto" else ""
    layout = section.layout if section.layout != "auto" else _layout_of(folders, below)
    if layout == "masks":
        found = _with_masks(folder, files, below)
    else:
        found = _with_classes(folder, files, places, below, has_splits=layout == "splits")
    notes = [*_layout_note(section, layout, found, below), *found.notes, *left_out]
    classes = order_classes(found.classes)
    place = {name: index for index, name in enumerate(classes)}
    return PictureList(
        folder.name,
        os.path.abspath(folder.path),
        layout,
        PictureFiles(str(folder.path), found.files, found.masks),
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
    if os.path.isdir(path):
        folder = open_folder(path)
        listing = walk_files(folder, is_picture_name)
        if not listing.files:
            raise BadInput(f"{name}: no picture in this folder or below it")
        files = PictureFiles(path, listing.files)
        notes = tuple(listing.omissions.notes())
    else:
        try:
            status = os.stat(path)
        except (OSError, ValueError) as error:
            raise BadInput(f"{name}: {reason_of(error)}") from error
        only = ListedFile(path, status.st_size, status.st_mtime_ns)
        files, notes = PictureFiles("", [only]), ()
    labels = np.zeros(len(files), dtype=np.int64)
    layout: Literal["classes", "single"] = "classes" if files.root else "single"
    return PictureList(name, os.path.abspath(path), layout, files, (), labels, notes=notes)


def without_masks(files: PictureFiles) -> PictureFiles:
    """Return the pictures of a folder that are no masks of others, by the names of the folders."""
    folders = {file.name[: file.name.rfind("/") + 1] for file in files.pictures}
    below = _common_folder(folders)
    if not files.root or _layout_of(folders, below) != "masks":
        return files
    pictures = _pictures_and_masks(files.pictures, below)[0]
    return PictureFiles(files.root, [*pictures.values()])


def _common_folder(folders: Collection[str]) -> str:
    """Return the folder that all pictures are in, and only folders with them, with its slash.

    An unpacked archive often has one such folder, and another in it. `folders` are those with
    pictures, with their slashes.
    """
    below = ""
    while True:
        heads = {folder[len(below) :].partition("/")[0] for folder in folders}
        head = heads.pop()
        inner = f"{below}{head}/"
        if heads or not head or inner in folders or split_of_word(head) is not None:
            return below
        below = inner


def _layout_of(folders: Collection[str], below: str) -> Layout:
    parts = [folder[len(below) :].lower().split("/") for folder in folders]
    tops = {names[0] for names in parts if len(names) > 1}
    seconds = {names[1] for names in parts if len(names) > 2}
    if {"images", "masks"} <= tops or {"images", "masks"} <= seconds:
        return "masks"
    words = {name for name in tops if split_of_word(name) is not None}
    is_trained = any(split_of_word(name) == TRAIN for name in words)
    # A class may be called so, as the trains of CIFAR-100, but then it has no classes below it.
    return "splits" if is_trained and seconds and (len(words) > 1 or words == tops) else "classes"


def _with_classes(
    folder: SourceFolder,
    files: Sequence[ListedFile],
    places: Sequence[str],
    below: str,
    *,
    has_splits: bool,
) -> _Sorted:
    """Return the files in folders of classes; `places` are the folders that they are in."""
    known = {place: _class_of(place[len(below) :], has_splits=has_splits) for place in {*places}}
    found = _Sorted()
    beside: Counter[str] = Counter()
    for file, place in zip(files, places, strict=True):
        side, name, problem = known[place]
        if problem:
            beside[problem] += 1
            continue
        found.files.append(file)
        found.classes.append(name)
        found.sides.append(side)
    if not has_splits:
        found.sides.clear()
    for problem, count in beside.items():
        found.notes.append(f"{counted(count, 'picture')} left out: in {clean(problem, 120)}")
    if not found.files:
        check_has_no_masks(folder.name, files)
        raise BadInput(
            f"{folder.name}: there are pictures but no folders of classes; put the pictures of "
            "each class into a folder of their own, or name a table of paths and labels"
        )
    if empty := _empty_folders(folder, known, below, has_splits=has_splits):
        found.notes.append(f"{counted(len(empty), 'folder')} without a picture: {_named(empty)}")
    return found


def _class_of(place: str, *, has_splits: bool) -> tuple[int, str, str]:
    """Return the side and the class of the pictures in a folder, or what is wrong with it."""
    parts = place.split("/")[:-1]
    side = split_of_word(parts[0]) if has_splits and parts else TRAIN
    if side is None:
        return TRAIN, "", f"{parts[0]}/, which is none of train, val and test"
    inner = parts[1:] if has_splits else parts
    if not inner:
        return TRAIN, "", f"{place}, without a folder of a class" if place else "no folder"
    return side, inner[0], ""


def _empty_folders(
    folder: SourceFolder, used: Collection[str], below: str, *, has_splits: bool
) -> list[str]:
    """Return the folders of classes that have no picture in them or below."""
    tops = [below]
    if has_splits:
        names = _folders_in(folder.path / below)
        tops = [f"{below}{name}/" for name in names if split_of_word(name) is not None]
    depth = below.count("/") + 1 + has_splits
    there = {"/".join(place.split("/")[:depth]) + "/" for place in used}
    classes = {f"{top}{name}/" for top in tops for name in _folders_in(folder.path / top)}
    return sorted(classes - there)


def _folders_in(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            ]
    except OSError:
        return []


def _pictures_and_masks(
    files: Sequence[ListedFile], below: str
) -> tuple[dict[str, ListedFile], dict[str, ListedFile]]:
    """Return the files in folders called images and masks, by their names without these."""
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
    return pictures, masks


def _with_masks(folder: SourceFolder, files: Sequence[ListedFile], below: str) -> _Sorted:
    """Return the pictures that have a mask of the same name, whatever its ending."""
    found = _Sorted()
    pictures, masks = _pictures_and_masks(files, below)
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
            + mask_name_hint(pictures, masks)
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


def broken_note(pictures: PictureList, broken: Sequence[Broken]) -> str:
    """Return a note that counts and names broken files; empty if there are none."""
    if not broken:
        return ""
    shown = [
        f"{clean(pictures.name_of(one.place), 120)} ({one.reason})" for one in broken[:_MOST_NAMED]
    ]
    more = f" and {len(broken) - _MOST_NAMED:,} more" if len(broken) > _MOST_NAMED else ""
    return f"{counted(len(broken), 'broken file')}: {', '.join(shown)}{more}"
