"""`load_rows`: splits, fits and encodes the rows of a source into three splits of tensors.

Layer: data. Means, categories and the like are learned from the training split only, or taken
from a checkpoint's `preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.problem_specs import PROBLEMS
from tui_trainer.config.sections.datasets import (
    NumbersSection,
    RowsSection,
    SequencesSection,
    TableSection,
)
from tui_trainer.data.base.dataset import (
    NEEDS_ITS_DATA,
    Dataset,
    absent_notes,
    check_same,
    identity,
)
from tui_trainer.data.base.fingerprint import fingerprint_of
from tui_trainer.data.base.split import Split
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.data.files.cell_values import to_numbers
from tui_trainer.data.read_splits import MASKED_OUT, class_places, read_splits, stay_out
from tui_trainer.data.row_summary import summarise
from tui_trainer.data.source_split import split_source, target_of_run
from tui_trainer.data.sources.encoding import moments, standardise
from tui_trainer.data.sources.source import Encoded, Source, Target
from tui_trainer.data.splits.division import check_has_no_record, summary_of
from tui_trainer.data.splits.notices import class_notices
from tui_trainer.data.splits.position import SplitRows
from tui_trainer.data.splits.record import SplitRecord
from tui_trainer.data.splits.row_split import RowSplit
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import SampleField, Signature
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput, CheckpointUnusable

_FEW_NUMBERS = 100
"""Up to this many distinct whole numbers may be meant as classes."""
_NAMED_NUMBERS = 5


def load_rows(
    section: RowsSection,
    source: Source,
    fitted: dict[str, Any] | None,
    record: SplitRecord | None,
    written_problem: str = "auto",
) -> Dataset:
    """Split, fit and encode the rows of a source; raises the same errors as `load`.

    `written_problem` is what the settings say of the problem: `auto`, or its name.
    """
    split, source = _divided(section, source, fitted, record)
    parts, target = split.parts, source.target
    spec = PROBLEMS.get(written_problem)
    preprocessing = fitted
    if preprocessing is None:
        keeps_numbers = spec is not None and spec.stores_targets
        preprocessing = _fit(section, source, parts.train, keeps_numbers=keeps_numbers)
    encoded = _trimmed(source.encode(preprocessing["inputs"]), split.rows)
    doubt = _doubt(section, target) if written_problem == "auto" else ""
    counts = [_class_counts(target, rows) for rows in (parts.train, parts.val, parts.test)]
    is_classified = target.problem == "classification"
    notes = (*([doubt] if doubt else []), *source.notes, *split.notes, *encoded.notes)
    notes += _class_notes(source, counts, is_new=not fitted)
    (train, val, test), split, left_out = _as_splits(source, encoded, preprocessing, split)
    return Dataset(
        train=train,
        val=val,
        test=test,
        info=_described(source, encoded, preprocessing),
        preprocessing=preprocessing,
        augment=source.augment(preprocessing["inputs"]),
        fingerprint=fingerprint_of(section, source.sha256, written_problem),
        notes=notes,
        noun=source.noun,
        soft_targets=is_classified and _is_mixed(section),
        class_counts=counts[0] if is_classified else (),
        val_counts=counts[1] if is_classified else (),
        doubt=doubt,
        summary=summarise(source, preprocessing["inputs"], parts, encoded.inputs.shape[1:]),
        split_record=split.record,
        changes=split.changes,
        split_summary=_summary(section, source),
        left_out=left_out,
    )


def _class_notes(
    source: Source, counts: Sequence[Sequence[int]], *, is_new: bool
) -> tuple[str, ...]:
    """Return notes on classes that are rare, or missing in a split; `counts` are for each split."""
    target = source.target
    notes = absent_notes(target.classes, *counts, noun=source.noun)
    if is_new and target.problem == "classification":
        notes += tuple(class_notices(target.classes, counts[0], source.noun))
    return notes


def _as_splits(
    source: Source, encoded: Encoded, preprocessing: Mapping[str, Any], split: RowSplit
) -> tuple[tuple[Split, Split, Split], RowSplit, LeftOut | None]:
    """Return the splits, how the rows are split, and what stays out if rows are read one by one."""
    if encoded.samples is None:
        return _splits(source, encoded, preprocessing, split.parts), split, None
    targets = encode_target(source.name, source.target, preprocessing)
    splits, left_out = read_splits(encoded, source.target, targets, split)
    return splits, stay_out(split, encoded), left_out


def _splits(
    source: Source, encoded: Encoded, preprocessing: Mapping[str, Any], parts: SplitRows
) -> tuple[TensorSplit, TensorSplit, TensorSplit]:
    """Return the rows for training, validation and the test."""
    full = TensorSplit(
        encoded.inputs,
        encode_target(source.name, source.target, preprocessing),
        torch.from_numpy(source.rows),
        encoded.lengths,
        others=encoded.others,
        places=torch.arange(len(source.rows)) if encoded.is_shared else None,
        scaling=encoded.scaling,
        ignored=MASKED_OUT if source.target.masks is not None else None,
        check=encoded.check,
    )
    train, val, test = (
        _in_own_tensor(full.rows_at(torch.from_numpy(rows)), encoded.more_inputs)
        for rows in (parts.train, parts.val, parts.test)
    )
    return train, val, test


def _in_own_tensor(split: TensorSplit, more: Sequence[Tensor]) -> TensorSplit:
    """Return a split whose places are in its own tensor, the shared one or one of `more`.

    Samples of several tensors, which is what a record of older files may ask for, are copied.
    """
    if not more or split.places is None or not len(split):
        return split
    places, begin = split.places, 0
    pieces = []
    for tensor in (split.inputs, *more):
        inside = (places >= begin) & (places < begin + len(tensor))
        if inside.all():
            return replace(split, inputs=tensor, places=places - begin)
        pieces.append((tensor, inside, begin))
        begin += len(tensor)
    inputs = split.inputs.new_empty((len(split), *split.inputs.shape[1:]))
    for tensor, inside, start in pieces:
        inputs[inside] = tensor[places[inside] - start]
    return replace(split, inputs=inputs, places=torch.arange(len(split)))


def _divided(
    section: RowsSection,
    source: Source,
    fitted: dict[str, Any] | None,
    record: SplitRecord | None,
) -> tuple[RowSplit, Source]:
    """Return the checked split of a source, and the source with the classes of its rows."""
    split = split_source(section, source, fitted, record)
    changes = split.changes
    if changes is not None and changes.new:
        source = source.with_target(target_of_run(source.target, split.rows, fitted))
    if fitted is not None:
        check_same(_identity(section, source), fitted, source.name)
        if record is None:
            check_has_no_record(fitted)
    if changes is not None and changes.gone and not len(split.parts.train):
        raise CheckpointUnusable(
            f"{source.name}: no row is as it was in the training split of the run; {NEEDS_ITS_DATA}"
        )
    _check_classes(source)
    _check_parts(section, source, split.parts)
    return split, source


def _summary(section: RowsSection, source: Source) -> str:
    is_drawn = source.division.val is None and source.division.times is None
    is_stratified = section.stratify and is_drawn
    return summary_of(source.division.rule, section, stratified=is_stratified)


def _trimmed(encoded: Encoded, rows: NDArray[np.int64]) -> Encoded:
    """Return sequences padded to the longest of these rows: others may be longer."""
    if encoded.lengths is None:
        return encoded
    longest = int(encoded.lengths[torch.from_numpy(rows)].max())
    return replace(encoded, inputs=encoded.inputs[:, :longest])


def _described(source: Source, encoded: Encoded, preprocessing: Mapping[str, Any]) -> DatasetInfo:
    target = source.target
    signature = Signature(
        source.kind,
        tuple(encoded.inputs.shape[1:]),
        outputs=target.outputs,
        vocabulary=encoded.vocabulary,
        places=PROBLEMS[target.problem].places,
        numbers=0 if encoded.numbers is None else encoded.numbers.shape[1],
    )
    others = [
        SampleField(name, tuple(values.shape[1:]), "float32")
        for name, values in encoded.others.items()
    ]
    return DatasetInfo(
        signature,
        target.problem,
        target.classes,
        target_mean=_scale(preprocessing["target_mean"]),
        target_std=_scale(preprocessing["target_std"]),
        fields=(signature.field(), *others) if others else (),
        target_names=target.names,
    )


def _scale(saved: Any) -> float | tuple[float, ...]:
    """Return a mean or deviation of the target, one for each number if there are several."""
    return tuple(saved) if isinstance(saved, list) else saved


def _doubt(section: RowsSection, target: Target) -> str:
    """Return a warning if the target is predicted as a number but looks like classes.

    It is empty where the settings or the data settle the question.
    """
    if not isinstance(section, TableSection | SequencesSection):
        return ""
    if target.classes or target.names:
        return ""
    # Sorting all of many is slow, and the first ones nearly always decide.
    if len(np.unique(target.values[: 50 * _FEW_NUMBERS])) > _FEW_NUMBERS:
        return ""
    distinct = np.unique(target.values)
    if len(distinct) > min(_FEW_NUMBERS, len(target.values) // 3):
        return ""
    if not (distinct == np.round(distinct)).all():
        return ""
    shown = ", ".join(f"{number:g}" for number in distinct[:_NAMED_NUMBERS])
    suffix = ", ..." if len(distinct) > _NAMED_NUMBERS else ""
    return (
        f"{clean(str(section.target), 80)} is predicted as a number, because its values are "
        f"numbers ({shown}{suffix}); problem=classification treats them as classes"
    )


def _is_mixed(section: RowsSection) -> bool:
    return isinstance(section, NumbersSection) and section.mixup is not None


def _check_classes(source: Source) -> None:
    if source.target.problem == "classification" and len(source.target.classes) == 1:
        raise BadInput(
            f"{source.name}: every sample has the class '{clean(source.target.classes[0], 80)}'; "
            "classification needs at least two classes"
        )


def _check_parts(section: RowsSection, source: Source, parts: SplitRows) -> None:
    """Raise BadInput for an empty split, or a class missing from the training split."""
    target, stated = source.target, source.division.test
    # The data may say which rows are in which split, and that none is for the test.
    test_fraction = 0.0 if stated is not None and not stated.any() else section.test_fraction
    sizes = {
        "training": (len(parts.train), 1.0),
        "validation": (len(parts.val), section.val_fraction),
        "test": (len(parts.test), test_fraction),
    }
    for name, (size, share) in sizes.items():
        if size == 0 and share > 0:
            classes = f" of {len(target.classes)} classes" if target.classes else ""
            way = source.division.shortage
            if 2 * len(target.classes) > len(target.values):
                way += ", or another target: most classes have a single row"
                if not to_numbers(target.classes)[1]:
                    way += "; problem=regression predicts them as numbers"
            raise BadInput(
                f"{source.name}: {len(target.values)} rows{classes} leave the {name} split "
                f"empty; {way}"
            )
    absent = _absent(target, parts.train)
    if absent:
        way = "set another dataset.split_seed" if section.stratify else "set dataset.stratify=true"
        if source.division.test is not None or source.division.val is not None:
            way = "the data say which rows are in which split; put a row of it into training"
        raise BadInput(
            f"{source.name}: the training split has no row of the class '{absent[0]}'; {way}"
        )


def _class_counts(target: Target, rows: NDArray[np.int64]) -> tuple[int, ...]:
    if not target.classes or target.masks is not None:
        return ()
    if target.problem == "multilabel":
        return tuple(target.values[rows].sum(axis=0).astype(np.int64).tolist())
    return tuple(np.bincount(target.values[rows], minlength=len(target.classes)).tolist())


def _absent(target: Target, rows: NDArray[np.int64]) -> list[str]:
    """Return the classes without a row in a part, cleaned for display."""
    if target.problem != "classification":
        return []
    counts = _class_counts(target, rows)
    return [clean(target.classes[index], 80) for index, count in enumerate(counts) if count == 0]


def _fit(
    section: RowsSection, source: Source, train: NDArray[np.int64], *, keeps_numbers: bool
) -> dict[str, Any]:
    """Learn the preprocessing; numbers to predict stay as they are with `keeps_numbers`."""
    mean, std = 0.0, 1.0
    target = source.target
    is_scaled = target.problem == "regression" and not keeps_numbers
    if is_scaled and target.values.ndim == 1:
        mean, std = _moments_of(target.values[train], source.name, "the numbers to predict are")
    inputs = {
        **_identity(section, source),
        "inputs": source.fit(train),
        "split": source.division.rule,
    }
    if is_scaled and target.values.ndim == 2:
        several = [
            _moments_of(column, source.name, f"the numbers of {clean(name, 80)} are")
            for name, column in zip(target.names, target.values[train].T, strict=True)
        ]
        # Lists, because a checkpoint has plain values.
        means, stds = [list(numbers) for numbers in zip(*several, strict=True)]
        return {**inputs, "target_mean": means, "target_std": stds}
    return {**inputs, "target_mean": mean, "target_std": std}


def _moments_of(values: NDArray[np.float64], name: str, subject: str) -> tuple[float, float]:
    """Return mean and deviation of a target in the training split; BadInput for useless ones."""
    mean, std = moments(values)
    if std == 0:
        raise BadInput(
            f"{name}: {subject} all {mean:g} in the training split; there is nothing to learn"
        )
    if not np.isfinite(std):
        raise BadInput(f"{name}: {subject} too large to compute with; rescale them")
    return mean, std


def _identity(section: RowsSection, source: Source) -> dict[str, Any]:
    return identity(section.type, source.target.problem, source.target.classes, source.layout)


def _classes_of_pixels(masks: Tensor, numbers: Sequence[int]) -> Tensor:
    """Return masks (N, H, W) with the places of the classes that have these numbers, as uint8.

    Other numbers become MASKED_OUT.
    """
    if masks.is_meta:
        return masks
    return torch.from_numpy(class_places(numbers)[masks.numpy()])


def encode_target(name: str, target: Target, preprocessing: Mapping[str, Any]) -> Tensor:
    """Return a target as a model learns it; raises BadInput for numbers of too large a range."""
    if target.masks is not None:
        return _classes_of_pixels(target.masks, target.numbers_of_classes)
    if target.problem == "multilabel":
        return torch.from_numpy(target.values.astype(np.float32))
    if target.classes:
        return torch.from_numpy(target.values)
    mean, std = (np.asarray(preprocessing[key]) for key in ("target_mean", "target_std"))
    scaled = standardise(target.values, mean, std)
    if not np.isfinite(scaled).all():
        raise BadInput(f"{name}: the range of the numbers to predict is too large; rescale them")
    return torch.from_numpy(scaled.reshape(len(scaled), -1))
