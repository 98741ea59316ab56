"""A loss and metrics as plugins have them, registered for a test and then removed."""

from __future__ import annotations

import torch
from torch import Tensor

from tui_trainer.plugins import loss, metric, setting


def register() -> None:
    """Register a loss with a live setting, and a metric of each of the three kinds."""

    @loss("smoothed", problems=("classification",))
    def smoothed(
        outputs: Tensor,
        target: Tensor,
        alpha: float = setting(0.1, "weight of the even guess", ge=0, le=1, live=True),
        power: int = 1,
    ) -> Tensor:
        log_p = outputs.log_softmax(1)
        right = -log_p.gather(1, target[:, None]).squeeze(1)
        return ((1 - alpha) * right**power - alpha * log_p.mean(1)).mean()

    @metric("top2", better="higher", problems=("classification",), percent=True)
    def top2(outputs: Tensor, batch: dict[str, Tensor]) -> Tensor:
        return (outputs.topk(2).indices == batch["target"][:, None]).any(1).float()

    @metric("widest", better="lower", collect=True)
    def widest(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.amax() - outputs.amin()) * (targets + 1).max()

    @metric("batches", better="lower")
    class Batches:
        """Counts samples, though by batches."""

        def __init__(self) -> None:
            self.total = torch.zeros(())

        def update(self, outputs: Tensor, batch: dict[str, Tensor]) -> None:
            self.total = self.total + len(outputs)

        def compute(self) -> Tensor:
            return self.total
