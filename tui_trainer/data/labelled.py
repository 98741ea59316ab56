"""Reads a labelled file of its own as one split, prepared like the data that a run was trained on.

Layer: data. Means, categories and classes come from the checkpoint; nothing is learned, and nothing
is divided. The source of each type reads its own files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from tui_trainer.config.sections.datasets import DatasetSection
from tui_trainer.config.sections.problems import AUTO, ProblemSection
from tui_trainer.data.base.split import Split
from tui_trainer.data.base.table_rules import as_in_run
from tui_trainer.data.batches.joined import JoinedSplits
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.files.cell_values import to_number
from tui_trainer.data.problem_override import with_own_targets
from tui_trainer.data.read_splits import MASKED_OUT, read_whole
from tui_trainer.data.row_dataset import encode_target
from tui_trainer.data.sources.file_samples import Labelled, LabelledRows
from tui_trainer.data.sources.forecast import read_forecast_to_measure
from tui_trainer.data.sources.new_arrays import read_arrays_to_measure
from tui_trainer.data.sources.new_pictures import read_pictures_to_measure
from tui_trainer.data.sources.new_plugin_data import read_plugin_to_measure
from tui_trainer.data.sources.new_rows import read_rows_to_measure
from tui_trainer.data.sources.pixels import read_pixels_to_measure
from tui_trainer.data.sources.sequences import read_sequences_to_measure
from tui_trainer.data.sources.source import Target
from tui_trainer.data.sources.text import read_texts_to_measure
from tui_trainer.data.sources.text_folders import read_passages_to_measure
from tui_trainer.data.sources.tokens import read_tokens_to_measure
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

_MOST_SHOWN = 5
_ROWS_AT_ONCE = 4096


Reader = Callable[[Any, dict[str, Any], str, DatasetInfo], Labelled | LabelledRows]


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
        return read_plugin_to_measure(section, preprocessing, path, info, problem)
    section = as_in_run(section, preprocessing)
    info_of_base = replace(info, problem=info.base)
    labelled = reader(section, preprocessing, path, info_of_base)
    if isinstance(labelled, LabelledRows):
        labelled = _labelled(labelled, preprocessing, info_of_base)
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


READERS: dict[str, Reader] = {
    "arrays": read_arrays_to_measure,
    "table": read_rows_to_measure,
    "huggingface": read_rows_to_measure,
    "pixels": read_pixels_to_measure,
    "pictures": read_pictures_to_measure,
    "sequences": read_sequences_to_measure,
    "forecast": read_forecast_to_measure,
    "text_folders": read_passages_to_measure,
    "text": read_texts_to_measure,
    "tokens": read_tokens_to_measure,
}


def _labelled(rows: LabelledRows, preprocessing: dict[str, Any], info: DatasetInfo) -> Labelled:
    """Return rows as a split, whose classes are those of the run in their order."""
    name, noun, encoded = rows.name, rows.noun, rows.encoded
    known = _with_classes_of(info, rows.target, name)
    # In place of what is read, what is predicted, since classes have the order of the run.
    targets = encode_target(name, known, preprocessing)
    if encoded.samples is not None:
        later = read_whole(encoded, known, targets)
        return Labelled(later, name, counted(len(later), noun), tuple(encoded.notes))
    split = TensorSplit(
        encoded.inputs,
        targets,
        torch.from_numpy(rows.rows),
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
