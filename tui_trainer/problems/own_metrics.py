"""Totals of a split together with those of the metrics that a plugin computes.

Layer: problems. A metric of the user's is a number for each sample, or is computed at once for the
whole split, so that it does not depend on the size of the batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from tui_trainer.config.plugin_loader import OWN_METRICS, RECIPE_METRICS, takes_targets
from tui_trainer.config.user_code import place_of
from tui_trainer.problems.batch import Batch, describe
from tui_trainer.problems.dataset_info import DatasetInfo
from tui_trainer.problems.kinds import kind_of
from tui_trainer.problems.problem import Result, Totals
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


def totals_of(
    info: DatasetInfo,
    device: torch.device,
    extras: Sequence[str] = (),
    *,
    with_result: bool = False,
) -> Totals:
    """Return empty totals for a split, with those for the metrics `extras`."""
    own = [name for name in extras if name in OWN_METRICS]
    others = [name for name in extras if name not in OWN_METRICS and name not in RECIPE_METRICS]
    totals = kind_of(info).totals(info, device, others, with_result=with_result)
    return _WithOwn(totals, {name: _counter(name) for name in own}) if own else totals


class _Counter(Protocol):
    """Adds up one metric over the batches of a split."""

    def update(self, outputs: Tensor, batch: Batch) -> None: ...

    def compute(self) -> Any: ...


class _WithOwn:
    """The totals of a problem and the metrics of plugins; implements `Totals`."""

    def __init__(self, totals: Totals, counters: dict[str, _Counter]) -> None:
        self._totals = totals
        self._counters = counters

    def update(self, outputs: Tensor, batch: Batch, loss: Tensor) -> None:
        self._totals.update(outputs, batch, loss)
        for counter in self._counters.values():
            counter.update(outputs, batch)

    def compute(self) -> dict[str, float]:
        own = {name: _as_number(name, counter) for name, counter in self._counters.items()}
        return {**self._totals.compute(), **own}

    def result(self) -> Result | None:
        return self._totals.result()


def _counter(name: str) -> _Counter:
    metric = OWN_METRICS[name]
    if isinstance(metric.compute, type):
        counter: _Counter = metric.compute()
        return counter
    if metric.is_collected:
        return _Collected(name, metric.compute)
    return _MeanOfSamples(name, metric.compute)


class _MeanOfSamples:
    """The mean over the samples of a split of one number for each."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._takes_targets = takes_targets(function)
        self._total: Tensor | None = None
        self._count = 0

    def update(self, outputs: Tensor, batch: Batch) -> None:
        values = self._function(outputs, batch["target"] if self._takes_targets else batch)
        count = len(batch["target"])
        if not isinstance(values, Tensor) or values.shape != (count,):
            found = describe(values) if isinstance(values, Tensor) else f"a {_type(values)}"
            raise BadInput(
                f"{_place(self._function)}: metric {self._name} returned {found} for a batch of "
                f"{count}; it should return a number for each sample, ({count},), because a mean "
                "of means would depend on the batch size; with collect=True it gets the whole "
                "split at once"
            )
        total = values.double().sum()
        self._total = total if self._total is None else self._total + total
        self._count += count

    def compute(self) -> Any:
        assert self._total is not None, "a split has at least one batch"
        return self._total / self._count


class _Collected:
    """A metric of all outputs and targets of a split at once."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self._name = name
        self._function = function
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def update(self, outputs: Tensor, batch: Batch) -> None:
        self._outputs.append(outputs.cpu())
        self._targets.append(batch["target"].cpu())

    def compute(self) -> Any:
        shapes = {part.shape[1:] for part in self._outputs}
        if len(shapes) > 1:
            raise BadInput(
                f"{_place(self._function)}: metric {self._name} is collected, and the outputs of "
                "batches that are padded to different lengths cannot be put together; return a "
                "number for each sample, or write a class with update and compute"
            )
        return self._function(torch.cat(self._outputs), torch.cat(self._targets))


def _as_number(name: str, counter: _Counter) -> float:
    value = counter.compute()
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value.item())
    if isinstance(value, int | float):
        return float(value)
    found = describe(value) if isinstance(value, Tensor) else f"a {_type(value)}"
    place = _place(OWN_METRICS[name].compute)
    raise BadInput(f"{place}: metric {name} is {found} for a split; it should be a number")


def _place(function: Callable[..., Any]) -> str:
    return clean(place_of(function), 300)


def _type(value: object) -> str:
    return type(value).__name__
