"""Checks that folders which are called as splits do not become classes.

Layer: data.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.data.files.split_names import split_name
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
"""The ends of the names of tables."""


def check_has_classes(where: str, files: PictureFiles) -> None:
    """Raise BadInput if all folders of pictures are called as splits, and would become classes."""
    folders = sorted({os.path.dirname(file.name) for file in files.pictures})
    if not (shown := _as_splits(folders)):
        return
    names = {name for folder in folders for name in os.listdir(os.path.join(where, folder))}
    tables = sorted(name for name in names if name.lower().endswith(TABLES))
    way = "put the pictures of each class into a folder of its own in each of them"
    if tables:
        way = (
            f"join {clean(tables[0], 80)} of each into one table beside them, with paths "
            f"as {clean(files.pictures[0].name, 80)} and the split in a column, and name that "
            "table and dataset.split=COLUMN"
        )
    raise BadInput(
        f"{clean(where, 200)}: the folders {shown} are splits, and no folders of classes are in "
        f"them; {way}; dataset.layout=classes takes them for the classes"
    )


def check_folders_are_no_splits(where: str) -> None:
    """Raise BadInput if all folders of texts are called as splits, and would become classes."""
    entries = [name for name in sorted(os.listdir(where)) if not name.startswith(".")]
    folders = [name for name in entries if os.path.isdir(os.path.join(where, name))]
    train = next((name for name in folders if split_name(name) == "train"), "")
    if train and (shown := _as_splits(folders)):
        raise BadInput(
            f"{clean(where, 200)}: the folders {shown} are splits; name the one to train on, "
            f"{clean(os.path.join(where, train), 200)}, and measure the other by evaluate RUN "
            "--data FOLDER; dataset.type=text_folders takes them for the classes"
        )


def _as_splits(folders: Sequence[str]) -> str:
    """Return the names of several folders as a text; empty if one is not called as a split."""
    if len(folders) < 2 or not all(map(split_name, folders)):
        return ""
    return clean(f"{', '.join(folders[:-1])} and {folders[-1]}", 120)
