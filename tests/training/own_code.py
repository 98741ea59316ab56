"""A loss and metrics as plugins have them, registered for a test and then removed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import REGISTRIES
from tui_trainer.config.plugins import (
    DATASET_FACTORIES,
    LOADED,
    LOSS_FACTORIES,
    MODEL_FACTORIES,
    OPTIMIZER_FACTORIES,
    OWN_METRICS,
    PROBLEM_CLASSES,
    RECIPE_FACTORIES,
    RECIPE_METRICS,
    SCHEDULE_FACTORIES,
    TRANSFORM_FACTORIES,
)
from tui_trainer.config.problems import PROBLEMS
from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.plugins import loss, metric, setting


@contextmanager
def restored() -> Iterator[None]:
    """Remove what is registered inside afterwards."""
    tables: list[dict[str, Any]] = [LOSS_FACTORIES, OWN_METRICS, PROBLEMS, METRICS]
    tables += [DATASET_FACTORIES, MODEL_FACTORIES, RECIPE_FACTORIES, TRANSFORM_FACTORIES]
    tables += [LOADED, OPTIMIZER_FACTORIES, PROBLEM_CLASSES, SCHEDULE_FACTORIES]
    tables += [registry._specs for registry in REGISTRIES.values()]
    kept, names = [dict(table) for table in tables], set(RECIPE_METRICS)
    try:
        yield
    finally:
        for table, entries in zip(tables, kept, strict=True):
            table.clear()
            table.update(entries)
        RECIPE_METRICS.clear()
        RECIPE_METRICS.update(names)


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
