"""The samples of a user's file: `Unseen` to be predicted, `Labelled` to measure a model on.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tui_trainer.data.base.split import Measurable, Split
from tui_trainer.data.batches.joined import JoinedSplits
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.data.batches.read_rows import ReadSplit, RowReader, SampleReader
from tui_trainer.data.batches.tensors import Scaling, TensorSplit
from tui_trainer.data.files.input_rows import InputRows
from tui_trainer.data.sources.source import Encoded, Source, Target
from tui_trainer.text.clean import clean

_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Unseen:
    """The samples of one file."""

    inputs: torch.Tensor
    """(N, *input_shape), as a model takes them, once the scaling is applied."""
    places: tuple[str, ...]
    """The location of each sample in the file, as `line 7`; empty if the file is one sample."""
    notes: tuple[str, ...] = ()
    lengths: torch.Tensor | None = None
    is_one: bool = False
    """Whether the samples are parts of one whole, which should also get a prediction as a whole."""

    others: Mapping[str, torch.Tensor] = field(default_factory=dict)
    """Further fields by name, (N, ...) each."""
    scaling: Scaling | None = None
    """Is applied to inputs that are kept as they are stored."""
    samples: SampleReader | None = None
    """Reads the inputs of a sample when it is needed; then `inputs` has their shape alone."""
    rows: InputRows | None = None
    """The rows of the file as they are written; None if it is no table."""

    def split(self, name: str = "input") -> Measurable:
        """Return the samples as a split with dummy targets; `name` is that of their first field."""
        count = len(self.inputs)
        nothing = torch.zeros(count, dtype=torch.int64)
        rows = torch.arange(count)
        if self.samples is not None and self.scaling is not None:
            shape = tuple(self.inputs.shape[1:])
            # A prediction for each: what cannot be read any more is an error.
            maker = RowReader(self.samples, rows, nothing, shape, skips=False)
            return ReadSplit(maker, rows, LeftOut(count, "sample"), self.scaling)
        return TensorSplit(
            self.inputs,
            nothing,
            rows,
            self.lengths,
            name,
            dict(self.others),
            scaling=self.scaling,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """All samples of a file, with their targets."""

    split: Split | JoinedSplits
    name: str
    """The name of the file, cleaned for display."""
    count: str
    """How much it is, as `80 rows`."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """The rows of a file, encoded, with what is to be predicted as the file says it."""

    name: str
    noun: str
    """The noun for one of its samples: row, picture, sequence."""
    encoded: Encoded
    """With all notes on the file."""
    target: Target
    rows: NDArray[np.int64]
    """(N,) the number of each row among the rows of the file, from 0."""

    @classmethod
    def of(
        cls, source: Source, preprocessing: Mapping[str, Any], ignored: Sequence[str] = ()
    ) -> LabelledRows:
        """Return all rows of a source, whose file has columns that are `ignored`."""
        encoded = source.encode(preprocessing["inputs"])
        notes = [*source.notes, *encoded.notes, *ignored_note(ignored)]
        return cls(
            source.name, source.noun, replace(encoded, notes=notes), source.target, source.rows
        )


def ignored_note(names: Sequence[str]) -> list[str]:
    """Return a note on columns that a model was not trained on, if there are any."""
    if not names:
        return []
    shown = clean(", ".join(names[:_MOST_SHOWN]), 200)
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    noun = "column" if len(names) == 1 else "columns"
    return [f"{noun} that the model was not trained on, ignored: {shown}{more}"]
