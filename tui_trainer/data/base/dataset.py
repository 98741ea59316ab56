"""`Dataset`: three splits and all there is to know about them; `load` makes one from a section.

Layer: data. What is learned from data (means, categories) is learned from the training split, or
taken from a checkpoint's `preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tui_trainer.config.sections.metrics import ProblemName
from tui_trainer.data.base.batch import Split
from tui_trainer.data.base.fingerprint import Fingerprint
from tui_trainer.data.base.signature import Signature
from tui_trainer.data.base.to_device import Augment
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable

MOST_SIZE = 2**31
"""Of a dimension of samples and outputs that a checkpoint tells."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits and all there is to know about them."""

    train: Split
    val: Split
    test: Split
    task: ProblemName
    classes: tuple[str, ...]
    """As they are in the file, so `clean` them before they are shown; () for regression."""
    signature: Signature
    preprocessing: dict[str, Any]
    """Plain values: it goes into a checkpoint, and back into `load` as `fitted`."""
    augment: Augment | None
    fingerprint: Fingerprint
    """Of the raw data and the settings."""
    notes: tuple[str, ...]
    """What a person should be told, one line each, harmless to show."""
    target_mean: float = 0.0
    target_std: float = 1.0
    """targets * target_std + target_mean are in the file's units."""
    soft_targets: bool = False
    """Whether augmentation turns classes into shares of classes, (B, classes) float32."""
    class_counts: tuple[int, ...] = ()
    """Training samples of each class; () where there are no classes, or nobody counted."""
    doubt: str = ""
    """What was read from the data that may be meant otherwise, and how to say so; one of `notes`,
    and part of the messages about what does not fit it.
    """

    def outline(self) -> DatasetInfo:
        """The data set without its data."""
        return DatasetInfo(
            self.signature, self.task, self.classes, self.target_mean, self.target_std
        )

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.signature.input_shape

    @property
    def outputs(self) -> int:
        return self.signature.outputs


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What there is to know of a data set without having it; a checkpoint keeps it."""

    signature: Signature
    task: ProblemName
    classes: tuple[str, ...]
    target_mean: float
    target_std: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> DatasetInfo:
        """What `to_dict` gave; KeyError or TypeError when it is something else."""
        shape = tuple(plain["signature"]["input_shape"])
        signature = Signature(**{**plain["signature"], "input_shape": shape})
        for size in (*shape, signature.outputs, signature.vocabulary):
            if type(size) is not int or not 0 <= size < MOST_SIZE:
                raise TypeError(f"a size of {size!r:.40}")
        return DatasetInfo(**{**plain, "signature": signature, "classes": tuple(plain["classes"])})


# What must be equal for a fitted preprocessing to be of some data; it goes into a checkpoint.


_MOST_SHOWN = 5


def identity(
    source: str, task: ProblemName, classes: Sequence[str], layout: Mapping[str, str]
) -> dict[str, Any]:
    """The identity as plain values, the first entries of a `preprocessing`."""
    return {"source": source, "task": task, "classes": list(classes), "layout": dict(layout)}


def check_same(own: Mapping[str, Any], fitted: Mapping[str, Any], name: str) -> None:
    """Raise CheckpointUnusable with what differs between data and a checkpoint's preprocessing."""
    here, there = _flat(own), _flat({key: fitted.get(key) for key in own})
    differences = [
        f"{clean(key, 80)}: {there.get(key, 'missing')} in the checkpoint, "
        f"{here.get(key, 'missing')} in {name}"
        for key in dict.fromkeys([*here, *there])
        if here.get(key) != there.get(key)
    ]
    if differences:
        hidden = len(differences) - _MOST_SHOWN
        more = f" (and {hidden} more)" if hidden > 0 else ""
        raise CheckpointUnusable(
            "the checkpoint is of other data: " + "; ".join(differences[:_MOST_SHOWN]) + more
        )


def _flat(parts: Mapping[str, Any]) -> dict[str, str]:
    """One entry a thing that can differ, fit to be shown."""
    entries = {key: str(parts[key]) for key in ("source", "task")}
    entries |= {f"class {n}": repr(text) for n, text in enumerate(parts["classes"] or ())}
    entries |= {str(key): str(value) for key, value in (parts["layout"] or {}).items()}
    return {key: clean(value, 80) for key, value in entries.items()}
