"""`Forward`: applies a model to a batch, in the configured precision and with its recurrent state.

Layer: training. The only place that calls a model. Training, evaluation and prediction all use it,
so they compute alike. The loss is computed outside of it, always on float32 outputs.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.config.processes import protect_environment
from tui_trainer.problems.batch import Batch, describe

RecurrentState = tuple[Tensor, ...] | None
"""Tensors that a recurrent model hands on from batch to batch, with the batch in dimension 0.

None stands for the start of a text.
"""

MIXED = {"bf16": torch.bfloat16, "fp16": torch.float16}
"""The values of `training.precision` that use autocast, and the type each of them casts to."""


class Forward:
    """Calls a model; if `stateful`, each row continues where it ended in the previous batch."""

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
            # torch.compile starts a compiler, and Python processes that try out its kernels.
            protect_environment()
            # Compile the call and leave the module alone, so that its parameters keep their names.
            self._run = torch.compile(self._run)

    def of(self, model: nn.Module) -> Forward:
        """Return a `Forward` with the same settings for another model of this kind."""
        return Forward(
            model,
            stateful=self.stateful,
            precision=self._precision,
            channels_last=self._channels_last,
            compiled=self._compiled,
        )

    @property
    def device(self) -> torch.device:
        """The device that the model is on now; a pause may move it to the host."""
        first = next(self.model.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def __call__(self, batch: Batch, carry: RecurrentState = None) -> tuple[Tensor, RecurrentState]:
        """Return the outputs, (B, K) or (B, T, K), and the detached carry for the next batch."""
        inputs = batch["input"]
        if self._channels_last and inputs.dim() == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        try:
            return self._in_precision(inputs, batch, carry)
        except Exception as error:
            error.add_note(f"the inputs are {describe(inputs)}")
            raise

    def _in_precision(
        self, inputs: Tensor, batch: Batch, carry: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        if self._dtype is None:
            return self._outputs(inputs, batch, carry)
        with torch.autocast(inputs.device.type, dtype=self._dtype):
            outputs, left = self._outputs(inputs, batch, carry)
        return outputs.float(), left

    def _outputs(
        self, inputs: Tensor, batch: Batch, carry: RecurrentState
    ) -> tuple[Tensor, RecurrentState]:
        if self.stateful:
            outputs, left = self._run(inputs, _kept(carry, batch.get("fresh")))
            return outputs, tuple(part.detach() for part in left)
        lengths = batch.get("lengths")
        if lengths is None:
            return self._run(inputs), None
        # Never compiled: every new length would compile again, and packed sequences have a kernel
        # of their own. On an H200, compiling a GRU took over 80 s and gained nothing.
        return self.model(inputs, lengths), None


def _kept(carry: RecurrentState, fresh: Tensor | None) -> RecurrentState:
    """Return the carry with zeros in the rows that begin a new text."""
    if carry is None or fresh is None or not fresh.any():
        return carry
    if fresh.all():
        return None
    keep = (~fresh).to(carry[0].device)
    return tuple(part * keep.view(-1, *[1] * (part.dim() - 1)) for part in carry)
