"""`list_hub`: the pictures in a Hugging Face data set, with the class, labels or mask of each.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tui_trainer.config.sections.datasets import HUB
from tui_trainer.config.sections.picture_datasets import PicturesSection
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.files.hub_pictures import (
    HubColumns,
    contents_of,
    hub_columns,
    listed_pictures,
    place_of_data,
    read_labels,
    shards_of,
)
from tui_trainer.data.files.huggingface import split_words
from tui_trainer.data.files.picture_reader import PictureFiles
from tui_trainer.data.sources.picture_folders import PictureList
from tui_trainer.data.sources.picture_table import with_single_labels
from tui_trainer.data.sources.source import Target
from tui_trainer.data.sources.table_targets import TARGETS
from tui_trainer.data.splits.cuts import TEST, TRAIN, VAL
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, ConfigError, Problem
from tui_trainer.text.format import counted

_SIDES = {"train": TRAIN, "val": VAL, "test": TEST}
_MOST_SHOWN = 5
_Labels = list[list[str]]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Which column is what."""

    picture: str
    target: str
    notes: tuple[str, ...]


def list_hub(section: PicturesSection, wanted: str) -> PictureList | None:
    """List the pictures of a data set; None if the path leads to no such data set.

    `wanted` is the problem, or `auto`.

    Raises:
        BadInput: it has no such column, nothing to predict, or no row that can be used.
        ConfigError: a setting is for a table.
    """
    is_on_hub = section.path.startswith(HUB)
    if section.layout == "auto":
        columns = hub_columns(section.path, section.config, section.revision)
        if columns is not None:
            return _list_columns(section, columns, wanted)
        if is_on_hub:
            raise BadInput(
                f"{clean(section.path, 200)}: has no column of pictures; dataset.type=huggingface "
                "reads the others"
            )
    elif is_on_hub:
        message = "is for a folder of pictures, and dataset.path is a data set on the hub"
        raise ConfigError([Problem(message, "dataset.layout")])
    return None


def _list_columns(section: PicturesSection, columns: HubColumns, wanted: str) -> PictureList:
    chosen = _choose(section, columns)
    shards = shards_of(columns)
    rows = {split: list(range(sum(one.rows for one in own))) for split, own in shards.items()}
    has_masks, notes = chosen.target in columns.pictures, [*chosen.notes]
    labels: dict[str, _Labels] = {}
    if not has_masks:
        are_sets = chosen.target in columns.lists or wanted == "multilabel"
        labels = {split: read_labels(columns, split, chosen.target) for split in rows}
        rows, more = _with_labels(rows, labels, chosen.target, are_sets=are_sets)
        notes += more
    words, more = split_words(rows) if section.split_by in ("auto", "column") else ({}, [])
    notes += more
    used = [*words] if words else [split for split in rows if rows[split]]
    rows = {split: rows[split] for split in used}
    files = PictureFiles(
        "",
        listed_pictures(shards, rows, chosen.picture),
        listed_pictures(shards, rows, chosen.target) if has_masks else (),
        contents_of(section.path, columns, shards),
    )
    if not len(files):
        raise BadInput(f"{columns.name}: no row has a value in '{clean(chosen.target, 80)}'")
    sides = [_SIDES[words[split]] for split in used for _ in rows[split]] if words else None
    listed = PictureList(
        columns.name,
        place_of_data(section.path),
        "masks" if has_masks else "dataset",
        files,
        (),
        np.zeros(len(files), dtype=np.int64),
        None if sides is None else np.array(sides, dtype=np.int8),
        tuple(notes),
    )
    if has_masks:
        return listed
    kept = [labels[split][row] for split in used for row in rows[split]]
    if are_sets:
        return replace(listed, target=_label_sets(kept))
    return with_single_labels(listed, [one[0] for one in kept], chosen.target, wanted)


def list_unlabelled_hub(section: PicturesSection, path: str, columns: HubColumns) -> PictureList:
    """List all pictures of a data set, in the column of the section's if it has that one."""
    column = section.picture if section.picture in columns.pictures else columns.pictures[0]
    shards = shards_of(columns)
    rows = {split: range(sum(shard.rows for shard in own)) for split, own in shards.items()}
    listed = listed_pictures(shards, rows, column)
    files = PictureFiles("", listed, contents=contents_of(path, columns, shards))
    labels = np.zeros(len(files), dtype=np.int64)
    return PictureList(columns.name, place_of_data(path), "dataset", files, (), labels)


def _choose(section: PicturesSection, columns: HubColumns) -> _Chosen:
    """Return the column of pictures and that to predict, as they are stated or by their names."""
    for key in ("split", "label_separator"):
        if getattr(section, key) is not None:
            message = "is for a table of paths, and dataset.path is a data set with its own"
            raise ConfigError([Problem(message, f"dataset.{key}")])
    picture = section.picture or columns.pictures[0]
    if picture not in columns.pictures:
        shown = clean(", ".join(columns.pictures), 200)
        raise BadInput(
            f"{columns.name}: '{clean(picture, 80)}' is not a column of pictures; "
            f"available: {shown}"
        )
    notes = []
    if section.picture is None and len(columns.pictures) > 1:
        notes.append(f"the pictures are those in {clean(picture, 80)} (dataset.picture)")
    others = [name for name in columns.names if name != picture]
    if section.target is not None:
        if not isinstance(section.target, str):
            message = "a data set of Hugging Face has the labels of a picture as a list in a column"
            raise ConfigError([Problem(message, "dataset.target")])
        target = section.target
        if target not in others:
            shown = clean(", ".join(others[:20]), 400)
            raise BadInput(f"{columns.name}: no column '{clean(target, 80)}'; available: {shown}")
        return _Chosen(picture, target, tuple(notes))
    if not others:
        raise BadInput(f"{columns.name}: has pictures only, and nothing to predict")
    named = [name for name in others if name.strip().lower() in TARGETS]
    classes = [name for name in others if _is_class(columns.features.get(name))]
    masks = [name for name in others if name in columns.pictures]
    ways = (
        (named, "by its name"),
        (classes, "its classes have names"),
        (masks, "it has pictures"),
        (others[-1:], "the last column"),
    )
    target, reason = next((names[0], reason) for names, reason in ways if len(names) == 1)
    notes.append(f"{clean(target, 80)} is predicted: {reason} (dataset.target)")
    unused = [name for name in others if name != target]
    if unused:
        shown = clean(", ".join(unused[:_MOST_SHOWN]), 200)
        more = f" and {len(unused) - _MOST_SHOWN} more" if len(unused) > _MOST_SHOWN else ""
        notes.append(f"{'column' if len(unused) == 1 else 'columns'} not used: {shown}{more}")
    return _Chosen(picture, target, tuple(notes))


def _is_class(feature: object) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel"


def _with_labels(
    rows: Mapping[str, list[int]],
    labels: Mapping[str, _Labels],
    target: str,
    *,
    are_sets: bool,
) -> tuple[dict[str, list[int]], list[str]]:
    """Return the rows that have a label, and notes on the others; a list may have none."""
    kept: dict[str, list[int]] = {}
    notes = []
    shown = clean(target, 80)
    for split, own in rows.items():
        is_hidden = bool(own) and not any(labels[split])
        if is_hidden:
            notes.append(f"split {clean(split, 40)}: no row has a class in '{shown}'; left out")
            continue
        kept[split] = own if are_sets else [row for row in own if labels[split][row]]
        if lost := len(own) - len(kept[split]):
            text = f"{counted(lost, 'row')} of {clean(split, 40)} without a {shown} left out"
            notes.append(text)
    return kept, notes


def _label_sets(kept: Sequence[Sequence[str]]) -> Target:
    classes = order_classes({label for labels in kept for label in labels})
    place = {label: index for index, label in enumerate(classes)}
    values = np.zeros((len(kept), len(classes)), dtype=np.bool_)
    for row, labels in enumerate(kept):
        values[row, [place[label] for label in labels]] = True
    return Target(classes, values)
