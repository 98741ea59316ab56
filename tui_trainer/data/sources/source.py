"""`Source`: what a kind of data set has to answer, so that `load` can split, fit and encode it.

Layer: data. A source holds all rows, unscaled; it learns which of them train only in `fit`, and
`encode` uses nothing but what `fit` returned, which is how a checkpoint can stand in for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tui_trainer.config.sections.metrics import ProblemName
from tui_trainer.data.base.signature import Kind
from tui_trainer.data.base.to_device import Augment


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be predicted, of every row."""

    classes: tuple[str, ...]
    """Empty when the target is a number."""
    values: NDArray[Any]
    """(N,) int64 positions in `classes`, or float64 numbers."""

    @property
    def task(self) -> ProblemName:
        return "classification" if self.classes else "regression"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Inputs as a model takes them, and what there is to say."""

    inputs: Tensor
    """(N, *input_shape) float32, or (N, T) uint8 tokens."""
    notes: Sequence[str] = ()
    lengths: Tensor | None = None
    """(N,) int64, for sequences; inputs behind them are zeros."""


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """What the data say about how they are to be split."""

    test: NDArray[np.bool_] | None = None
    """(N,) rows that are the test split by the data's own word."""
    val: NDArray[np.bool_] | None = None
    """(N,) rows that are the validation split by the data's own word; only together with `test`."""
    groups: NDArray[np.int64] | None = None
    """(N,) rows of one group stay together, as the passages of one file."""


class Source(Protocol):
    """All rows of a data set, read and checked."""

    @property
    def name(self) -> str:
        """Of the file, for messages."""
        ...

    @property
    def sha256(self) -> str:
        """Of the raw data."""
        ...

    @property
    def kind(self) -> Kind:
        """What the inputs are."""
        ...

    @property
    def vocabulary(self) -> int:
        """Tokens are below this; 0 where inputs are no tokens."""
        ...

    @property
    def division(self) -> Division:
        """What may not be drawn freely when rows are split."""
        ...

    @property
    def target(self) -> Target: ...

    @property
    def rows(self) -> NDArray[np.int64]:
        """(N,) number of each row among the rows of the file, from 0."""
        ...

    @property
    def layout(self) -> dict[str, str]:
        """What a fitted preprocessing must agree with, by name."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What reading had to say."""
        ...

    def fit(self, train: NDArray[np.int64]) -> dict[str, Any]:
        """Learn the preprocessing from the rows at these positions: plain values only."""
        ...

    def encode(self, fitted: dict[str, Any]) -> Encoded:
        """Every row, by what `fit` returned."""
        ...

    def augment(self, fitted: dict[str, Any]) -> Augment | None:
        """Random changes of training batches."""
        ...
