"""`GradientStep`: the arithmetic of a step; `SupervisedStep` fits a model to targets.

Layer: training. Nothing here waits for the device: the loss and the gradient norm stay on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tui_trainer.config.sections.training import TrainingSection
from tui_trainer.problems.batch import Batch
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.losses import Criterion
from tui_trainer.training.own_losses import ModelLoss, OwnLoss
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.state import State

NO_OTHERS: Mapping[str, Tensor] = MappingProxyType({})


class StepTaken(NamedTuple):
    """The outcome of a step: scalars on the device, and the recurrent state."""

    loss: Tensor
    grad_norm: Tensor
    """Of the whole gradient, before clipping."""
    lr: float
    carry: RecurrentState
    others: Mapping[str, Tensor] = NO_OTHERS
    """Further numbers by name."""


class TrainingStep(Protocol):
    """A way to take a step."""

    is_updating: bool
    """Whether the optimizer is changing the weights; until it is done they are half-updated."""

    def prepare(self) -> None:
        """Look up what stays the same until the next border; called at each one.

        Between two borders no setting changes, nor what is trained, nor a module of the model.
        """
        ...

    def take(
        self,
        step: int,
        batches: Sequence[Batch],
        shares: Sequence[float],
        carry: RecurrentState,
        lr: Callable[[], float],
    ) -> StepTaken:
        """Take a step with some micro-batches.

        Args:
            step: the number of this step, from 1.
            batches: at least one.
            shares: of the samples of the step, by micro-batch; they add up to 1.
            carry: the recurrent state before the step.
            lr: returns the learning rate; called after the gradients are known.
        """
        ...


class LossTaken(NamedTuple):
    """The loss of a micro-batch, with its graph, or of a step."""

    loss: Tensor
    carry: RecurrentState
    """The recurrent state after it."""
    others: Mapping[str, Tensor] = NO_OTHERS
    """Further numbers by name."""


class GradientStep(ABC):
    """Loss, backward, clipping and update, over one or more micro-batches."""

    def __init__(self, state: State, settings: LiveSettings) -> None:
        self._state = state
        self._settings = settings
        self.is_updating = False

    def prepare(self) -> None:
        """See `TrainingStep`; the settings are looked up in each step."""
        return

    @abstractmethod
    def loss_of(self, batch: Batch, carry: RecurrentState, step: int, index: int) -> LossTaken:
        """Compute the loss of micro-batch `index` of a step."""

    def take(
        self,
        step: int,
        batches: Sequence[Batch],
        shares: Sequence[float],
        carry: RecurrentState,
        lr: Callable[[], float],
    ) -> StepTaken:
        """Take a step, see `TrainingStep`."""
        state = self._state
        (loss, carry, others), norm = self.compute_gradients(step, batches, shares, carry)
        rate = lr()
        state.set_lr(rate, self._settings.group_lrs())
        # If the update fails half-way, `failures` must not save these weights.
        self.is_updating = True
        self.update(step)
        self.is_updating = False
        return StepTaken(loss, norm, rate, carry, others)

    def update(self, step: int) -> None:
        """Change the weights by the gradients."""
        self._state.update(step)

    def compute_gradients(
        self, step: int, batches: Sequence[Batch], shares: Sequence[float], carry: RecurrentState
    ) -> tuple[LossTaken, Tensor]:
        """Fill the buffers with the clipped gradients of a step.

        Returns:
            The loss, without its graph, and the norm of the gradients before clipping.
        """
        state = self._state
        state.clear_gradients()
        if len(batches) == 1:
            loss, carry, others = self.loss_of(batches[0], carry, step, 0)
            state.backward(loss)
            taken = LossTaken(loss.detach(), carry, others)
        else:
            taken = self._accumulate(step, batches, shares, carry)
        state.unscale_gradients()
        return taken, clip(state, self._settings.experiment.training)

    def _accumulate(
        self, step: int, batches: Sequence[Batch], shares: Sequence[float], carry: RecurrentState
    ) -> LossTaken:
        """Add the gradients of several micro-batches; the loss that is returned has no graph.

        Each is weighted by its share of the samples, so that a smaller last micro-batch does not
        count as much as a full one.
        """
        losses: list[Tensor] = []
        numbers: list[Mapping[str, Tensor]] = []
        for index, (batch, share) in enumerate(zip(batches, shares, strict=True)):
            loss, carry, others = self.loss_of(batch, carry, step, index)
            loss = loss * share
            self._state.backward(loss)
            losses.append(loss.detach())
            numbers.append(others)
        return LossTaken(sum(losses[1:], losses[0]), carry, _together(numbers, shares))


def clip(state: State, training: TrainingSection, part: str = "") -> Tensor:
    """Clip the gradients of a part of the model, and return their norm before that."""
    norm = state.gradient_norm(part)
    limit = training.grad_clip_norm
    if limit is not None and not _is_surely_below(norm, limit):
        # No question to the device, which would have to be waited for: below the limit it is 1.
        factor = torch.clamp(limit / (norm + 1e-6), max=1.0)
        state.scale_gradients(factor, part)
    if training.grad_clip_value is not None:
        state.clamp_gradients(training.grad_clip_value, part)
    return norm


def _is_surely_below(norm: Tensor, limit: float) -> bool:
    """Whether a norm is so far below a limit that the gradient would be multiplied by exactly 1.

    Asked of the CPU alone, where reading it waits for nothing: most steps need no clipping.
    """
    return norm.device.type == "cpu" and norm.item() + 1e-6 < 0.99 * limit


def _together(
    numbers: Sequence[Mapping[str, Tensor]], shares: Sequence[float]
) -> Mapping[str, Tensor]:
    """Return the numbers of the micro-batches of a step, weighted by their shares of the samples.

    There are no gradients in the result.
    """
    if not numbers[0]:
        return NO_OTHERS
    parts = [
        {name: number.detach() * share for name, number in own.items()}
        for own, share in zip(numbers, shares, strict=True)
    ]
    return {name: torch.stack([part[name] for part in parts]).sum() for name in parts[0]}


class SupervisedStep(GradientStep):
    """Compares the outputs of the model with the targets."""

    def __init__(
        self, forward: Forward, criterion: Criterion, state: State, settings: LiveSettings
    ) -> None:
        super().__init__(state, settings)
        self._forward = forward
        self._criterion = criterion

    def loss_of(self, batch: Batch, carry: RecurrentState, step: int, index: int) -> LossTaken:
        outputs, carry = self._forward(batch, carry)
        return LossTaken(self._criterion.train(outputs, batch), carry)


class OwnLossStep(SupervisedStep):
    """Compares by a loss of the user's, which may return further numbers."""

    def __init__(
        self, forward: Forward, own: OwnLoss | ModelLoss, state: State, settings: LiveSettings
    ) -> None:
        super().__init__(forward, Criterion(own, own), state, settings)
        self._own = own

    def loss_of(self, batch: Batch, carry: RecurrentState, step: int, index: int) -> LossTaken:
        taken = super().loss_of(batch, carry, step, index)
        return taken._replace(others=self._own.others)
