"""`StepContext`: the facts and the random numbers of a step, for the recipe that takes it.

Layer: training. Random numbers are a function of the seed, the step and the micro-batch, so a
resumed run draws the same ones, and a validation draws the same ones each time.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tui_trainer.data.base.random import seeded

Update = Callable[[str, Tensor, bool], None]
"""Updates a part of the model by a loss; the last argument is `retain_graph`."""


class StepContext:
    """The argument `step` of the methods of a recipe."""

    def __init__(
        self,
        device: torch.device,
        seed: int,
        purpose: str,
        numbers: tuple[int, ...],
        *,
        number: int = 0,
        epoch: int = 0,
        progress: float | None = None,
        update: Update | None = None,
    ) -> None:
        """Make a context; seed, purpose and numbers tell this call from all others."""
        self.device = device
        """The device of the model and the batch."""
        self.number = number
        """The number of the step, from 1; 0 outside of training."""
        self.epoch = epoch
        """The number of the epoch, from 1; 0 outside of training."""
        self.progress = progress
        """The share of all steps that is done, from 0 to 1; None if only time ends the run."""
        self._seed, self._purpose, self._numbers = seed, purpose, numbers
        self._update = update
        self._generator: torch.Generator | None = None

    @property
    def generator(self) -> torch.Generator:
        """A generator on the device of this call."""
        if self._generator is None:
            self._generator = seeded(self.device, self._seed, self._purpose, *self._numbers)
        return self._generator

    def randn(self, *shape: int) -> Tensor:
        """Return normal random numbers (*shape) on the device."""
        return torch.randn(*shape, device=self.device, generator=self.generator)

    def rand(self, *shape: int) -> Tensor:
        """Return random numbers (*shape) from 0 to 1 on the device."""
        return torch.rand(*shape, device=self.device, generator=self.generator)

    def randint(self, high: int, shape: tuple[int, ...]) -> Tensor:
        """Return random integers (*shape) from 0 to below `high`, int64, on the device."""
        return torch.randint(high, shape, device=self.device, generator=self.generator)

    def update(self, part: str, loss: Tensor, *, retain_graph: bool = False) -> None:
        """Update a part of the model by the gradients of a loss; only in a `training_step`.

        Clears the gradients of the part, computes them for no other one, clips them as
        `training.grad_clip_norm` and `grad_clip_value` say, and takes the step of the optimizer.
        `retain_graph` keeps the graph of the loss for another update.
        """
        if self._update is None:
            raise RuntimeError("step.update is for training_step; compute_loss returns its loss")
        self._update(part, loss, retain_graph)
