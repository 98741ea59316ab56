"""`GraphedStep`: a whole step as one recorded graph, which the host starts by a single call.

Layer: training. Recorded are forward pass, loss, backward pass, norm, clipping and update. Batches
are copied into the tensors that the graph reads, and the learning rates are tensors that are
written before it is replayed; torch's fused optimizers count their steps on the device by
themselves. All other numbers are part of the graph, which is recorded again when an edit changes
one. The running mean of the weights moves outside of it, because its share depends on the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, optim

from tui_trainer.data.base.random import GeneratorStates
from tui_trainer.problems.batch import TARGET, Batch, is_on_host
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.graph_capture import Capture, Work
from tui_trainer.training.losses import Criterion
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.state import State
from tui_trainer.training.supervised_step import StepTaken, SupervisedStep

MOST_GRAPHS = 4
"""Forms of batches with a graph of their own; each keeps memory for its activations."""

Form = tuple[tuple[str, torch.Size, torch.dtype], ...]
"""The shape and type of each field of a batch."""


def form_to_record(batches: Sequence[Batch], full_size: int) -> Form | None:
    """Return the form of the micro-batch of a step; None if it is not worth a graph.

    Worth one is a full batch whose fields are all on the device: an epoch has one smaller batch,
    and sequences of different length have another form each time.
    """
    if len(batches) != 1 or len(batches[0][TARGET]) != full_size:
        return None
    (batch,) = batches
    if any(map(is_on_host, batch)):
        return None
    return tuple((name, field.shape, field.dtype) for name, field in batch.items())


class StepGraph:
    """A recorded step for batches of one form, with the tensors that it reads and writes."""

    def __init__(self, example: Batch) -> None:
        self.batch: Batch = {name: field.clone() for name, field in example.items()}
        device = next(iter(example.values())).device
        self.numbers = torch.zeros(2, device=device)
        """The loss, and the norm of the gradients before clipping."""
        self.replay: Work = _nothing

    def take(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Take the step with a batch of that form; return the loss and the norm."""
        for name, field in self.batch.items():
            field.copy_(batch[name])
        self.replay()
        # A copy: the next step writes into the same place.
        loss, norm = self.numbers.clone().unbind()
        return loss, norm


def _nothing() -> None:
    return


class GraphedStep(SupervisedStep):
    """A supervised step that is replayed; batches that are not worth a graph are computed as ever.

    It needs an optimizer of torch with fused kernels, which read a learning rate on the device.
    """

    def __init__(
        self,
        forward: Forward,
        criterion: Criterion,
        state: State,
        settings: LiveSettings,
        *,
        capture: Capture,
        full_size: int,
    ) -> None:
        """Make a step; `full_size` is the number of samples of all batches but the last."""
        super().__init__(forward, criterion, state, settings)
        assert isinstance(state.optimizer, optim.Optimizer), "flat optimizers are for the CPU alone"
        self._optimizer = state.optimizer
        self._capture = capture
        self._full_size = full_size
        self.graphs: dict[Form, StepGraph] = {}
        groups = self._optimizer.param_groups
        self._rates = [torch.zeros((), device=state.device) for _ in groups]
        self._written = [math.nan for _ in groups]
        """The numbers that `_rates` hold."""
        self._gradients = state.gradients()
        self._fixed: tuple[Any, ...] = ()
        """The numbers that are part of the graphs."""
        self._is_edited = True
        settings.apply_to(self._note_edit)
        state.on_offload.append(self.forget)

    def take(
        self,
        step: int,
        batches: Sequence[Batch],
        shares: Sequence[float],
        carry: RecurrentState,
        lr: Callable[[], float],
    ) -> StepTaken:
        state = self._state
        # A step that trains nothing has no backward pass that could be recorded.
        form = form_to_record(batches, self._full_size) if state.trains else None
        self._forget_if_changed()
        if form is None or (form not in self.graphs and len(self.graphs) == MOST_GRAPHS):
            return super().take(step, batches, shares, carry, lr)
        rate = lr()
        state.set_lr(rate, self._settings.group_lrs())
        self._write_rates()
        # Before a recording, too: it rehearses steps, which change the weights for a while.
        state.let_change()
        if form not in self.graphs:
            self.graphs[form] = self._recorded(batches[0])
        # The update is in the graph: if a replay fails, the weights may be half updated.
        self.is_updating = True
        loss, norm = self.graphs[form].take(batches[0])
        state.average(step)
        self.is_updating = False
        return StepTaken(loss, norm, rate, None)

    def update(self, step: int) -> None:
        """Take the optimizer's step as a graph does, with rates that are rounded alike."""
        self._write_rates()
        with self._rates_on_device():
            super().update(step)

    def forget(self) -> None:
        """Free the graphs and their memory; those that are needed are recorded again."""
        if self.graphs:
            self._capture.finish()
            self.graphs.clear()

    def _note_edit(self, _: object) -> None:
        self._is_edited = True

    def _forget_if_changed(self) -> None:
        """Forget the graphs if a tensor was moved that they use, or a number in them was edited."""
        gradients = self._state.gradients()
        if gradients is self._gradients and not self._is_edited:
            return
        training = self._settings.experiment.training
        fixed = (
            training.grad_clip_norm,
            training.grad_clip_value,
            [
                {name: value for name, value in group.items() if name not in ("params", "lr")}
                for group in self._optimizer.param_groups
            ],
        )
        if gradients is not self._gradients or fixed != self._fixed:
            self.forget()
        self._gradients, self._fixed, self._is_edited = gradients, fixed, False

    def _recorded(self, batch: Batch) -> StepGraph:
        """Record the step for batches like this one; leaves everything as it was."""
        graph = StepGraph(batch)

        def work() -> None:
            # No number of a step: only recipes and losses of plugins, which are refused, use it.
            (loss, _, _), norm = self.compute_gradients(0, (graph.batch,), (1.0,), None)
            torch.stack((loss.float(), norm.float()), out=graph.numbers)
            with self._rates_on_device():
                self._state.step_optimizer()

        with undone(self._state):
            self._capture.rehearse(work)
        graph.replay = self._capture.record(work)
        return graph

    def _write_rates(self) -> None:
        """Write the learning rates of the groups to the device, where they differ."""
        for place, group in enumerate(self._optimizer.param_groups):
            if group["lr"] != self._written[place]:
                self._rates[place].fill_(group["lr"])
                self._written[place] = group["lr"]

    @contextmanager
    def _rates_on_device(self) -> Iterator[None]:
        """Let the optimizer read its rates from the device; it keeps the numbers for all else."""
        groups = self._optimizer.param_groups
        for group, rate in zip(groups, self._rates, strict=True):
            group["lr"] = rate
            if "capturable" in group:
                # Torch warns of it where nothing is recorded.
                group["capturable"] = self._capture.is_recording
        try:
            yield
        finally:
            for group, number in zip(groups, self._written, strict=True):
                group["lr"] = number
                if "capturable" in group:
                    group["capturable"] = False


@contextmanager
def undone(state: State) -> Iterator[None]:
    """Undo whatever steps change inside: weights, buffers, the optimizer's state, generators.

    In place, since a graph is about to be recorded with these tensors. State that the optimizer
    made meanwhile becomes zero, which is how the state of all optimizers with fused kernels begins.
    """
    optimizer = state.optimizer
    assert isinstance(optimizer, optim.Optimizer), "flat optimizers are for the CPU alone"
    generators = GeneratorStates.capture(state.device)
    with torch.no_grad():
        tensors = [*state.model.parameters(), *state.model.buffers(), *_tensors_of(optimizer)]
        saved = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, copied in saved:
                tensor.copy_(copied)
            there = {id(tensor) for tensor in tensors}
            for tensor in _tensors_of(optimizer):
                if id(tensor) not in there:
                    tensor.zero_()
        generators.restore(state.device)


def _tensors_of(optimizer: optim.Optimizer) -> list[Tensor]:
    entries = optimizer.state.values()
    return [value for entry in entries for value in entry.values() if isinstance(value, Tensor)]
