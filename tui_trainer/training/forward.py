"""`Forward`: the model applied to a batch, and what is carried over to the next one.

Layer: training. The only place that calls a model, in training, in measuring and in predicting, so
that number format and carry are the same in all of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tui_trainer.data.batch import Batch

Carry = tuple[Tensor, ...] | None
"""What a recurrent model hands on from batch to batch, the batch in dimension 1; None: a start."""


class Forward:
    """Outputs of a model; `stateful` when it goes on where the batch before ended."""

    def __init__(self, model: nn.Module, *, stateful: bool = False) -> None:
        self.model = model
        self.stateful = stateful
        self._run: Any = getattr(model, "advance") if stateful else model  # noqa: B009

    @property
    def device(self) -> torch.device:
        """Where the model is now; it may be moved away in a pause."""
        first = next(self.model.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    def __call__(self, batch: Batch, carry: Carry = None) -> tuple[Tensor, Carry]:
        """Outputs (B, K) or (B, T, K), and the carry of the next batch, without its gradients."""
        if self.stateful:
            outputs, left = self._run(batch.inputs, _kept(carry, batch.fresh))
            return outputs, tuple(part.detach() for part in left)
        if batch.lengths is None:
            return self._run(batch.inputs), None
        return self._run(batch.inputs, batch.lengths), None


def _kept(carry: Carry, fresh: Tensor | None) -> Carry:
    """The carry with zeros in the rows that begin anew."""
    if carry is None or fresh is None or not fresh.any():
        return carry
    if fresh.all():
        return None
    keep = (~fresh).to(carry[0].device)[None, :, None]
    return tuple(part * keep for part in carry)
