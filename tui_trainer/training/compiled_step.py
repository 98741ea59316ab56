"""`CompiledStep`: forward pass, loss, backward pass, norm and clipping as one compiled graph.

Layer: training. Its bits are its own, because the compiler joins and orders the operations in
another way. The update stays outside: over flat buffers it is one call of one kernel, so a graph
with it is no faster, and every optimizer, group and edit works as it does without a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.func import grad_and_value

from tui_trainer.config.processes import protect_environment
from tui_trainer.problems.batch import Batch, is_on_host
from tui_trainer.training.compiled_graph import CompiledGraph
from tui_trainer.training.forward import Forward, RecurrentState
from tui_trainer.training.losses import Criterion
from tui_trainer.training.part import LiveSettings
from tui_trainer.training.state import State
from tui_trainer.training.straight_step import direct_update
from tui_trainer.training.supervised_step import LossTaken, SupervisedStep, clip

NO_LIMIT = float("inf")


class CompiledStep(SupervisedStep):
    """A supervised step whose gradients come from a graph, one for each shape of a batch.

    Batches of padded sequences are computed without it: every length would be compiled again.
    """

    def __init__(
        self, forward: Forward, criterion: Criterion, state: State, settings: LiveSettings
    ) -> None:
        super().__init__(forward, criterion, state, settings)
        # The compiler starts Python processes that try out its kernels.
        protect_environment()
        self._names: list[str] = []
        self._tensors: tuple[list[nn.Parameter], dict[str, Tensor], list[Tensor]] = ([], {}, [])
        """The trained parameters, the buffers of the model by name, and the gradients."""
        self._numbers: dict[tuple[float, ...], Tensor] = {}
        self._update: Callable[[int], None] = state.update

    def prepare(self) -> None:
        self._update = direct_update(self._state)

    def update(self, step: int) -> None:
        self._update(step)

    def compute_gradients(
        self, step: int, batches: Sequence[Batch], shares: Sequence[float], carry: RecurrentState
    ) -> tuple[LossTaken, Tensor]:
        state = self._state
        if not state.trains or any(is_on_host(name) for batch in batches for name in batch):
            # The model's own code runs, which may exchange the memory of a parameter.
            self._update = state.update
            return super().compute_gradients(step, batches, shares, carry)
        if state.gradients() is not self._tensors[-1]:
            self._bind()
        training = self._settings.experiment.training
        # The graph has its gradients inside, and autograd would only record what is around it.
        with torch.no_grad():
            if len(batches) == 1:
                # The graph sets the gradients, so they need not be cleared first.
                limits = self._tensor(training.grad_clip_norm, training.grad_clip_value)
                loss, norm = self._fill(self._tensors, batches[0], limits)
                return LossTaken(loss, None), norm
            state.clear_gradients()
            losses = [
                self._add(self._tensors, batch, self._tensor(share))
                for batch, share in zip(batches, shares, strict=True)
            ]
        return LossTaken(sum(losses[1:], losses[0]), None), clip(state, training)

    def _bind(self) -> None:
        """Take the tensors of the state; other parameters by name need other graphs."""
        state = self._state
        parameters, buffers = state.trained(), dict(state.model.named_buffers())
        self._tensors = (list(parameters.values()), buffers, state.gradients())
        if self._names != list(parameters):
            self._names = list(parameters)
            self._fill = CompiledGraph(self._fill_gradients)
            self._add = CompiledGraph(self._add_gradients)

    def _tensor(self, *numbers: float | None) -> Tensor:
        """Return numbers on the device; None: no limit. A number in the graph would be fixed."""
        limits = tuple(NO_LIMIT if number is None else number for number in numbers)
        if limits not in self._numbers:
            self._numbers = {limits: torch.tensor(limits, device=self._state.device)}
        return self._numbers[limits]

    def _gradients_of(
        self, parameters: list[nn.Parameter], buffers: dict[str, Tensor], batch: Batch
    ) -> tuple[list[Tensor], Tensor]:
        """Return the gradients of the parameters, and the loss."""

        def loss_of(values: list[Tensor], buffers: dict[str, Tensor]) -> Tensor:
            tensors = dict(zip(self._names, values, strict=True)) | buffers
            outputs = self._forward.with_tensors(tensors, batch)
            return self._criterion.train(outputs, batch)

        values = [parameter.detach() for parameter in parameters]
        gradients, loss = grad_and_value(loss_of)(values, buffers)
        return gradients, loss

    def _fill_gradients(
        self,
        parameters: list[nn.Parameter],
        buffers: dict[str, Tensor],
        into: list[Tensor],
        batch: Batch,
        limits: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Set the clipped gradients; return the loss, and their norm before clipping."""
        gradients, loss = self._gradients_of(parameters, buffers, batch)
        norms = [torch.linalg.vector_norm(gradient.float()) for gradient in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms))
        factor = torch.clamp(limits[0] / (norm + 1e-6), max=1.0)
        for gradient, own in zip(gradients, into, strict=True):
            own.copy_((gradient * factor).clamp(-limits[1], limits[1]))
        return loss, norm

    def _add_gradients(
        self,
        parameters: list[nn.Parameter],
        buffers: dict[str, Tensor],
        into: list[Tensor],
        batch: Batch,
        share: Tensor,
    ) -> Tensor:
        """Add a share of the gradients of a micro-batch; return that share of its loss."""
        gradients, loss = self._gradients_of(parameters, buffers, batch)
        for gradient, own in zip(gradients, into, strict=True):
            own.add_(gradient * share)
        return loss * share[0]
