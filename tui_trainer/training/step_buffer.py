"""`Numbers`: losses and gradient norms of the steps, kept on the device until they are asked for.

Layer: training. Recording never waits for the device; `read` does, once for all steps since the
last one. What is known on the host (step, rate, time) is kept beside it in a list.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Mark(NamedTuple):
    """What the host knows of a step when it is taken."""

    step: int
    epoch: int
    batch: int
    lr: float
    elapsed_s: float


class StepNumbers(NamedTuple):
    """A step with what the device found."""

    mark: Mark
    loss: float
    grad_norm: float

    @property
    def fault(self) -> str:
        """What is not finite, or nothing."""
        if not math.isfinite(self.loss):
            return f"loss is {self.loss}"
        if not math.isfinite(self.grad_norm):
            return f"gradient norm is {self.grad_norm}"
        return ""


class Numbers:
    """A buffer for `capacity` steps; `full` says that it must be read before the next."""

    def __init__(self, device: torch.device, capacity: int = 4096) -> None:
        self._losses = torch.zeros(capacity, device=device)
        self._norms = torch.zeros(capacity, device=device)
        self._capacity = capacity
        self._marks: list[Mark] = []

    def record(self, mark: Mark, loss: Tensor, grad_norm: Tensor) -> None:
        """Keep the numbers of a step; `loss` and `grad_norm` are scalars on the device."""
        at = len(self._marks)
        self._losses[at] = loss
        self._norms[at] = grad_norm
        self._marks.append(mark)

    @property
    def full(self) -> bool:
        return len(self._marks) == self._capacity

    def read(self) -> list[StepNumbers]:
        """The steps since the last reading. The one place where the loop waits for the device."""
        count = len(self._marks)
        if count == 0:
            return []
        losses = self._losses[:count].tolist()
        norms = self._norms[:count].tolist()
        steps = [StepNumbers(*row) for row in zip(self._marks, losses, norms, strict=True)]
        self._marks.clear()
        return steps
