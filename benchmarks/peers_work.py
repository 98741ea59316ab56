"""The training that `peers.py` compares: what every arm is given, and what it gives back.

A small MLP on the digits, Adam, a constant rate, batches of 64 in an order that is drawn in advance
for each epoch, loss and accuracy of the validation split after each epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from loop_cost import BATCH, task_of
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

from tui_trainer.data.base.random import permutation
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.training.task import Task

RATE = 1e-3
Batch = tuple[Tensor, Tensor]


class Net(nn.Sequential):
    """The model of all arms but that of tui-trainer, which builds its own, and of Keras."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


class Orders(Sampler[int]):
    """Yields the places of one epoch after the other, each time that it is asked for them.

    `looks` is how often the first is asked for before the training begins.
    """

    def __init__(self, orders: list[Tensor], looks: int) -> None:
        self._orders = orders
        self._epoch = -looks

    def __iter__(self) -> Iterator[int]:
        self._epoch += 1
        return iter(self._orders[max(self._epoch, 1) - 1].tolist())

    def __len__(self) -> int:
        return len(self._orders[0])


class Collated:
    """Yields the batches of one epoch after the other, which are there already.

    An epoch begins when its first batch is asked for: some make an iterator that they never use.
    """

    def __init__(self, epochs: list[list[Batch]]) -> None:
        self._epochs = epochs
        self._epoch = 0

    def __iter__(self) -> Iterator[Batch]:
        self._epoch += 1
        yield from self._epochs[self._epoch - 1]

    def __len__(self) -> int:
        return len(self._epochs[0])


class Repeated:
    """Yields the same batches each time; some libraries take a list for several loaders."""

    def __init__(self, batches: list[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


@dataclass(frozen=True)
class Work:
    """Data, initial weights and the order of the rows."""

    epochs: int
    folder: Path
    """Where files may be written."""
    task: Task = field(init=False)
    """The same training as tui-trainer does it, which all else is taken from."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", task_of(1))

    @property
    def train(self) -> TensorSplit:
        assert isinstance(self.task.dataset.train, TensorSplit)
        return self.task.dataset.train

    @property
    def val(self) -> TensorSplit:
        assert isinstance(self.task.dataset.val, TensorSplit)
        return self.task.dataset.val

    @property
    def steps(self) -> int:
        return self.epochs * -(-len(self.train) // BATCH)

    @property
    def weights(self) -> list[Tensor]:
        """Copies of the initial weights, in the order of the layers."""
        return [value.detach().clone() for value in self.task.model.parameters()]

    def net(self) -> Net:
        net = Net()
        fill(net, self.weights)
        return net

    @cached_property
    def orders(self) -> list[Tensor]:
        seed = self.task.experiment.training.seed
        return [permutation(len(self.train), seed, epoch) for epoch in range(self.epochs)]

    @cached_property
    def batches(self) -> list[list[Batch]]:
        inputs, targets = self.train.inputs, self.train.targets
        return [
            [(inputs[places], targets[places]) for places in order.split(BATCH)]
            for order in self.orders
        ]

    def collated(self) -> Collated:
        """Return the batches of all epochs, made in advance."""
        return Collated(self.batches)

    def loader(self, looks: int = 0) -> DataLoader[Batch]:
        """Return the loader that everybody writes, with the order of the epochs in its sampler."""
        dataset = TensorDataset(self.train.inputs, self.train.targets)
        return DataLoader(dataset, BATCH, sampler=Orders(self.orders, looks))

    def val_batches(self) -> Repeated:
        pairs = zip(
            self.val.inputs.split(4 * BATCH), self.val.targets.split(4 * BATCH), strict=True
        )
        return Repeated(list(pairs))

    def val_loader(self) -> DataLoader[Batch]:
        return DataLoader(TensorDataset(self.val.inputs, self.val.targets), 4 * BATCH)


def fill(model: nn.Module, weights: list[Tensor]) -> None:
    """Copy weights into a model."""
    with torch.no_grad():
        for own, value in zip(model.parameters(), weights, strict=True):
            own.copy_(value)


@dataclass(frozen=True)
class Ready:
    """A training that is ready to start, and what is looked at afterwards."""

    start: Callable[[], object]
    weights: Callable[[], list[Tensor]]
    """The weights of the layers, as `Work.weights` has them."""
    watch: Callable[[Callable[[bool], None]], object]
    """Has each forward tell whether it trains; not used while times are taken."""


def ready(start: Callable[[], object], model: nn.Module) -> Ready:
    """Return the training of a torch module, which is trained in place."""

    def watch(tell: Callable[[bool], None]) -> object:
        return model.register_forward_hook(lambda module, *_: tell(module.training))

    return Ready(start, lambda: [value.detach().clone() for value in model.parameters()], watch)


def digest(weights: list[Tensor]) -> str:
    """Return what tells whether weights are the same bits."""
    total = hashlib.sha256()
    for value in weights:
        total.update(value.contiguous().numpy().tobytes())
    return total.hexdigest()
