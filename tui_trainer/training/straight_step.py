"""`StraightStep`: a supervised step of one micro-batch on the CPU, planned from border to border.

Layer: training. A small model computes a step in a tenth of a millisecond, and to find out in each
step what is the same in all of them takes as long again. So that is found out at a border, and
between two borders a step is nothing but its operations, in the order of `GradientStep.take`.
Layers that can do without autograd do: it would take most of what is left besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from tui_trainer.problems.batch import Batch
from tui_trainer.training.flat_optimizer import FlatOptimizer
from tui_trainer.training.forward import RecurrentState
from tui_trainer.training.layer_gradients import chain_of
from tui_trainer.training.loss_gradients import by_autograd
from tui_trainer.training.state import State
from tui_trainer.training.supervised_step import StepTaken, SupervisedStep, clip
from tui_trainer.training.torch_internals import backward_on_host

Straight = Callable[[int, Batch], StepTaken]
"""Takes the step of a number with a batch."""
AddGradients = Callable[[Batch], Tensor]
"""Adds the gradients of the loss of a batch, and returns the loss."""


def direct_update(state: State) -> Callable[[int], None]:
    """Return `state.update` on the CPU until the next border, for steps without the user's code."""
    optimizer = state.optimizer
    if not isinstance(optimizer, FlatOptimizer) or state.scaled:
        return state.update
    step_optimizer, average = optimizer.direct_step(), state.average

    def update(step: int) -> None:
        step_optimizer()
        average(step)

    return update


class StraightStep(SupervisedStep):
    """A supervised step without any question about what cannot change before the next border.

    Steps with several micro-batches, with a loss scaler, of models that are not called directly,
    and those that train nothing are taken as ever.
    """

    _straight: Straight | None = None

    def prepare(self) -> None:
        state = self._state
        is_alike = state.device.type == "cpu" and state.trains and not state.scaled
        self._straight = self._planned() if is_alike else None

    def take(
        self,
        step: int,
        batches: Sequence[Batch],
        shares: Sequence[float],
        carry: RecurrentState,
        lr: Callable[[], float],
    ) -> StepTaken:
        if self._straight is None or len(batches) > 1:
            return super().take(step, batches, shares, carry, lr)
        return self._straight(step, batches[0])

    def _planned(self) -> Straight | None:
        """Return a function that takes steps until the next border; None: there is none."""
        state, settings, update = self._state, self._settings, direct_update(self._state)
        add_gradients = self._by_layers() or self._by_autograd()
        if add_gradients is None:
            return None
        clear_gradients, gradient_norm = state.clear_gradients, state.gradient_norm
        training = settings.experiment.training
        # An optimizer of torch, or of a plugin, may change the rates of its groups in a step.
        has_one_rate = isinstance(state.optimizer, FlatOptimizer) and not settings.group_lrs()
        clips = training.grad_clip_norm is not None or training.grad_clip_value is not None
        old_rate = math.nan

        def take(step: int, batch: Batch) -> StepTaken:
            nonlocal old_rate
            clear_gradients()
            loss = add_gradients(batch)
            norm = clip(state, training) if clips else gradient_norm()
            rate = settings.lr()
            if rate != old_rate or not has_one_rate:
                state.set_lr(rate, settings.group_lrs())
                old_rate = rate
            # As in `GradientStep.take`.
            self.is_updating = True
            update(step)
            self.is_updating = False
            return StepTaken(loss, norm, rate, None)

        return take

    def _by_layers(self) -> AddGradients | None:
        """Return the gradients of layers for which autograd is not needed; None: it is."""
        layers = self._forward.plain_layers()
        # Any other optimizer may exchange the gradients of its parameters.
        if layers is None or not isinstance(self._state.optimizer, FlatOptimizer):
            return None
        chain = chain_of(layers)
        if chain is None:
            return None
        values_of = self._forward.of_first_field(chain.values)
        gradient_of = self._criterion.gradient or by_autograd(self._criterion.train)

        def add_gradients(batch: Batch) -> Tensor:
            values = values_of(batch)
            loss, gradient = gradient_of(values[-1], batch)
            chain.add_gradients(values, gradient)
            return loss

        return add_gradients

    def _by_autograd(self) -> AddGradients | None:
        """Return the gradients of a model whose operations are known; None: they are not."""
        outputs_of, loss_of = self._forward.direct(), self._criterion.train
        if outputs_of is None:
            return None
        backward = backward_on_host()

        def add_gradients(batch: Batch) -> Tensor:
            graph = loss_of(outputs_of(batch), batch)
            backward(graph)
            return graph.detach()

        return add_gradients
