"""Reads pictures for a trained model.

Layer: data. Nothing is learned here: the form and the scaling come from the checkpoint.
"""

from __future__ import annotations

from typing import Any

from tui_trainer.config.sections.picture_datasets import Decode, PicturesSection
from tui_trainer.data.files.hub_pictures import hub_columns
from tui_trainer.data.files.picture_samples import PictureSamples
from tui_trainer.data.files.picture_store import read_pictures
from tui_trainer.data.sources.file_samples import Unseen
from tui_trainer.data.sources.picture_folders import list_unlabelled
from tui_trainer.data.sources.picture_hub import list_unlabelled_hub
from tui_trainer.data.sources.pictures import form_for, notes_on, scaling_of
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
