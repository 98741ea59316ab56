"""`Stepper`: takes one step after the other: its batches, its place in the epoch, its record.

Layer: training. Nothing here waits for the device: the loss and the gradient norm stay on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from tui_trainer.problems.batch import Batch
from tui_trainer.training.compiled_step import CompiledStep
from tui_trainer.training.forward import RecurrentState
from tui_trainer.training.graph_capture import CudaCapture
from tui_trainer.training.graphed_step import GraphedStep
from tui_trainer.training.own_losses import ModelLoss, OwnLoss
from tui_trainer.training.part import LiveSettings, Part, Shared
from tui_trainer.training.progress import Progress
from tui_trainer.training.recipe_step import RecipeLossStep, RecipeStep
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.state import State
from tui_trainer.training.step_buffer import StepRecord
from tui_trainer.training.straight_step import StraightStep
from tui_trainer.training.supervised_step import OwnLossStep, TrainingStep
from tui_trainer.training.task import Task


class Stepper(Part):
    """Takes steps, and keeps what the next step needs: the batch iterator and the carry."""

    def __init__(
        self,
        shared: Shared,
        task: Task,
        state: State,
        recorder: Recorder,
        carry: RecurrentState = None,
    ) -> None:
        super().__init__(shared)
        self._source = task.batches
        self._left_out = task.dataset.left_out
        self._accumulation = 1
        self._step = _step_of(task, state, self._settings, self._progress)
        self._recorder = recorder
        self._batches: Iterator[Batch] | None = None
        self.carry = carry
        """The recurrent state after the last micro-batch; None at the start of an epoch."""

    @property
    def is_updating(self) -> bool:
        """Whether a step was cut off while the optimizer changed the weights."""
        return self._step.is_updating

    def prepare(self) -> None:
        """Prepare the steps up to the next border, as `TrainingStep.prepare`."""
        self._accumulation = self._settings.experiment.training.grad_accumulation
        self._step.prepare()

    def take(self) -> None:
        """Take the next step and advance the progress; an epoch ends with `progress.batch` 0.

        If no sample of its batches can be read any more, they are passed over without a step.
        """
        progress, source = self._progress, self._source
        first = progress.batch
        if self._batches is None:
            self._batches = source.epoch(progress.epoch, first)
        end = min(first + self._accumulation, source.per_epoch)
        asked_s = self._clock()
        # Fetch the whole group before using any of it: if a batch is lost, the state is still that
        # of the last finished step.
        batches = list(islice(self._batches, end - first))
        waiting_s = self._clock() - asked_s
        sizes = list(map(source.size, range(first, end)))
        if self._left_out is not None:
            batches, sizes = _without_empty(batches)
            self._events.note_left_out(self._left_out)
        samples = sum(sizes)
        if not samples:
            self._advance(end)
            return
        shares = [size / samples for size in sizes]
        taken = self._step.take(progress.step + 1, batches, shares, self.carry, self._lr)
        progress.step += 1
        self.carry = taken.carry
        self._advance(end)
        record = StepRecord(
            progress.step, progress.shown_epoch, first, taken.lr, self._watch.elapsed_s()
        )
        numbers = (taken.loss, taken.grad_norm, samples, waiting_s)
        self._recorder.record(record, *numbers, taken.others)

    def _advance(self, batch: int) -> None:
        """Let the next step begin with a micro-batch of this epoch, or the first of the next."""
        progress = self._progress
        progress.batch = batch
        if batch == self._source.per_epoch:
            progress.epoch, progress.batch = progress.epoch + 1, 0
            self._batches = self.carry = None

    def _lr(self) -> float:
        # Only after the backward pass, because it may depend on whether the last step was skipped.
        # While the host waits for that, the device works on this step.
        self._recorder.count_skipped()
        return self._settings.lr()


def _without_empty(batches: list[Batch]) -> tuple[list[Batch], list[int]]:
    """Return the micro-batches that have samples, and how many each has."""
    sizes = [len(batch["target"]) for batch in batches]
    return [batch for batch, size in zip(batches, sizes, strict=True) if size], [
        size for size in sizes if size
    ]


def _step_of(task: Task, state: State, settings: LiveSettings, progress: Progress) -> TrainingStep:
    """Return the way in which a task takes its steps."""
    if task.recipe is None:
        assert task.criterion is not None, "without a recipe there is a loss"
        loss = task.criterion.train
        if isinstance(loss, OwnLoss | ModelLoss):
            return OwnLossStep(task.forward, loss, state, settings)
        training = settings.experiment.training
        if training.cuda_graphs and task.device.type == "cuda":
            return GraphedStep(
                task.forward,
                task.criterion,
                state,
                settings,
                capture=CudaCapture(task.device),
                full_size=task.batches.size(0),
            )
        kind = CompiledStep if training.compile == "step" else StraightStep
        return kind(task.forward, task.criterion, state, settings)
    step = RecipeStep if task.recipe.takes_steps else RecipeLossStep
    return step(task.recipe, state, settings, progress)
