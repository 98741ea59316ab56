"""`Dataset`: three splits and everything known about them; `load` makes one from a section.

Layer: data. Means, categories and the like are learned from the training split only, or taken
from a checkpoint's `preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.data.base.fingerprint import Fingerprint
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.base.split import Split
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Signature
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import CheckpointUnusable

if TYPE_CHECKING:
    from tui_trainer.data.batches.left_out import LeftOut
    from tui_trainer.data.splits.record import RowChanges, SplitRecord


@dataclass(frozen=True, slots=True)
class DataSummary:
    """A data set in a few short texts, for a person who has not seen it yet.

    The texts are cleaned for display, and say nothing of settings.
    """

    contents: str
    """The rows and columns, or what there is in their place."""
    target: str
    """Its classes with their rows, or the range of its numbers."""
    inputs: str
    """The kinds of the columns or the shape of the inputs."""
    split: str
    """The shares of the splits."""
    sizes: tuple[int, int, int]
    """Samples for training, validation and the test; bytes of a text to be continued."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def shares_text(sizes: Sequence[int]) -> str:
    """Return the shares of the three splits: `68 / 12 / 20 % train, validation, test`."""
    shares = " / ".join(f"{100 * size / max(sum(sizes), 1):.0f}" for size in sizes)
    return f"{shares} % train, validation, test"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Three splits and everything known about them."""

    train: Split
    val: Split
    test: Split
    info: DatasetInfo
    """Describes them without their samples."""
    preprocessing: dict[str, Any]
    """Plain values: saved in a checkpoint, and passed back to `load` as `fitted`."""
    augment: Augment | None
    fingerprint: Fingerprint
    """Identifies the raw data and the settings."""
    notes: tuple[str, ...]
    """Notes for the user, one line each, already cleaned for display."""
    noun: str = "sample"
    """The noun for one of its samples: row, picture, text."""
    soft_targets: bool = False
    """Whether augmentation turns classes into shares of classes, (B, classes) float32."""
    class_counts: tuple[int, ...] = ()
    """Training samples per class; () if there are no classes or the counts are unknown."""
    val_counts: tuple[int, ...] = ()
    """Validation samples per class, as `class_counts`."""
    split_record: SplitRecord | None = None
    """The side of every row; None in runs of older versions, and for data of plugins."""
    changes: RowChanges | None = None
    """How the rows differ from those of the run, if its record was given."""
    split_summary: str = ""
    """How the rows were split, in a few words; empty if that is up to a plugin."""
    doubt: str = ""
    """A guess made from the data that may be wrong, and the setting that corrects it. It is one of
    `notes`, and is repeated in messages about settings that do not fit the guess.
    """
    summary: DataSummary | None = None
    """Describes the data to a person; None for those of a plugin."""
    left_out: LeftOut | None = None
    """The samples that could not be read, of data that are read while training; else None."""

    @property
    def problem(self) -> ProblemName:
        return self.info.problem

    @property
    def base(self) -> ProblemName:
        """The built-in problem whose rules hold."""
        return self.info.base

    @property
    def classes(self) -> tuple[str, ...]:
        """Names as they are in the file, so `clean` them before showing them; () for numbers."""
        return self.info.classes

    @property
    def signature(self) -> Signature:
        return self.info.signature

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.info.signature.input_shape

    @property
    def outputs(self) -> int:
        return self.info.signature.outputs


def absent_notes(
    classes: Sequence[str],
    train: Sequence[int],
    val: Sequence[int],
    test: Sequence[int],
    *,
    noun: str = "sample",
) -> tuple[str, ...]:
    """Return a note for each measured split without a sample of some class.

    Args:
        classes: the names of the classes, as in the file.
        train: training samples per class, empty if unknown; `val` and `test` likewise.
        noun: the noun for a sample.
    """
    counts = {"training": train, "validation": val, "test": test}
    notes = []
    for split in ("validation", "test"):
        others = {name: sizes for name, sizes in counts.items() if sizes and name != split}
        absent = [
            clean(classes[index], 80)
            + f" ({', '.join(f'{sizes[index]:,} in {name}' for name, sizes in others.items())})"
            for index, count in enumerate(counts[split])
            if count == 0 and any(counts[split])
        ]
        if absent:
            shown = clean(", ".join(absent), 200)
            notes.append(f"classes without a {noun} in the {split} split: {shown}")
    return tuple(notes)


# The identity of a fitted preprocessing. It is saved in a checkpoint, and data can use the
# preprocessing only if theirs is equal.


_MOST_SHOWN = 5
NEEDS_ITS_DATA = (
    "restore the data that the run was trained on (dataset.path=PATH names another place), or "
    "train a new run on these"
)


def identity(
    source: str, problem: ProblemName, classes: Sequence[str], layout: Mapping[str, str]
) -> dict[str, Any]:
    """Return the identity as plain values: the first entries of a `preprocessing`."""
    return {"source": source, "task": problem, "classes": list(classes), "layout": dict(layout)}


def check_same(own: Mapping[str, Any], fitted: Mapping[str, Any], name: str) -> None:
    """Raise CheckpointUnusable if the data differ from a checkpoint's preprocessing.

    The message lists the differences.
    """
    current, saved = _flat(own), _flat({key: fitted.get(key) for key in own})
    differences = [
        f"{clean(key, 80)}: {saved.get(key, 'missing')} in the checkpoint, "
        f"{current.get(key, 'missing')} in {name}"
        for key in dict.fromkeys([*current, *saved])
        if current.get(key) != saved.get(key)
    ]
    if differences:
        hidden = len(differences) - _MOST_SHOWN
        suffix = f" (and {hidden} more)" if hidden > 0 else ""
        raise CheckpointUnusable(
            f"the checkpoint is for other data: {'; '.join(differences[:_MOST_SHOWN])}{suffix}; "
            f"{NEEDS_ITS_DATA}"
        )


def _flat(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return one entry for each thing that can differ, cleaned for display."""
    entries = {key: str(parts[key]) for key in ("source", "task")}
    entries |= {f"class {n}": repr(text) for n, text in enumerate(parts["classes"] or ())}
    entries |= {str(key): str(value) for key, value in (parts["layout"] or {}).items()}
    return {key: clean(value, 80) for key, value in entries.items()}
