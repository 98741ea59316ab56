"""`StepBuffer`: keeps the losses and gradient norms of steps on the device until they are read.

Layer: training. Recording never waits for the device; `read` waits once for all steps since the
last reading. What the host knows anyway (step, learning rate, time) is kept in a list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


class StepRecord(NamedTuple):
    """The part of a step's record that the host knows without asking the device."""

    step: int
    epoch: int
    batch: int
    """The first micro-batch of the step."""
    lr: float
    elapsed_s: float


class MeasuredStep(NamedTuple):
    """A step with the numbers that the device computed."""

    record: StepRecord
    loss: float
    grad_norm: float
    others: Mapping[str, float] = MappingProxyType({})
    """Those that a recipe or a loss returned besides."""

    @property
    def fault(self) -> str:
        """Which number is not finite, or an empty string."""
        if not math.isfinite(self.loss):
            return f"loss is {self.loss}"
        if not math.isfinite(self.grad_norm):
            return f"gradient norm is {self.grad_norm}"
        for name, value in self.others.items():
            if not math.isfinite(value):
                return f"{name} is {value}"
        return ""


class StepBuffer:
    """A buffer for `capacity` steps; once it is `full`, read it before the next step."""

    def __init__(self, capacity: int = 4096) -> None:
        self._capacity = capacity
        self._records: list[StepRecord] = []
        # The tensors themselves: to copy each into a column costs more than to stack them all.
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._others: dict[str, list[Tensor]] = {}

    def record(
        self, step: StepRecord, loss: Tensor, grad_norm: Tensor, others: Mapping[str, Tensor]
    ) -> None:
        """Keep the numbers of a step, scalars on the device.

        Nobody may change `loss` and `grad_norm` afterwards; `others` are copied.

        Raises:
            BadInput: the names of `others` are not those of the steps before.
        """
        if others or self._others:
            self._record_others(others)
        self._losses.append(loss)
        self._norms.append(grad_norm)
        self._records.append(step)

    def _record_others(self, others: Mapping[str, Tensor]) -> None:
        if not self._others and not self._records:
            self._others = {name: [] for name in others}
        if self._others.keys() != others.keys():
            raise BadInput(
                f"the numbers of a step have the names {clean(', '.join(others), 200) or 'none'}, "
                f"and in the steps before {clean(', '.join(self._others), 200) or 'none'}; return "
                "the same in each step"
            )
        for name, value in others.items():
            self._others[name].append(value.detach().clone())

    @property
    def full(self) -> bool:
        return self.room == 0

    @property
    def room(self) -> int:
        """The number of steps that it can still take."""
        return self._capacity - len(self._records)

    def read(self) -> list[MeasuredStep]:
        """Return the steps since the last reading. Only here does the loop wait for the device."""
        if not self._records:
            return []
        losses, norms = _values_of(self._losses), _values_of(self._norms)
        steps = list(map(MeasuredStep, self._records, losses, norms))
        if self._others:
            columns = [_values_of(column) for column in self._others.values()]
            steps = [
                step._replace(others=dict(zip(self._others, values, strict=True)))
                for step, values in zip(steps, zip(*columns, strict=True), strict=True)
            ]
        for column in (self._losses, self._norms, *self._others.values()):
            column.clear()
        self._records.clear()
        return steps


def _values_of(scalars: list[Tensor]) -> list[float]:
    """Return the values of scalars, rounded to float32; waits for the device."""
    if all(scalar.is_cpu and scalar.dtype is torch.float32 for scalar in scalars):
        # There is nothing to wait for, and to stack them takes as long as this does in all.
        return [scalar.item() for scalar in scalars]
    values: list[float] = torch.stack(scalars).flatten().float().tolist()
    return values
