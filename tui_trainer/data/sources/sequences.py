"""The `sequences` source: a CSV table with a header; each row is one step of one sequence.

Layer: data. A sequence is identified by its id and its split together, because files often number
the sequences of each split from 0. Means and deviations of channels come from the rows of training
sequences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.config.sections.datasets import SequencesSection
from tui_trainer.data.base.augment import Noise
from tui_trainer.data.files.cell_values import order_classes
from tui_trainer.data.files.columns import NumberColumn, TextColumn
from tui_trainer.data.files.input_rows import rows_of_table
from tui_trainer.data.sources.encoding import fit_column
from tui_trainer.data.sources.file_samples import LabelledRows, Unseen
from tui_trainer.data.sources.sequence_rows import (
    NewFrames,
    SequenceRows,
    fit_to_file,
    read_frames,
    read_new_frames,
)
from tui_trainer.data.sources.source import MOST_BYTES, Encoded, Target
from tui_trainer.data.splits.division import Division, rule_for
from tui_trainer.data.splits.row_keys import joined, mixed, row_keys
from tui_trainer.data.splits.split_column import given_splits
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.signature import Kind
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import counted

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SequenceSource:
    """The sequences of a file; implements `Source`."""

    kind: ClassVar[Kind] = "sequence"
    noun: ClassVar[str] = "sequence"

    section: SequencesSection
    frames: SequenceRows
    target: Target
    division: Division
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.frames.name

    @property
    def sha256(self) -> str:
        return self.frames.sha256

    @property
    def rows(self) -> Ints:
        return self.frames.rows

    @property
    def contents(self) -> str:
        return counted(len(self.frames.lengths), self.noun)

    @property
    def layout(self) -> dict[str, str]:
        channels = {f"channel {name}": "number" for name in self.frames.channels}
        return {"target": self.section.target, **channels}

    def with_target(self, target: Target) -> Self:
        return replace(self, target=target)

    def fit(self, train: Ints) -> dict[str, Any]:
        chosen = np.flatnonzero(np.isin(self.frames.members, train))
        return {
            name: fit_column(name, NumberColumn(values[chosen]), self.name)
            for name, values in self.frames.channels.items()
        }

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        return _encode_frames(self.frames, fitted)

    def augment(self, fitted: dict[str, Any]) -> Noise | None:
        return Noise(self.section.noise) if self.section.noise > 0 else None


def _encode_frames(frames: SequenceRows | NewFrames, fitted: dict[str, Any]) -> Encoded:
    """Encode sequences, padded with zeros to the longest, with the values that `fit` returned."""
    shape = (len(frames.lengths), int(frames.lengths.max()), len(fitted))
    inputs = np.zeros(shape, dtype=np.float32)
    notes = []
    for channel, (name, settings) in enumerate(fitted.items()):
        scaled = (frames.channels[name] - settings["mean"]) / settings["std"]
        missing = np.isnan(scaled)
        if missing.any():
            replaced = f"{int(missing.sum())} missing filled with the training mean"
            notes.append(f"{clean(name, 80)}: {replaced} {settings['mean']:.4g}")
            scaled[missing] = 0.0
        if settings["constant"]:
            notes.append(f"{clean(name, 80)}: always the same in training; no information")
        inputs[frames.members, frames.places, channel] = scaled
    return Encoded(torch.from_numpy(inputs), notes, torch.from_numpy(frames.lengths))


def read_sequences(
    section: SequencesSection, wanted: str, older: Mapping[str, Any] | None = None
) -> SequenceSource:
    """Read the file of a section, for a problem or `auto`.

    Raises:
        BadInput: names the line, column or setting that is wrong.
    """
    return _source(section, read_frames(section, wanted, older), older)


def read_new_sequences(section: SequencesSection, fitted: dict[str, Any], path: str) -> Unseen:
    """Read the sequences of a file without their targets.

    Raises:
        BadInput: something is wrong with the file; names the line or column.
    """
    frames = read_new_frames(section, tuple(fitted), path)
    encoded = _encode_frames(frames, fitted)
    places = tuple(f"sequence {name}" if name else "" for name in frames.ids)
    notes = (*frames.notes, *encoded.notes)
    rows = rows_of_table(frames.file, frames.header, frames.members)
    return Unseen(encoded.inputs, places, notes, encoded.lengths, rows=rows)


def read_sequences_to_measure(
    section: SequencesSection, preprocessing: dict[str, Any], path: str, info: DatasetInfo
) -> LabelledRows:
    """Read the sequences of another file with these channels.

    Raises:
        BadInput: a column is missing, or a row cannot be read; names the line.
    """
    moved, ignored = fit_to_file(section, tuple(preprocessing["inputs"]), path)
    source = _source(moved, read_frames(moved, info.problem, whole=True), whole=True)
    return LabelledRows.of(source, preprocessing, ignored)


def _source(
    section: SequencesSection,
    frames: SequenceRows,
    older: Mapping[str, Any] | None = None,
    *,
    whole: bool = False,
) -> SequenceSource:
    shape = (len(frames.lengths), int(frames.lengths.max()), len(frames.channels))
    size = 4 * shape[0] * shape[1] * shape[2]
    if size > MOST_BYTES:
        longest = int(frames.lengths.argmax())
        raise BadInput(
            f"{frames.name}: {shape[0]:,} sequences padded to the longest, of {shape[1]:,} steps "
            f"(it begins in line {frames.lines[frames.firsts[longest]]}), take "
            f"{size / 1024**3:.3g} GiB; cut the long ones into several"
        )
    target = _target(section, frames)
    notes = (*frames.notes, _lengths_note(frames.lengths))
    division = _division(section, frames, older, whole=whole)
    return SequenceSource(section, frames, target, division, notes)


def _division(
    section: SequencesSection,
    frames: SequenceRows,
    older: Mapping[str, Any] | None,
    *,
    whole: bool,
) -> Division:
    """Return the division of the sequences; with `whole` they are not divided.

    A sequence is known by its id, which the settings name: it stays the same one when steps are
    added or corrected.
    """
    test = val = None
    if section.split is not None and not whole:
        test, val = given_splits(frames.parts, section.split, frames.name, section.test_fraction)
    channels = {name: NumberColumn(values) for name, values in frames.channels.items()}
    steps = joined(row_keys(channels), frames.places.astype(np.uint64))
    sums = np.zeros(len(frames.lengths), dtype=np.uint64)
    np.add.at(sums, frames.members, steps)
    contents = joined(frames.identities, mixed(sums))
    return Division(rule_for(section, older), frames.identities, contents, test, val)


def _lengths_note(lengths: Ints) -> str:
    return (
        f"{len(lengths):,} sequences of {lengths.min():,} to {lengths.max():,} steps, "
        f"{round(lengths.mean()):,} on average"
    )


def _target(section: SequencesSection, frames: SequenceRows) -> Target:
    """Return the target of each sequence; BadInput if the rows of a sequence disagree."""
    column, firsts = frames.target, frames.firsts
    codes: NDArray[Any] = column.values if isinstance(column, NumberColumn) else column.codes
    differs = codes != codes[firsts][frames.members]
    if differs.any():
        row = int(differs.argmax())
        first_row = firsts[frames.members[row]]
        raise BadInput(
            f"{frames.name}:{frames.lines[row]}: {clean(section.target, 80)} is "
            f"{_shown(column, row)}, but {_shown(column, int(first_row))} in line "
            f"{frames.lines[first_row]} of the same sequence; a sequence has one target"
        )
    if isinstance(column, NumberColumn):
        return Target((), column.values[firsts])
    return _classes(column.take(firsts))


def _shown(column: NumberColumn | TextColumn, row: int) -> str:
    if isinstance(column, NumberColumn):
        return f"{column.values[row]:g}"
    return repr(clean(column.texts[column.codes[row]], 40))


def _classes(column: TextColumn) -> Target:
    classes = order_classes(column.texts)
    position = {text: index for index, text in enumerate(classes)}
    renumbered = np.array([position[text] for text in column.texts], dtype=np.int64)
    return Target(classes, renumbered[column.codes])
