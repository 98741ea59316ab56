"""`Forward`: the model applied to a batch, in the number format asked for, with its carry.

Layer: training. The only place that calls a model, in training, in measuring and in predicting, so
that all of them compute alike. The loss is outside of it, and always in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.config.processes import protect_environment
from tui_trainer.data.base.batch import Batch

RecurrentState = tuple[Tensor, ...] | None
"""What a recurrent model hands on from batch to batch, the batch in dimension 0; None: a start."""

MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The formats of `training.precision` that are used beside float32."""


class Forward:
    """Outputs of a model; `stateful` when it goes on where the batch before ended."""

    def __init__(
        self,
        model: nn.Module,
        *,
        stateful: bool = False,
        precision: str = "fp32",
        channels_last: bool = False,
        compiled: bool = False,
    ) -> None:
        self.model = model
        self.stateful = stateful
        self._precision = precision
        self._dtype = MIXED.get(precision)
        self._channels_last = channels_last
        self._compiled = compiled
        self._run: Any = getattr(model, "advance") if stateful else model  # noqa: B009
        if compiled:
            # It starts a compiler, and Pythons that try out what was compiled.
            protect_environment()
            # Compiled beside the module, whose parameters keep their names.
            self._run = torch.compile(self._run)

    def of(self, model: nn.Module) -> Forward:
        """The same for another model of this kind."""
        return Forward(
            model,
            stateful=self.stateful,
            precision=self._precision,
            channels_last=self._channels_last,
            compiled=self._compiled,
        )

    @property
    def device(self) -> torch.device:
        """Where the model is now; it may be moved away in a pause."""
        first = next(self.model.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def __call__(self, batch: Batch, carry: RecurrentState = None) -> tuple[Tensor, RecurrentState]:
        """Outputs (B, K) or (B, T, K), and the carry of the next batch, without its gradients."""
        if self._channels_last and batch.inputs.dim() == 4:
            batch = batch._replace(
                inputs=batch.inputs.contiguous(memory_format=torch.channels_last)
            )
        if self._dtype is None:
            return self._outputs(batch, carry)
        with torch.autocast(batch.inputs.device.type, dtype=self._dtype):
            outputs, left = self._outputs(batch, carry)
        return outputs.float(), left

    def _outputs(self, batch: Batch, carry: RecurrentState) -> tuple[Tensor, RecurrentState]:
        if self.stateful:
            outputs, left = self._run(batch.inputs, _kept(carry, batch.fresh))
            return outputs, tuple(part.detach() for part in left)
        if batch.lengths is None:
            return self._run(batch.inputs), None
        # Never compiled: each new length would be compiled again, and packed sequences have a
        # kernel of their own. On an H200 a GRU took over 80 s to compile, and gained nothing.
        return self.model(batch.inputs, batch.lengths), None


def _kept(carry: RecurrentState, fresh: Tensor | None) -> RecurrentState:
    """The carry with zeros in the rows that begin anew."""
    if carry is None or fresh is None or not fresh.any():
        return carry
    if fresh.all():
        return None
    keep = (~fresh).to(carry[0].device)
    return tuple(part * keep.view(-1, *[1] * (part.dim() - 1)) for part in carry)
