"""`Stepper`: takes optimizer steps (forward, backward, clipping, update).

Layer: training. Nothing here waits for the device: the loss and the gradient norm stay on it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from tui_trainer.problems.batch import Batch
from tui_trainer.training.forward import RecurrentState
from tui_trainer.training.part import Part, Shared
from tui_trainer.training.recorder import Recorder
from tui_trainer.training.state import State
from tui_trainer.training.step_buffer import StepRecord
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
        self._task = task
        self._state = state
        self._recorder = recorder
        self._batches: Iterator[Batch] | None = None
        self.carry = carry
        """The recurrent state after the last micro-batch; None at the start of an epoch."""
        self.is_updating = False
        """Whether the optimizer is changing the weights; until it is done they are half-updated."""

    def take(self) -> None:
        """Take the next step and advance the progress; an epoch ends with `progress.batch` 0."""
        task, progress, state = self._task, self._progress, self._state
        training = self._settings.experiment.training
        epoch, first = progress.epoch, progress.batch
        if self._batches is None:
            self._batches = task.batches.epoch(epoch, first)
        group = range(first, min(first + training.grad_accumulation, task.batches.per_epoch))
        samples = sum(map(task.batches.size, group))
        asked_s = self._clock()
        # Fetch the whole group before using any of it: if a batch is lost, the state is still that
        # of the last finished step.
        batches = [next(self._batches) for _ in group]
        waiting_s = self._clock() - asked_s
        state.clear_gradients()
        total, carry = None, self.carry
        for index, batch in zip(group, batches, strict=True):
            outputs, carry = task.forward(batch, carry)
            loss = task.criterion.train(outputs, batch)
            if len(group) > 1:
                # Weighted by its share of the samples, so that a smaller last micro-batch does not
                # count as much as a full one.
                loss = loss * (task.batches.size(index) / samples)
            state.backward(loss)
            total = loss.detach() if total is None else total + loss.detach()
        assert total is not None, "a group has at least one micro-batch"
        state.unscale_gradients()
        norm = state.gradient_norm()
        if training.grad_clip_norm is not None:
            state.scale_gradients(torch.clamp(training.grad_clip_norm / (norm + 1e-6), max=1.0))
        if training.grad_clip_value is not None:
            state.clamp_gradients(training.grad_clip_value)
        # Only now, because it may depend on whether the last step was skipped. While the host waits
        # for that, the device works on this step.
        self._recorder.count_skipped()
        lr = self._settings.lr()
        state.set_lr(lr)
        # If the update fails half-way, `failures` must not save these weights.
        self.is_updating = True
        state.update(progress.step + 1)
        self.is_updating = False
        progress.step += 1
        progress.batch, self.carry = group.stop, carry
        if progress.batch == task.batches.per_epoch:
            progress.epoch, progress.batch = epoch + 1, 0
            self._batches = self.carry = None
        record = StepRecord(progress.step, progress.shown_epoch, first, lr, self._watch.elapsed_s())
        self._recorder.record(record, total, norm, samples, waiting_s)
