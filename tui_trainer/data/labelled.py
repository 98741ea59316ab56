"""Reads a labelled file of its own as one split, prepared like the data that a run was trained on.

Layer: data. Means, categories and classes come from the checkpoint; nothing is learned here, and
nothing is divided.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.arrays import ArraysSection
from tui_trainer.config.sections.datasets import (
    DatasetSection,
    ForecastSection,
    PixelsSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.config.sections.picture_datasets import TABLE_SETTINGS, PicturesSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.config.sections.text_datasets import TextFoldersSection, TextSection, TokensSection
from tui_trainer.data.base.split import Split
from tui_trainer.data.base.table_rules import as_in_run
from tui_trainer.data.batches.joined import JoinedSplits, joined_tensors
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.batches.text_rows import TextSplit
from tui_trainer.data.files.cell_values import to_number
from tui_trainer.data.files.columns import RequestedKind
from tui_trainer.data.files.hub_pictures import hub_columns
from tui_trainer.data.files.picture_opener import is_image
from tui_trainer.data.files.tables import with_normal_names
from tui_trainer.data.problem_override import with_own_targets
from tui_trainer.data.read_splits import MASKED_OUT, read_whole
from tui_trainer.data.row_dataset import encode_target
from tui_trainer.data.sources.column_inputs import encode_all
from tui_trainer.data.sources.forecast import read_forecast_to_measure
from tui_trainer.data.sources.new_arrays import read_arrays_to_measure
from tui_trainer.data.sources.new_plugin_data import load_to_measure
from tui_trainer.data.sources.new_rows import read_columns
from tui_trainer.data.sources.pictures import read_picture_files
from tui_trainer.data.sources.pixels import read_pixels
from tui_trainer.data.sources.sequences import read_sequences_to_measure
from tui_trainer.data.sources.source import Encoded, Source, Target
from tui_trainer.data.sources.table import select_rows
from tui_trainer.data.sources.table_targets import read_targets
from tui_trainer.data.sources.text import read_texts
from tui_trainer.data.sources.text_folders import read_passages
from tui_trainer.data.sources.tokens import read_tokens_to_measure
from tui_trainer.data.tokenizers.tokenizer_choice import tokenizer_of
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_MOST_SHOWN = 5
_ROWS_AT_ONCE = 4096
_GAPS = {"NA", "na", "Na"}
"""Names of classes that stand for a missing value elsewhere."""


Reader = Callable[[Any, dict[str, Any], str, DatasetInfo], "Labelled"]


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """All samples of a file, with their targets."""

    split: Split | JoinedSplits
    name: str
    """The name of the file, cleaned for display."""
    count: str
    """How much it is, as `80 rows`."""
    notes: tuple[str, ...]


def read_labelled(
    section: DatasetSection,
    preprocessing: dict[str, Any],
    path: str,
    info: DatasetInfo,
    problem: ProblemSection = AUTO,
) -> Labelled:
    """Read a file, or a folder of texts, written like the one that a run was trained on.

    Raises:
        BadInput: it cannot be read, a column is missing, or a class is none of the run's.
    """
    reader = READERS.get(section.type)
    if reader is None:
        return _of_plugin(section, preprocessing, path, info, problem)
    section = as_in_run(section, preprocessing)
    labelled = reader(section, preprocessing, path, replace(info, problem=info.base))
    if isinstance(labelled.split, JoinedSplits):
        return labelled
    return replace(labelled, split=with_own_targets(labelled.split, info))


def count_known(train: Split, split: Split | JoinedSplits) -> int | None:
    """Return how many samples have the inputs of one in `train`; None if they are not in memory."""
    # Texts to be predicted byte by byte have no samples that could be compared.
    if not (isinstance(train, TensorSplit) and isinstance(split, TensorSplit)):
        return None
    seen = set(_digests(train))
    return sum(digest in seen for digest in _digests(split))


def _digests(split: TensorSplit) -> list[bytes]:
    """Return a hash of the inputs of each sample, without the padding behind a sequence."""
    # A part at a time, because samples may be mapped from a file that is larger than memory.
    digests: list[bytes] = []
    for positions in torch.split(torch.arange(len(split)), _ROWS_AT_ONCE):
        digests += _digests_of_part(split.rows_at(positions))
    return digests


def _digests_of_part(split: TensorSplit) -> list[bytes]:
    columns = [split.ready_inputs(), *split.others.values()]
    arrays = [np.ascontiguousarray(column.cpu().numpy()) for column in columns]
    # Adding 0 makes one zero of two.
    inputs, *others = [array + 0.0 if array.dtype.kind == "f" else array for array in arrays]
    lengths = [None] * len(split) if split.lengths is None else split.lengths.tolist()
    return [
        b"".join(
            blake2b(values.tobytes(), digest_size=16).digest()
            for values in (inputs[row][:length], *(array[row] for array in others))
        )
        for row, length in enumerate(lengths)
    ]


def _table(
    section: TableSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    fitted = preprocessing["inputs"]
    kind: RequestedKind = "number"
    if info.problem == "classification" or section.label_separator is not None:
        kind = "category"
    targets = dict.fromkeys(section.targets, kind)
    classes = section.targets[0] if _GAPS & {*info.classes} else ""
    opened, table = read_columns(section, fitted, path, targets, classes)
    section = with_normal_names(section, opened)
    file = opened.file
    rows, notes = select_rows(section, file, table)
    target, said = read_targets(section, info.problem, file.name, table, rows)
    columns = {name: table.columns[name].take(rows) for name in fitted}
    encoded = encode_all(columns, fitted, file.name)
    of_split = {section.group, section.split, section.time}
    used = {*fitted, *section.targets, *section.drop, *of_split, opened.index}
    ignored = [name for name in opened.header if name not in used]
    notes = [*opened.notes, *table.notes, *said, *notes, *encoded.notes, *_ignored_note(ignored)]
    whole = replace(encoded, notes=notes)
    return _labelled(file.name, target, rows, whole, preprocessing, info, "row")


def _pixels(
    section: PixelsSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    if is_image(path):
        raise BadInput(
            f"{clean(path, 200)}: a picture has no label; --data takes a CSV file of pixels with "
            "a label in each row"
        )
    source = read_pixels(section.model_copy(update={"path": path}))
    return _of_source(source, preprocessing, info)


def _pictures(
    section: PicturesSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
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
    return _of_source(source, preprocessing, info)


def _sequences(
    section: SequencesSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    channels = tuple(preprocessing["inputs"])
    source, ignored = read_sequences_to_measure(section, channels, path, info.problem)
    return _of_source(source, preprocessing, info, _ignored_note(ignored))


def _forecast(
    section: ForecastSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    source, ignored = read_forecast_to_measure(section, preprocessing["inputs"], path)
    return _of_source(source, preprocessing, info, _ignored_note(ignored))


def _passages(
    section: TextFoldersSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    # The tokenizer is that of the checkpoint; its file is not needed.
    moved = section.model_copy(update={"path": path, "tokenizer": "bytes"})
    source = read_passages(moved, whole=True)
    return _of_source(source, preprocessing, info)


def _text(
    section: TextSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    texts = read_texts(section.model_copy(update={"path": path}))
    contents = [text.content for text in texts.texts]
    tokenizer = tokenizer_of(preprocessing.get("tokenizer"))
    numbers = range(len(contents))
    split = TextSplit.encoded(tokenizer, contents, numbers, section.sequence_length)
    size = sum(map(len, contents))
    count = f"{counted(len(contents), texts.noun)}, {counted(size, 'byte')}"
    return Labelled(split, texts.name, count, texts.notes)


def _tokens(
    section: TokensSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    split, file = read_tokens_to_measure(section, preprocessing, path)
    return Labelled(split, file.name, counted(len(file.tokens), "token"), ())


def _of_plugin(
    section: DatasetSection,
    preprocessing: dict[str, Any],
    path: str,
    info: DatasetInfo,
    problem: ProblemSection,
) -> Labelled:
    """Let a plugin's function make its data with another path, and take all its splits."""
    name = f"dataset {section.type}"
    if not section.path:
        raise BadInput(
            f"{name}: the run used it without a path, so --data FILE cannot tell it where other "
            "data are; a plugin reads them from params.path, with dataset.path=PATH in training"
        )
    if not os.path.exists(path):
        raise BadInput(f"{clean(path, 200)}: no such file or folder")
    moved = section.model_copy(update={"path": path})
    data, parts = load_to_measure(moved, preprocessing, problem, info.classes)
    tensors = [part for part in parts if isinstance(part, TensorSplit)]
    split: Split | JoinedSplits = parts[0] if len(parts) == 1 else JoinedSplits(parts)
    if len(tensors) == len(parts) > 1:
        split = joined_tensors(tensors)
    return Labelled(split, clean(path, 200), counted(len(split), "sample"), data.notes[:1])


def _arrays(
    section: ArraysSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> Labelled:
    fitted = preprocessing["inputs"]
    name, encoded, target, rows = read_arrays_to_measure(section, fitted, path, info.problem)
    return _labelled(name, target, rows, encoded, preprocessing, info, "row")


READERS: dict[str, Reader] = {
    "arrays": _arrays,
    "table": _table,
    "huggingface": _table,
    "pixels": _pixels,
    "pictures": _pictures,
    "sequences": _sequences,
    "forecast": _forecast,
    "text_folders": _passages,
    "text": _text,
    "tokens": _tokens,
}


def _of_source(
    source: Source,
    preprocessing: dict[str, Any],
    info: DatasetInfo,
    more: list[str] | None = None,
) -> Labelled:
    encoded = source.encode(preprocessing["inputs"])
    notes = [*source.notes, *encoded.notes, *(more or [])]
    full = replace(encoded, notes=notes)
    return _labelled(
        source.name, source.target, source.rows, full, preprocessing, info, source.noun
    )


def _labelled(
    name: str,
    target: Target,
    rows: NDArray[np.int64],
    encoded: Encoded,
    preprocessing: dict[str, Any],
    info: DatasetInfo,
    noun: str,
) -> Labelled:
    known = _with_classes_of(info, target, name)
    if encoded.samples is not None:
        # In place of what is read, what is predicted, since classes have the order of the run.
        targets = encode_target(name, known, preprocessing)
        read = read_whole(encoded, known, targets)
        return Labelled(read, name, counted(len(read), noun), tuple(encoded.notes))
    split = TensorSplit(
        encoded.inputs,
        encode_target(name, known, preprocessing),
        torch.from_numpy(rows),
        encoded.lengths,
        others=encoded.others,
        scaling=encoded.scaling,
        ignored=MASKED_OUT if known.masks is not None else None,
    )
    return Labelled(split, name, counted(len(split), noun), tuple(encoded.notes))


def _with_classes_of(info: DatasetInfo, target: Target, name: str) -> Target:
    """Return a target with the classes of the run in their order.

    Raises:
        BadInput: some of its classes are none of the run's; lists them.
    """
    if not info.classes:
        return target
    place = _places(info, target.classes)
    unknown = [index for index, label in enumerate(target.classes) if label not in place]
    if unknown and target.masks is not None:
        shown = clean(", ".join(target.classes[index] for index in unknown[:_MOST_SHOWN]), 200)
        raise BadInput(
            f"{name}: the masks have {counted(len(unknown), 'class', 'classes')} that the run was "
            f"not trained on: {shown}; it knows {clean(', '.join(info.classes), 300)}"
        )
    if unknown:
        is_tagged = target.values.ndim == 2
        counts = target.values.sum(axis=0) if is_tagged else np.bincount(target.values)
        shown = ", ".join(
            f"'{clean(target.classes[index], 80)}' ({counted(int(counts[index]), 'row')})"
            for index in unknown[:_MOST_SHOWN]
        )
        more = len(unknown) - _MOST_SHOWN
        nouns = ("label", "labels") if is_tagged else ("class", "classes")
        raise BadInput(
            f"{name}: {counted(len(unknown), *nouns)} that the run was not trained on: {shown}"
            + (f" and {more:,} more" if more > 0 else "")
            + f"; it knows {clean(', '.join(info.classes), 300)}; leave those rows out, or train "
            "a new run on them"
        )
    if target.masks is not None:
        numbers = dict(zip(target.classes, target.numbers_of_classes, strict=True))
        known = tuple(numbers.get(name, -1) for name in info.classes)
        return replace(target, classes=info.classes, mask_numbers=known)
    moved = np.array([place[label] for label in target.classes], dtype=np.int64)
    if target.values.ndim == 1:
        return Target(info.classes, moved[target.values])
    values = np.zeros((len(target.values), len(info.classes)), dtype=target.values.dtype)
    values[:, moved] = target.values
    return Target(info.classes, values)


def _places(info: DatasetInfo, classes: tuple[str, ...]) -> dict[str, int]:
    """Return the position of each class that the run knows among those of the run.

    A number may be written otherwise than in training, as 1.0 for 1.
    """
    exact = {label: index for index, label in enumerate(info.classes)}
    places = {label: exact[label] for label in classes if label in exact}
    by_number = {to_number(label): index for label, index in exact.items()}
    if None in by_number:
        return places
    others = {label: by_number.get(to_number(label)) for label in classes if label not in exact}
    return places | {label: index for label, index in others.items() if index is not None}


def _ignored_note(names: list[str]) -> list[str]:
    if not names:
        return []
    shown = clean(", ".join(names[:_MOST_SHOWN]), 200)
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    noun = "column" if len(names) == 1 else "columns"
    return [f"{noun} that the model was not trained on, ignored: {shown}{more}"]
