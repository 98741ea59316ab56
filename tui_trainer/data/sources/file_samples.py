"""`Unseen`: the samples of a user's file, to be predicted.

Layer: data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from tui_trainer.data.base.split import Measurable
from tui_trainer.data.batches.left_out import LeftOut
from tui_trainer.data.batches.read_rows import ReadSplit, RowReader, SampleReader
from tui_trainer.data.batches.tensors import Scaling, TensorSplit
from tui_trainer.data.files.input_rows import InputRows


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
