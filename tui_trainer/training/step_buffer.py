"""`StepBuffer`: keeps the losses and gradient norms of steps on the device until they are read.

Layer: training. Recording never waits for the device; `read` waits once for all steps since the
last reading. What the host knows anyway (step, learning rate, time) is kept in a list.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


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

    @property
    def fault(self) -> str:
        """Which number is not finite, or an empty string."""
        if not math.isfinite(self.loss):
            return f"loss is {self.loss}"
        if not math.isfinite(self.grad_norm):
            return f"gradient norm is {self.grad_norm}"
        return ""


class StepBuffer:
    """A buffer for `capacity` steps; once it is `full`, read it before the next step."""

    def __init__(self, device: torch.device, capacity: int = 4096) -> None:
        self._losses = torch.zeros(capacity, device=device)
        self._norms = torch.zeros(capacity, device=device)
        self._capacity = capacity
        self._records: list[StepRecord] = []

    def record(self, step: StepRecord, loss: Tensor, grad_norm: Tensor) -> None:
        """Keep the numbers of a step; `loss` and `grad_norm` are scalars on the device."""
        at = len(self._records)
        self._losses[at] = loss
        self._norms[at] = grad_norm
        self._records.append(step)

    @property
    def full(self) -> bool:
        return len(self._records) == self._capacity

    def read(self) -> list[MeasuredStep]:
        """Return the steps since the last reading. Only here does the loop wait for the device."""
        count = len(self._records)
        if count == 0:
            return []
        # `tolist` synchronizes with the device.
        losses = self._losses[:count].tolist()
        norms = self._norms[:count].tolist()
        steps = [MeasuredStep(*row) for row in zip(self._records, losses, norms, strict=True)]
        self._records.clear()
        return steps
