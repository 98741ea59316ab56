"""The `pictures` source: pictures in files, whose folder or table says what they are.

Layer: data. All of them are decoded once before the first step, into one file that is mapped, or
else only to know them: then they are read again while training. What cannot be decoded never ends a
run. A picture is known by the bytes of its file, so that another version of the decoder moves no
picture to another split.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from tui_trainer.config.sections.picture_datasets import TABLE_SETTINGS, PicturesSection
from tui_trainer.data.base.augment import augment_images, check_changes
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.files.mask_colours import colour_name
from tui_trainer.data.files.picture_form import PictureForm
from tui_trainer.data.files.picture_reader import PictureFiles, Records
from tui_trainer.data.files.picture_samples import PictureSamples
from tui_trainer.data.files.picture_store import decoder_versions, read_pictures
from tui_trainer.data.files.stored_pictures import StoredPictures
from tui_trainer.data.sources.picture_folders import (
    PictureList,
    broken_note,
    check_sides,
    list_pictures,
)
from tui_trainer.data.sources.picture_hub import list_hub
from tui_trainer.data.sources.picture_table import list_table
from tui_trainer.data.sources.picture_targets import target_of_pictures, with_mask_values
from tui_trainer.data.sources.source import Encoded, Target
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.data.splits.division import Division, rule_for
from tui_trainer.data.splits.row_keys import Keys, joined, mixed
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted, size_text

_WHITE = 255.0
_LEAST_STD = 1e-7
_CHANNELS = {"grey": 1, "rgb": 3}


@dataclass(frozen=True, slots=True, eq=False)
class PictureSource:
    """The pictures of a folder or table; implements `Source`."""

    kind: ClassVar[Kind] = "image"
    noun: ClassVar[str] = "picture"

    section: PicturesSection
    name: str
    sha256: str
    files: PictureFiles
    stored: StoredPictures
    palette: dict[str, str]
    """The colours of classes of pixels, by their names, as far as a palette says them."""
    target: Target
    division: Division
    notes: tuple[str, ...]

    @property
    def rows(self) -> NDArray[np.int64]:
        """The place of each picture among the files."""
        return self.stored.records["place"].copy()

    @property
    def contents(self) -> str:
        return counted(len(self.stored.records), self.noun)

    @property
    def layout(self) -> dict[str, str]:
        form = self.stored.form
        return {"shape": "x".join(map(str, form.shape)), "fit": form.fit}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: NDArray[np.int64]) -> dict[str, Any]:
        mean, std = _moments(self.stored.records[train], math.prod(self.stored.form.shape))
        how: dict[str, Any] = {}
        if self.stored.place == "training":
            how["decode"] = "training"
        if self.palette:
            how["palette"] = self.palette
        return {"mean": mean, "std": std, "decoder": decoder_versions(), **how}

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        notes = []
        if (decoder := fitted.get("decoder")) not in (None, decoder_versions()):
            notes.append(
                f"the pictures were decoded by {clean(str(decoder), 80)} when the run began, and "
                f"now by {decoder_versions()}: they may differ a little"
            )
        is_read_later = self.stored.place == "training"
        return Encoded(
            self.stored.pictures,
            notes,
            scaling=scaling_of(fitted),
            is_shared=True,
            samples=PictureSamples.of(self.files, self.stored) if is_read_later else None,
            skips_lost=self.section.broken == "skip",
        )

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        background = -fitted["mean"] / fitted["std"]
        has_masks = self.target.masks is not None
        # Of labels, each is a number of its own already.
        classes = len(self.target.classes) if self.target.values.ndim == 1 else 0
        return augment_images(self.section, background, classes, has_masks=has_masks)


def scaling_of(fitted: Mapping[str, Any]) -> Scaling:
    """Return what makes inputs of pictures of 0 to 255, with the values that `fit` returned."""
    return Scaling(fitted["mean"] * _WHITE, fitted["std"] * _WHITE)


def form_for(section: PicturesSection, older: Mapping[str, Any] | None) -> PictureForm:
    """Return the form of the pictures; `older` is as in `read_picture_files`.

    If the channels are still to be found, they are three.
    """
    height, width = section.size
    channels = _CHANNELS.get(section.channels, 3)
    if older is not None and section.channels == "auto":
        # One more picture with colours does not make others of those that a model knows.
        channels = int(older["layout"]["shape"].partition("x")[0])
    return PictureForm(height, width, channels, section.fit)


def read_picture_files(
    section: PicturesSection,
    wanted: str = "auto",
    older: Mapping[str, Any] | None = None,
    *,
    are_of_run: bool = True,
) -> PictureSource:
    """Read the pictures of a section.

    `wanted` is the problem, or `auto`. `older` is the preprocessing of a checkpoint, which says
    what channels the pictures have; if they `are_of_run`, those of its run, also whether they are
    read while training, so that a run goes on as it began.

    Raises:
        BadInput: there are none, or some are broken and `section.broken` is `error`.
    """
    form = form_for(section, older)
    check_changes(section, form.shape, f"dataset.size {form.height}x{form.width}")
    files = _listed(section, wanted)
    palette: tuple[tuple[int, int], ...] = ()
    if files.layout == "masks":
        _check_suits_masks(section)
        form, palette = with_mask_values(section, form, files, older)
    decode = section.decode
    if older is not None and are_of_run and decode == "auto":
        decode = older["inputs"].get("decode", decode)
    find_channels = section.channels == "auto" and older is None
    stored = read_pictures(
        files.name, files.path, files.files, form, find_channels=find_channels, decode=decode
    )
    notes = [*files.notes, *notes_on(section, files, stored)]
    if are_of_run:
        notes += _form_notes(stored)
    target, notes_on_target = target_of_pictures(section, files, stored)
    division, notes_on_copies = _division(section, files, stored, older)
    return PictureSource(
        section,
        files.name,
        _sum_of(files, stored),
        files.files,
        stored,
        {str(number): colour_name(colour) for number, colour in palette},
        target,
        division,
        (*notes, *notes_on_target, *notes_on_copies),
    )


def _division(
    section: PicturesSection,
    files: PictureList,
    stored: StoredPictures,
    older: Mapping[str, Any] | None,
) -> tuple[Division, list[str]]:
    """Return by what the pictures are split, and notes on copies; `older` is as above."""
    rule = rule_for(section, older)
    has_own_split = files.sides is not None and files.layout != "table"
    if has_own_split and section.split_by == "auto" and older is None:
        rule = "folders" if files.files.contents is None else "column"
    if rule == "folders" and files.sides is None and older is None:
        message = "there are no folders train, val and test with folders of classes in them"
        raise ConfigError([Problem(message, "dataset.split_by")])
    identities, notes = _identities(files, stored)
    test = val = None
    if files.sides is not None and rule in ("folders", "column"):
        check_sides(files)
        test, val = _stated(files.sides[stored.records["place"]])
    return Division(rule, identities, _file_keys(stored.records), test, val), notes


def _listed(section: PicturesSection, wanted: str) -> PictureList:
    """List the pictures of a folder or table.

    Raises:
        ConfigError: a setting is for the other of the two.
    """
    if os.path.isfile(section.path):
        return list_table(section, wanted)
    if (listed := list_hub(section, wanted)) is not None:
        return listed
    for key in ("config", "revision"):
        if getattr(section, key) is not None:
            message = "is for a data set of Hugging Face, and dataset.path is a folder of pictures"
            raise ConfigError([Problem(message, f"dataset.{key}")])
    for key in TABLE_SETTINGS:
        if getattr(section, key) is not None:
            message = "is for a table of paths, and dataset.path is a folder"
            raise ConfigError([Problem(message, f"dataset.{key}")])
    return list_pictures(section)


def _check_suits_masks(section: PicturesSection) -> None:
    """Raise ConfigError for settings that make no sense with a class for each pixel."""
    if section.fit == "pad":
        message = "pad adds pixels that have no class; use crop or stretch for masks"
        raise ConfigError([Problem(message, "dataset.fit")])
    if section.mixup is not None:
        message = "masks cannot be mixed: a pixel of two pictures would have two classes"
        raise ConfigError([Problem(f"{message}; leave it empty", "dataset.mixup")])


def notes_on(section: PicturesSection, files: PictureList, stored: StoredPictures) -> list[str]:
    """Return notes on the files that are no pictures.

    Raises:
        BadInput: there are some and that is an error, or there are no others.
    """
    note = broken_note(files, stored.broken)
    if not len(stored.records):
        raise BadInput(f"{files.name}: no file can be read as a picture; {note}")
    notes = []
    if note:
        if section.broken == "error":
            raise BadInput(f"{files.name}: {note}; dataset.broken=skip leaves them out")
        notes.append(f"left out: {note}; dataset.broken=error refuses them")
    if stored.animated:
        count = counted(stored.animated, "file")
        notes.append(f"{count} with several pictures, of which the first is taken")
    return notes


def _form_notes(stored: StoredPictures) -> list[str]:
    """Return notes on when the pictures are decoded and why, with the setting that changes it."""
    if stored.place == "training":
        why = "dataset.decode says so; auto keeps them decoded if there is room"
        if stored.reason:
            why = f"{stored.reason}; a smaller dataset.size or more room there keeps them decoded"
        return [
            f"the pictures are read while training (loader.num_workers), because {why}",
            "all pictures were decoded once before that, so mean, deviation, equal pictures and "
            "broken files are those of all pictures, not of a sample",
        ]
    size = size_text(stored.samples.numel())
    where, why = {
        "cache": ("in the cache", "they fit"),
        "memory": ("in memory", "they are few"),
        "file": (
            "in a file until the end",
            "they are too many for the cache, or it is off; each start decodes them again",
        ),
    }[stored.place]
    return [
        f"the decoded pictures ({size}) are kept {where}, because {why}; dataset.decode=training "
        "reads them while training"
    ]


def _stated(
    sides: NDArray[np.int8],
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Return the pictures of the test, and of validation unless it is to be cut from the rest."""
    val = sides == VAL
    return sides == TEST, val if val.any() else None


def _file_keys(records: Records) -> Keys:
    """Return a key (N,) for the bytes of each file."""
    both = records["file"]
    return joined(np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1]))


def _identities(files: PictureList, stored: StoredPictures) -> tuple[Keys, list[str]]:
    """Return what each picture is known by, and notes on pictures that are equal or nearly so.

    Files with equal pixels have the key of one of them.
    """
    records = stored.records
    keys = _file_keys(records)
    pixels = mixed(records["check"].astype(np.uint64) + mixed(records["sum"]))
    pixels = joined(joined(pixels, records["squares"]), records["thumbnail"])
    _, groups = np.unique(pixels, return_inverse=True)
    groups = groups.reshape(-1)
    least = np.full(int(groups.max()) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(least, groups, keys)
    equal = len(records) - len(least)
    near = len(records) - len(np.unique(records["thumbnail"])) - equal
    notes = []
    if near > 0:
        notes.append(
            f"{counted(near, 'picture')} nearly equal to another one (seen as 8 x 8 shades of "
            "grey), which may be in another split"
        )
    if equal and files.sides is not None:
        sides = files.sides[records["place"]]
        is_trained = np.zeros(len(least), dtype=np.bool_)
        is_trained[groups[sides == TRAIN]] = True
        leaked = int((is_trained[groups] & (sides != TRAIN)).sum())
        if leaked:
            notes.append(
                f"{counted(leaked, 'picture')} of val and test equal to one in train, which makes "
                "every metric too good; dataset.split_by=identity keeps equal ones together"
            )
    return least[groups], notes


def _sum_of(files: PictureList, stored: StoredPictures) -> str:
    """Return the hash of the files, of what the folders say of them, and of the decoder."""
    digest = sha256(decoder_versions().partition(",")[0].encode())
    hashes = stored.records["file"]
    for row, place in enumerate(stored.records["place"].tolist()):
        digest.update(files.name_of(place).encode("utf-8", "surrogateescape") + b"\0")
        digest.update(hashes[row].tobytes())
        if files.target is not None:
            digest.update(files.target.values[place].tobytes())
        elif files.layout in ("table", "dataset"):
            digest.update(files.classes[files.labels[place]].encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _moments(records: Records, numbers: int) -> tuple[float, float]:
    """Return mean and deviation of the numbers of pictures, with 1 for white.

    The deviation is 1 if all are equal. The sums are exact.
    """
    count = len(records) * numbers
    total, squares = (sum(records[name].tolist()) for name in ("sum", "squares"))
    mean = total / count
    # In whole numbers, the difference of two large ones keeps all its digits.
    variance = (squares * count - total * total) / count**2
    std = math.sqrt(variance) / _WHITE
    return mean / _WHITE, std if std > _LEAST_STD else 1.0
