"""`Source`: the interface of a kind of data set, through which `load` splits, fits and encodes it.

Layer: data. A source holds all rows, unscaled. It learns which of them are training rows only in
`fit`, and `encode` uses nothing but the result of `fit`, so a checkpoint's values can replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.data.base.in_turn import Augment
from tui_trainer.data.batches.read_rows import SampleReader
from tui_trainer.data.batches.tensors import Scaling
from tui_trainer.data.splits.division import Division
from tui_trainer.problems.signature import NUMBERS, Kind

MOST_BYTES = 8 * 1024**3
"""The most memory that encoded inputs may take, as sequences padded to the longest."""


@dataclass(frozen=True, slots=True)
class Target:
    """The values to be predicted, one for each row, or several."""

    classes: tuple[str, ...]
    """Names of the classes or labels; empty for numbers."""
    values: NDArray[Any]
    """(N,) int64 positions in `classes`, or float64 numbers. (N, K): 0 or 1 for each of the labels
    `classes`, or K numbers."""
    names: tuple[str, ...] = ()
    """Of the numbers, if there are several."""
    masks: Tensor | None = None
    """(N, H, W) uint8, if each pixel has a class: the numbers that `classes` are named after. Any
    other number is not measured. Then `values` are zeros. As the inputs, they may be on `meta`."""
    mask_numbers: tuple[int, ...] = ()
    """The number in the masks of each class, -1 if it is not there; empty: that of its name."""

    @property
    def problem(self) -> ProblemName:
        if self.masks is not None:
            return "segmentation"
        if self.values.ndim == 2 and self.classes:
            return "multilabel"
        return "classification" if self.classes else "regression"

    @property
    def numbers_of_classes(self) -> tuple[int, ...]:
        """The number of each class in the masks."""
        return self.mask_numbers or tuple(map(int, self.classes))

    @property
    def outputs(self) -> int:
        """The numbers that a model gives for a row."""
        if self.values.ndim == 2:
            return int(self.values.shape[1])
        return len(self.classes) or 1


@dataclass(frozen=True, slots=True)
class Encoded:
    """Inputs as a model takes them, and notes about them."""

    inputs: Tensor
    """(N, *input_shape) float32, or (N, T) tokens of uint8, int16 or int32; any numbers if there is
    a scaling. On the device `meta`, which keeps shapes alone, if there are `samples`."""
    notes: Sequence[str] = ()
    lengths: Tensor | None = None
    """(N,) int64, for sequences; inputs beyond them are zeros."""
    scaling: Scaling | None = None
    """Is applied to inputs that are kept in another form than that of a model."""
    is_shared: bool = False
    """Whether all splits use the one tensor of inputs, as one that is mapped from a file."""
    more_inputs: tuple[Tensor, ...] = ()
    """Further tensors of shared inputs, whose rows follow each other, as of a file for the test."""
    check: Callable[[], None] | None = None
    """Raises BadInput if the file of mapped inputs is no more as it was."""
    vocabulary: int = 0
    """Tokens are below this; 0 if the inputs are not tokens."""
    samples: SampleReader | None = None
    """Reads the inputs of a row while training; None: they are there."""
    skips_lost: bool = True
    """Whether rows are left out that can be read no more; if not, the run ends."""
    numbers: Tensor | None = None
    """(N, D) float32, the numbers beside each text; None if there are none."""

    @property
    def others(self) -> dict[str, Tensor]:
        """The further fields of the samples, by name."""
        return {} if self.numbers is None else {NUMBERS: self.numbers}


class Source(Protocol):
    """All rows of a data set, read and checked."""

    @property
    def name(self) -> str:
        """The name of the file, for messages."""
        ...

    @property
    def sha256(self) -> str:
        """The hash of the raw data."""
        ...

    @property
    def kind(self) -> Kind:
        """The kind of the inputs."""
        ...

    @property
    def noun(self) -> str:
        """The noun for one of its samples: row, picture, sequence."""
        ...

    @property
    def division(self) -> Division:
        """The rule by which the rows are split, and what it needs."""
        ...

    @property
    def target(self) -> Target: ...

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) the number of each row among the rows of the file, from 0."""
        ...

    @property
    def layout(self) -> dict[str, str]:
        """Properties, by name, that must be equal for a fitted preprocessing to be used."""
        ...

    @property
    def contents(self) -> str:
        """A short text on what the file holds, such as `178 rows, 14 columns`."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Notes from reading the file."""
        ...

    def with_target(self, target: Target) -> Self:
        """Return the source with other values to be predicted."""
        ...

    def fit(self, train: NDArray[np.int64]) -> dict[str, Any]:
        """Learn the preprocessing from the rows at these positions: plain values only."""
        ...

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        """Encode every row with the values that `fit` returned."""
        ...

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        """Return the random changes to training batches; None if there are none."""
        ...
