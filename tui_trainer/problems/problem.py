"""`ProblemKind`: the part of training that differs between classification, regression and others.

Layer: problems. Each kind checks the targets of samples, adds up the numbers of a split from which
its metrics are computed, and says what the outputs of a model mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Protocol

import torch
from torch import Tensor

from tui_trainer.config.problem_specs import ProblemName
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.dataset_info import DatasetInfo

Sample = dict[str, Tensor]
"""The fields of a sample by name, as those of a `Batch` without the batch dimension."""

Rows = tuple[tuple[int, ...], ...]
Number = Tensor | float


Value = str | float | list[str] | list[float] | dict[str, float]


class SampleMismatch(ValueError):
    """A sample differs from the others; the message says how."""


@dataclass(frozen=True, slots=True)
class Result:
    """More about the test split than its metrics: the fields that its problem has."""

    confusion: Rows | None = None
    """Counts of samples, steps or pixels by true class (rows) and predicted class (columns)."""
    labels: Rows | None = None
    """For each label the numbers of samples that have it, for which it is predicted, and both."""
    areas: Rows | None = None
    """For each class the numbers of pixels that have it, for which it is predicted, and both."""
    scatter: tuple[tuple[float, ...], ...] | None = None
    """For some samples the true numbers, and then the predicted ones."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The meaning of the outputs for one sample."""

    value: Value
    """The most likely class, or that of each step; the labels; a number in units of the target, or
    several by name."""
    shares: dict[str, float]
    """The probability of each class or label, most likely first; for a mask the share of its pixels
    of each class in it; empty for numbers and steps."""
    mask: Tensor | None = None
    """The class of each pixel, (H, W) uint8, or int32 with more than 256 classes."""
    picture: Tensor | None = None
    """A picture (C, H, W) from 0 to 1, if that is what is predicted."""


class Totals(Protocol):
    """Numbers added up over the batches of a split, on the device; read once at the end."""

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        """Add a batch, given the model's outputs and the mean loss over its samples, a scalar."""
        ...

    def compute(self) -> dict[str, float]:
        """Return the metrics by name, after at least one batch."""
        ...

    def result(self) -> Result | None:
        """Return more than metrics, or None if it was not asked for or is too large."""
        ...


class ProblemKind(Protocol):
    """The checks, metrics and predictions of a kind of problem."""

    name: ProblemName
    why_no_predictions: str
    """Why it has no predictions for single samples, or an empty string if it has."""

    def check(self, targets: Tensor, inputs: Tensor, info: DatasetInfo) -> Tensor:
        """Return the targets of samples (N, ...) as losses and metrics take them.

        `inputs` are the values (N, ...) of the first field.

        Raises:
            SampleMismatch: a target is none of this problem.
        """
        ...

    def head(self, target: Tensor, info: DatasetInfo) -> int:
        """Return how many numbers a model gives for a sample, or for each of its places.

        `target` is that of the first sample, as the data have it. `info` has no head yet.
        """
        ...

    def totals(
        self,
        info: DatasetInfo,
        device: torch.device,
        extras: Sequence[str] = (),
        *,
        with_result: bool = False,
    ) -> Totals:
        """Return empty totals for a split, with those for the metrics `extras`."""
        ...

    def decode(self, outputs: Tensor, info: DatasetInfo) -> list[Prediction]:
        """Return a prediction for each sample, given float64 outputs with the samples in
        dimension 0.
        """
        ...

    def combine(self, outputs: Tensor) -> Tensor | None:
        """Return the outputs (1, K) for all samples as one, or None if that has no meaning."""
        ...


class Sums:
    """Float64 numbers by name, added up until they are read.

    On a GPU in one tensor, as reading each would wait for it; on the CPU as Python's numbers, which
    have the same bits at a tenth of the cost.
    """

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._values: Tensor | None = None
        self._on_host: list[float] | None = None

    def add(self, values: Mapping[str, Number]) -> None:
        """Add numbers, or vectors, of a batch; they have the same names and sizes each time.

        Those of a batch on the CPU may be Python's.
        """
        if any(isinstance(value, Tensor) and not value.is_cpu for value in values.values()):
            self._add_on_device({name: torch.as_tensor(value) for name, value in values.items()})
            return
        numbers = {name: _numbers(value) for name, value in values.items()}
        self._sizes = {name: len(own) for name, own in numbers.items()}
        part = [float(number) for own in numbers.values() for number in own]
        before = self._on_host
        self._on_host = part if before is None else list(map(add, before, part))

    def _add_on_device(self, values: dict[str, Tensor]) -> None:
        self._sizes = {name: value.numel() for name, value in values.items()}
        part = torch.cat([value.reshape(-1).double() for value in values.values()])
        self._values = part if self._values is None else self._values + part

    def read(self) -> dict[str, list[float]]:
        """Return the sums; only here is a device waited for."""
        values = self._on_host if self._values is None else self._values.tolist()
        assert values is not None, "a split has at least one batch"
        numbers = iter(values)
        return {name: [next(numbers) for _ in range(size)] for name, size in self._sizes.items()}

    def read_scalars(self) -> dict[str, float]:
        """Return the sums if all of them are scalars."""
        return {name: value[0] for name, value in self.read().items()}


def _numbers(value: Number) -> list[float]:
    numbers = value.tolist() if isinstance(value, Tensor) else value
    return numbers if isinstance(numbers, list) else [numbers]


def f1_of(true: float, predicted: float, right: float) -> float:
    """Return the F1 score, given how many labels are there, are predicted, and both."""
    return 2 * right / (true + predicted) if true + predicted else math.nan


def logit(probability: float) -> float:
    """Return the logit of a probability, which is 0 for a half."""
    return math.log(probability / (1 - probability))
