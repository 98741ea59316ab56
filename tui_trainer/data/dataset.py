"""`load`: from a section to three splits of tensors, ready to train on.

Layer: data. The one entry to every kind of data set. Whatever is learned from data (means,
categories) is learned from the training split, or taken from a checkpoint's `preprocessing`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.datasets import DatasetSection
from tui_trainer.config.errors import BadInput, CheckpointUnusable
from tui_trainer.config.metrics import Task
from tui_trainer.config.text import clean
from tui_trainer.data.encoding import moments
from tui_trainer.data.pixels import read_pixels
from tui_trainer.data.signature import Signature
from tui_trainer.data.sources import Source, Target
from tui_trainer.data.splits import Parts, quantile_bins, split_rows
from tui_trainer.data.table import read_rows

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Random changes of a batch on its device; draws from the generator alone, on the same device."""

SOURCES: dict[str, Callable[[Any], Source]] = {"pixels": read_pixels, "table": read_rows}
"""Readers by the `type` of the section they take."""

_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows of a data set as tensors."""

    inputs: Tensor
    """(N, *input_shape) float32."""
    targets: Tensor
    """(N,) int64 classes, or (N, 1) float32 numbers, standardised."""
    rows: Tensor
    """(N,) int64, always on the CPU: which row of the file it is, from 0, for messages."""

    def __len__(self) -> int:
        return len(self.rows)

    def to(self, device: torch.device | str) -> Split:
        """The same split with inputs and targets on a device."""
        return Split(self.inputs.to(device), self.targets.to(device), self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits and all there is to know about them."""

    train: Split
    val: Split
    test: Split
    task: Task
    classes: tuple[str, ...]
    """As they are in the file, so `clean` them before they are shown; () for regression."""
    signature: Signature
    preprocessing: dict[str, Any]
    """Plain values: it goes into a checkpoint, and back into `load` as `fitted`."""
    augment: Augment | None
    fingerprint: str
    """sha256 over the file's bytes and every setting but its path."""
    notes: tuple[str, ...]
    """What a person should be told, one line each, harmless to show."""
    target_mean: float = 0.0
    target_std: float = 1.0
    """targets * target_std + target_mean are in the file's units."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.signature.input_shape

    @property
    def outputs(self) -> int:
        return self.signature.outputs


def load(section: DatasetSection, fitted: dict[str, Any] | None = None) -> Dataset:
    """Read, split, fit and encode a data set; on the CPU.

    `fitted` is the `preprocessing` of a checkpoint, used in the place of fitting anew. The global
    random generators are left alone.

    Raises:
        BadInput: the file or a setting is wrong, or the data cannot be trained on.
        CheckpointUnusable: `fitted` is of other columns, classes or settings.
    """
    source = SOURCES[section.type](section)
    target = source.target
    _check_classes(source)
    parts = _split(section, target)
    _check_parts(source, parts)
    if fitted is None:
        preprocessing = _fit(section, source, parts.train)
    else:
        _check_fits(section, source, fitted)
        preprocessing = fitted
    encoded = source.encode(preprocessing["inputs"])
    whole = Split(
        encoded.inputs, _encode_target(target, preprocessing), torch.from_numpy(source.rows)
    )
    return Dataset(
        train=_take(whole, parts.train),
        val=_take(whole, parts.val),
        test=_take(whole, parts.test),
        task=target.task,
        classes=target.classes,
        signature=Signature(
            source.kind, tuple(encoded.inputs.shape[1:]), outputs=len(target.classes) or 1
        ),
        preprocessing=preprocessing,
        augment=source.augment(preprocessing["inputs"]),
        fingerprint=_fingerprint(section, source),
        notes=(*source.notes, *encoded.notes, *_absent_notes(target, parts)),
        target_mean=preprocessing["target_mean"],
        target_std=preprocessing["target_std"],
    )


def _check_classes(source: Source) -> None:
    if len(source.target.classes) == 1:
        raise BadInput(
            f"{source.name}: every row is of the class '{clean(source.target.classes[0], 80)}'; "
            "there is nothing to tell apart"
        )


def _take(whole: Split, part: NDArray[np.int64]) -> Split:
    chosen = torch.from_numpy(part)
    return Split(whole.inputs[chosen], whole.targets[chosen], whole.rows[chosen])


def _split(section: DatasetSection, target: Target) -> Parts:
    strata = np.zeros(len(target.values), dtype=np.int64)
    if section.stratify:
        strata = target.values if target.classes else quantile_bins(target.values)
    return split_rows(strata, section.split_seed, section.test_fraction, section.val_fraction)


def _check_parts(source: Source, parts: Parts) -> None:
    """Raise BadInput for an empty split, or a class that the training split does not have."""
    target = source.target
    sizes = {"training": len(parts.train), "validation": len(parts.val), "test": len(parts.test)}
    for name, size in sizes.items():
        if size == 0:
            classes = f" of {len(target.classes)} classes" if target.classes else ""
            raise BadInput(
                f"{source.name}: {len(target.values)} rows{classes} leave the {name} split "
                "empty; more rows are needed"
            )
    absent = _absent(target, parts.train)
    if absent:
        raise BadInput(
            f"{source.name}: the training split has no row of the class '{absent[0]}'; "
            "set dataset.stratify=true, or another dataset.split_seed"
        )


def _absent(target: Target, part: NDArray[np.int64]) -> list[str]:
    """Classes without a row in a part, fit to be shown."""
    if not target.classes:
        return []
    counts = np.bincount(target.values[part], minlength=len(target.classes))
    return [clean(target.classes[index], 80) for index in np.flatnonzero(counts == 0)]


def _absent_notes(target: Target, parts: Parts) -> list[str]:
    notes = []
    for name, part in (("validation", parts.val), ("test", parts.test)):
        absent = _absent(target, part)
        if absent:
            shown = clean(", ".join(absent), 200)
            notes.append(f"classes without a row in the {name} split: {shown}")
    return notes


def _fit(section: DatasetSection, source: Source, train: NDArray[np.int64]) -> dict[str, Any]:
    mean, std = 0.0, 1.0
    if source.target.task == "regression":
        mean, std = moments(source.target.values[train])
        if std == 0:
            raise BadInput(
                f"{source.name}: the numbers to predict are all {mean:g} in the training split; "
                "there is nothing to learn"
            )
        if not np.isfinite(std):
            raise BadInput(
                f"{source.name}: the numbers to predict are too large to compute with; rescale them"
            )
    return {
        **_identity(section, source),
        "inputs": source.fit(train),
        "target_mean": mean,
        "target_std": std,
    }


def _identity(section: DatasetSection, source: Source) -> dict[str, Any]:
    """What must be equal for a fitted preprocessing to be of this data."""
    return {
        "source": section.type,
        "task": source.target.task,
        "classes": list(source.target.classes),
        "layout": dict(source.layout),
    }


def _check_fits(section: DatasetSection, source: Source, fitted: Mapping[str, Any]) -> None:
    own = _flat(_identity(section, source))
    saved = _flat({key: fitted.get(key) for key in ("source", "task", "classes", "layout")})
    differences = [
        f"{clean(key, 80)}: {saved.get(key, 'missing')} in the checkpoint, "
        f"{own.get(key, 'missing')} in {source.name}"
        for key in dict.fromkeys([*own, *saved])
        if own.get(key) != saved.get(key)
    ]
    if differences:
        hidden = len(differences) - _MOST_SHOWN
        more = f" (and {hidden} more)" if hidden > 0 else ""
        raise CheckpointUnusable(
            "the checkpoint is of other data: " + "; ".join(differences[:_MOST_SHOWN]) + more
        )


def _flat(identity: Mapping[str, Any]) -> dict[str, str]:
    """One entry a thing that can differ, fit to be shown."""
    entries = {key: str(identity[key]) for key in ("source", "task")}
    entries |= {f"class {n}": repr(text) for n, text in enumerate(identity["classes"] or ())}
    entries |= {str(key): str(value) for key, value in (identity["layout"] or {}).items()}
    return {key: clean(value, 80) for key, value in entries.items()}


def _encode_target(target: Target, preprocessing: Mapping[str, Any]) -> Tensor:
    if target.classes:
        return torch.from_numpy(target.values)
    scaled = (target.values - preprocessing["target_mean"]) / preprocessing["target_std"]
    return torch.from_numpy(scaled.astype(np.float32)[:, None])


def _fingerprint(section: DatasetSection, source: Source) -> str:
    settings = section.model_dump(mode="json", exclude={"path"})
    text = json.dumps([source.sha256, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
