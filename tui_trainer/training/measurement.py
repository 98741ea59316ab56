"""`measure_task`: the metrics of the model of a task on a split, as its problem or its recipe says.

Layer: training.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from tui_trainer.data.base.split import Measurable
from tui_trainer.data.base.to_device import copied_ahead, placed_on
from tui_trainer.problems.batch import Batch
from tui_trainer.problems.own_metrics import totals_of
from tui_trainer.text.errors import BadInput
from tui_trainer.training.forward import Forward
from tui_trainer.training.metrics import Measurement, measure
from tui_trainer.training.own_recipe import OwnRecipe
from tui_trainer.training.recipe_step import in_precision
from tui_trainer.training.step_context import StepContext
from tui_trainer.training.task import Task


def measure_task(
    task: Task,
    forward: Forward,
    split: Measurable,
    interrupted: Callable[[], bool] = lambda: False,
    *,
    with_result: bool = False,
) -> Measurement | None:
    """Measure a model on a split; None if `interrupted` returned true between two batches.

    Draws no random numbers from the global generators and leaves the model's mode as it was.

    Args:
        forward: of the task's model, or of the mean of its weights.
        with_result: also return more than metrics, if the problem has it.
    """
    if task.recipe is None:
        assert task.criterion is not None, "without a recipe there is a loss"
        return measure(
            forward,
            split,
            task.dataset,
            task.criterion.measure,
            task.eval_batch_size,
            interrupted,
            task.extras,
            with_result=with_result,
        )
    model = forward.model
    was_training = model.training
    model.eval()
    try:
        return _by_recipe(task, task.recipe, forward, split, interrupted, with_result)
    finally:
        model.train(was_training)


def _by_recipe(
    task: Task,
    recipe: OwnRecipe,
    forward: Forward,
    split: Measurable,
    interrupted: Callable[[], bool],
    with_result: bool,
) -> Measurement | None:
    info = task.dataset.info
    totals = totals_of(info, forward.device, task.extras, with_result=with_result)
    means = _Means()
    batches = copied_ahead(split.in_order(task.eval_batch_size), forward.device)
    for index, batch in enumerate(batches):
        if interrupted():
            return None
        with torch.inference_mode():
            placed = placed_on(forward.device, batch, split)
            numbers = recipe_numbers(task, recipe, forward, placed, index)
            means.add(numbers, len(placed["target"]))
            if info.problem != "none":
                outputs, _ = forward(placed)
                loss = numbers.get("loss", torch.zeros((), device=forward.device))
                totals.update(outputs, placed, loss.mean())
    return Measurement({**totals.compute(), **means.compute()}, totals.result())


def recipe_numbers(
    task: Task, recipe: OwnRecipe, forward: Forward, batch: Batch, index: int
) -> dict[str, Tensor]:
    """Return the numbers of batch `index` of a measurement, the same ones each time."""
    training = task.experiment.training
    context = StepContext(forward.device, training.seed, "validation", (index,))
    with in_precision(training.precision, forward.device):
        return recipe.validation_step(forward.model, batch, context)


class _Means:
    """Means over the samples of a split, added up on the device."""

    def __init__(self) -> None:
        self._totals: dict[str, Tensor] = {}
        self._count = 0

    def add(self, numbers: dict[str, Tensor], count: int) -> None:
        """Add the numbers of a batch: one per sample, or the mean over the batch."""
        totals = {
            name: number.double().sum() if number.dim() else number.double() * count
            for name, number in numbers.items()
        }
        if self._totals and totals.keys() != self._totals.keys():
            raise BadInput(
                f"validation_step returned {', '.join(totals) or 'nothing'}, and for the first "
                f"batch {', '.join(self._totals)}"
            )
        for name, total in totals.items():
            self._totals[name] = total + self._totals.get(name, 0.0)
        self._count += count

    def compute(self) -> dict[str, float]:
        return {name: (total / self._count).item() for name, total in self._totals.items()}
