"""`Dataset`: three splits and all there is to know about them; `load` makes one from a section.

Layer: data. What is learned from data (means, categories) is learned from the training split, or
taken from a checkpoint's `preprocessing`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tui_trainer.config.datasets import DatasetSection
from tui_trainer.config.metrics import Task
from tui_trainer.data.batch import Split
from tui_trainer.data.delivery import Augment
from tui_trainer.data.signature import Signature


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
    soft_targets: bool = False
    """Whether augmentation turns classes into shares of classes, (B, classes) float32."""
    class_counts: tuple[int, ...] = ()
    """Training samples of each class; () where there are no classes, or nobody counted."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.signature.input_shape

    @property
    def outputs(self) -> int:
        return self.signature.outputs


def fingerprint(section: DatasetSection, sha256: str) -> str:
    """sha256 over that of the raw data and every setting but its path."""
    settings = section.model_dump(mode="json", exclude={"path"})
    text = json.dumps([sha256, settings], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
