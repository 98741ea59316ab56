"""One optimizer step: the micro-batches of a group, forward, backward, clipping, update.

Layer: training. Nothing here waits for the device: loss and gradient norm stay where they are.
"""

from __future__ import annotations

import torch

from tui_trainer.training.context import Context
from tui_trainer.training.step_buffer import Mark


def take_step(t: Context) -> None:
    """Take the next step; at an epoch's end `progress.batch` is 0 again."""
    task, progress, training = t.task, t.progress, t.experiment.training
    epoch, first = progress.epoch, progress.batch
    if t.batches is None:
        t.batches = task.batches.epoch(epoch, first)
    group = range(first, min(first + training.grad_accumulation, task.batches.per_epoch))
    samples = sum(map(task.batches.size, group))
    asked_s = t.clock()
    # All of the group before any is used: a batch that is lost leaves the state at the last step.
    batches = [next(t.batches) for _ in group]
    t.waiting_s += t.clock() - asked_s
    lr = t.lr()
    t.state.clear_gradients()
    total, carry = None, t.carry
    for index, batch in zip(group, batches, strict=True):
        outputs, carry = task.forward(batch, carry)
        loss = task.criterion.train(outputs, batch.targets)
        if len(group) > 1:
            # By its share of the samples, so that a smaller last micro-batch counts as it should.
            loss = loss * (task.batches.size(index) / samples)
        t.state.backward(loss)
        total = loss.detach() if total is None else total + loss.detach()
    assert total is not None, "a group has at least one micro-batch"
    t.state.unscale_gradients()
    norm = t.state.gradient_norm()
    if training.grad_clip_norm is not None:
        t.state.scale_gradients(torch.clamp(training.grad_clip_norm / (norm + 1e-6), max=1.0))
    if training.grad_clip_value is not None:
        t.state.clamp_gradients(training.grad_clip_value)
    t.state.set_lr(lr)
    t.updating = True
    t.state.update(progress.step + 1)
    t.updating = False
    progress.step += 1
    progress.batch, t.carry = group.stop, carry
    if progress.batch == task.batches.per_epoch:
        progress.epoch, progress.batch = epoch + 1, 0
        t.batches = t.carry = None
    t.samples += samples
    mark = Mark(progress.step, progress.shown_epoch, first, lr, t.watch.elapsed_s())
    t.numbers.record(mark, total, norm)
