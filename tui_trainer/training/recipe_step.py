"""Steps and measurements by the recipe of a plugin.

Layer: training. A recipe with `compute_loss` takes the same step as the supervised one, with a loss
of its own. One with `training_step` also says which part of the model is updated by which loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from tui_trainer.problems.batch import Batch
from tui_trainer.training.forward import MIXED, RecurrentState
from tui_trainer.training.own_recipe import OwnRecipe
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.progress import Progress
from tui_trainer.training.state import State
from tui_trainer.training.step_context import StepContext, Update
from tui_trainer.training.supervised_step import GradientStep, LossTaken, StepTaken, clip


def in_precision(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context in which a recipe computes."""
    dtype = MIXED.get(precision)
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)


class _Contexts:
    """Makes the contexts of the steps of a training."""

    def __init__(self, state: State, settings: LiveSettings, progress: Progress) -> None:
        self._state = state
        self._settings = settings
        self._progress = progress

    def of(self, step: int, index: int, update: Update | None = None) -> StepContext:
        horizon = self._settings.horizon
        return StepContext(
            self._state.device,
            self._settings.experiment.training.seed,
            "recipe",
            (step, index),
            number=step,
            epoch=self._progress.shown_epoch,
            progress=None if horizon is None else (step - 1) / horizon,
            update=update,
        )


class RecipeLossStep(GradientStep):
    """The step of a recipe that returns a loss; implements `TrainingStep`."""

    def __init__(
        self, recipe: OwnRecipe, state: State, settings: LiveSettings, progress: Progress
    ) -> None:
        super().__init__(state, settings)
        self._recipe = recipe
        self._contexts = _Contexts(state, settings, progress)

    def loss_of(self, batch: Batch, carry: RecurrentState, step: int, index: int) -> LossTaken:
        precision = self._settings.experiment.training.precision
        with in_precision(precision, self._state.device):
            context = self._contexts.of(step, index)
            loss, others = self._recipe.loss(self._state.model, batch, context)
        return LossTaken(loss.float(), carry, others)


class RecipeStep:
    """The step of a recipe that updates the parts of a model itself; implements `TrainingStep`."""

    def __init__(
        self, recipe: OwnRecipe, state: State, settings: LiveSettings, progress: Progress
    ) -> None:
        self._recipe = recipe
        self._state = state
        self._settings = settings
        self._contexts = _Contexts(state, settings, progress)
        self._norms: list[Tensor] = []
        self.is_updating = False

    def prepare(self) -> None:
        """See `TrainingStep`; the settings are looked up in each step."""

    def take(
        self,
        step: int,
        batches: Sequence[Batch],
        shares: Sequence[float],
        carry: RecurrentState,
        lr: Callable[[], float],
    ) -> StepTaken:
        """Take a step with one batch, see `TrainingStep`."""
        (batch,) = batches
        state, training = self._state, self._settings.experiment.training
        # Before the gradients, unlike in other steps: here no loss scaler can skip a step.
        rate = lr()
        state.set_lr(rate, self._settings.group_lrs())
        self._norms.clear()
        with in_precision(training.precision, state.device):
            context = self._contexts.of(step, 0, self._update)
            numbers = self._recipe.training_step(state.model, batch, context)
        if self._norms:
            state.average(step)
        self.is_updating = False
        norm = torch.zeros((), device=state.device)
        if self._norms:
            norm = torch.linalg.vector_norm(torch.stack(self._norms))
        first = next(iter(numbers))
        # A copy: the recipe may change its tensor later.
        loss = numbers["loss" if "loss" in numbers else first].detach().clone()
        others = {name: number for name, number in numbers.items() if name != "loss"}
        return StepTaken(loss, norm, rate, carry, others)

    def _update(self, part: str, loss: Tensor, retain_graph: bool) -> None:
        """Update a part of the model by the gradients of a loss."""
        state, training = self._state, self._settings.experiment.training
        parameters = state.parameters_of(part)
        if not parameters:
            return  # The part is frozen in this step.
        # Autocast is for the forward pass alone.
        with torch.autocast(state.device.type, enabled=False):
            state.clear_gradients(part)
            torch.autograd.backward(loss.float(), inputs=parameters, retain_graph=retain_graph)
            norm = clip(state, training, part)
            # From here on the weights are those of no step until the whole step is done.
            self.is_updating = True
            state.update_part(part)
        self._norms.append(norm.float())
