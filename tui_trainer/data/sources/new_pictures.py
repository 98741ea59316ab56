"""Reads pictures for a trained model: new samples, or labelled ones to measure it on.

Layer: data. Nothing is learned here: the form and the scaling come from the checkpoint.
"""

from __future__ import annotations

import os
from typing import Any

from tui_trainer.config.sections.picture_datasets import TABLE_SETTINGS, Decode, PicturesSection
from tui_trainer.data.files.hub_pictures import hub_columns
from tui_trainer.data.files.picture_opener import is_image
from tui_trainer.data.files.picture_samples import PictureSamples
from tui_trainer.data.files.picture_store import read_pictures
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.picture_folders import list_unlabelled
from tui_trainer.data.sources.picture_hub import list_unlabelled_hub
from tui_trainer.data.sources.pictures import form_for, notes_on, read_picture_files, scaling_of
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


def read_new_pictures(section: PicturesSection, preprocessing: dict[str, Any], path: str) -> Unseen:
    """Read a picture, or all in a folder and below it, in the form of a checkpoint's.

    Of a folder, broken files are left out with a note.

    Raises:
        BadInput: there is none, or the one that is named is broken.
    """
    columns = hub_columns(path, section.config, section.revision)
    files = (
        list_unlabelled(path) if columns is None else list_unlabelled_hub(section, path, columns)
    )
    form = form_for(section, preprocessing)
    decode: Decode = "once" if section.decode == "once" else "auto"
    stored = read_pictures(
        files.name, files.path, files.files, form, find_channels=False, decode=decode
    )
    if not len(stored.records) and files.layout == "single":
        raise BadInput(f"{files.name}: {stored.broken[0].reason}")
    skipping = section.model_copy(update={"broken": "skip"})
    names = tuple(map(files.name_of, stored.records["place"].tolist()))
    notes = (*files.notes, *notes_on(skipping, files, stored))
    scaling = scaling_of(preprocessing["inputs"])
    samples = None
    if stored.place == "training":
        samples = PictureSamples.of(files.files, stored)
    return Unseen(stored.pictures, names, notes, scaling=scaling, samples=samples)


def read_pictures_to_measure(
    section: PicturesSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read the pictures of a folder or table, with what it says of them.

    Raises:
        BadInput: it is a picture, does not say what the run predicts, or has no pictures.
    """
    if is_image(path):
        raise BadInput(
            f"{clean(path, 200)}: a picture has no class; --data takes a folder with a folder of "
            "pictures for each class"
        )
    is_folder = os.path.isdir(path) and hub_columns(path, section.config) is None
    if is_folder and info.problem in ("multilabel", "regression"):
        what = "labels" if info.problem == "multilabel" else "numbers"
        raise BadInput(
            f"{clean(path, 200)}: a folder has one class for each picture, and the run predicts "
            f"{what}; --data takes a table of paths like the one it was trained on"
        )
    # A folder says by itself what a table says in its columns.
    columns = dict.fromkeys(TABLE_SETTINGS if is_folder else ())
    decode = "once" if section.decode == "once" else "auto"
    moved = section.model_copy(update={"path": path, "decode": decode, **columns})
    source = read_picture_files(moved, info.problem, preprocessing, are_of_run=False)
    return LabelledRows.of(source, preprocessing)
