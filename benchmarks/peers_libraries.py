"""The arms of `peers.py` that train with another library, each as it comes and at its leanest.

As it comes: the loader, bars, logs and checkpoints that its first example has. At its leanest: all
of that is off, and the batches are there already.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from loop_cost import validate
from peers_torch import NUMBERS, adam
from peers_work import BATCH, RATE, Ready, Work, fill, ready
from torch import Tensor, nn
from torch.utils.data import Dataset


def lightning(work: Work, *, lean: bool, fused: bool) -> Ready:
    from lightning.pytorch import LightningModule, Trainer

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = work.net()

        def training_step(self, batch: Any, index: int) -> Tensor:
            x, y = batch
            loss = F.cross_entropy(self.net(x), y)
            if not lean:
                self.log("loss", loss, prog_bar=True)
            return loss

        def validation_step(self, batch: Any, index: int) -> None:
            x, y = batch
            outputs = self.net(x)
            loss, right = F.cross_entropy(outputs, y), (outputs.argmax(1) == y).float().mean()
            if not lean:
                self.log_dict({"val_loss": loss, "val_accuracy": right}, prog_bar=True)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return adam(self.parameters(), fused=fused)

    module = Module()
    common = {"max_epochs": work.epochs, "accelerator": "cpu", "devices": 1}
    folder = work.folder / f"lightning-{next(NUMBERS)}"
    trainer = (
        Trainer(barebones=True, **common) if lean else Trainer(default_root_dir=folder, **common)
    )
    train, val = (
        (work.collated(), work.val_batches()) if lean else (work.loader(), work.val_loader())
    )
    return ready(lambda: trainer.fit(module, train, val), module.net)


class Rows(Dataset[dict[str, Tensor]]):
    """A split as rows of the form that transformers asks for."""

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self._inputs, self._labels = inputs, labels

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, place: int) -> dict[str, Tensor]:
        return {"inputs": self._inputs[place], "labels": self._labels[place]}


def transformers(work: Work, *, lean: bool, fused: bool) -> Ready:
    from transformers import Trainer, TrainingArguments

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = work.net()

        def forward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
            logits = self.net(inputs)
            return {"loss": F.cross_entropy(logits, labels), "logits": logits}

    class Ordered(Trainer):
        """Takes the rows in the order that is drawn already."""

        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return work.loader().sampler

        def get_train_dataloader(self) -> Any:
            return Batches() if lean else super().get_train_dataloader()

    class Batches:
        def __init__(self) -> None:
            self._batches = work.collated()

        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            return ({"inputs": x, "labels": y} for x, y in self._batches)

        def __len__(self) -> int:
            return len(self._batches)

    quiet: dict[str, Any] = {}
    if lean:
        quiet = {"logging_strategy": "no", "save_strategy": "no", "disable_tqdm": True}
    settings = TrainingArguments(
        output_dir=str(work.folder / f"transformers-{next(NUMBERS)}"),
        num_train_epochs=work.epochs,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=4 * BATCH,
        eval_strategy="epoch",
        use_cpu=True,
        report_to="none",
        max_grad_norm=0.0,
        **quiet,
    )
    model = Model()
    optimizer = adam(model.parameters(), fused=fused)
    trainer = Ordered(
        model,
        settings,
        train_dataset=Rows(work.train.inputs, work.train.targets),
        eval_dataset=Rows(work.val.inputs, work.val.targets),
        compute_metrics=lambda told: {"right": (told[0].argmax(1) == told[1]).mean()},
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)),
    )
    return ready(trainer.train, model.net)


def accelerate(work: Work, *, lean: bool, fused: bool) -> Ready:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    plain = work.net()
    model, optimizer = accelerator.prepare(plain, adam(plain.parameters(), fused=fused))
    train: Any = work.collated() if lean else accelerator.prepare(work.loader())
    val: Any = work.val_batches() if lean else accelerator.prepare(work.val_loader())

    def start() -> None:
        total = 0.0
        for _ in range(work.epochs):
            for x, y in train:
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x), y)
                accelerator.backward(loss)
                optimizer.step()
                if not lean:
                    total += loss.item()
            validate(model, val)

    return ready(start, plain)


def ignite(work: Work, *, lean: bool, fused: bool) -> Ready:
    from ignite.engine import (
        Engine,
        Events,
        create_supervised_evaluator,
        create_supervised_trainer,
    )
    from ignite.metrics import Accuracy, Loss

    net = work.net()
    optimizer = adam(net.parameters(), fused=fused)

    def step(engine: Engine, batch: Any) -> Tensor:
        x, y = batch
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        return loss

    criterion = nn.CrossEntropyLoss()
    trainer = Engine(step) if lean else create_supervised_trainer(net, optimizer, criterion)
    metrics = {"accuracy": Accuracy(), "loss": Loss(criterion)}
    evaluator = create_supervised_evaluator(net, metrics=metrics)
    val: Any = work.val_batches() if lean else work.val_loader()

    def measure() -> None:
        if lean:
            validate(net, val)
        else:
            evaluator.run(val)
        net.train()

    trainer.add_event_handler(Events.EPOCH_COMPLETED, measure)
    net.train()
    train: Any = work.collated() if lean else work.loader()
    return ready(lambda: trainer.run(train, max_epochs=work.epochs), net)


def skorch(work: Work, *, lean: bool, fused: bool) -> Ready:
    from peers_work import Net
    from skorch import NeuralNetClassifier
    from skorch.dataset import Dataset as Pairs
    from skorch.helper import predefined_split

    loaders: dict[str, Any] = {"iterator_train__sampler": work.loader().sampler}
    if lean:
        batches = {True: work.collated(), False: work.val_batches()}
        loaders = {
            "iterator_train": lambda dataset, **_: batches[True],
            "iterator_valid": lambda dataset, **_: batches[False],
            "callbacks": "disable",
            "verbose": 0,
        }
    net = NeuralNetClassifier(
        Net,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        optimizer__fused=fused,
        lr=RATE,
        batch_size=BATCH,
        iterator_valid__batch_size=4 * BATCH,
        max_epochs=work.epochs,
        train_split=predefined_split(Pairs(work.val.inputs, work.val.targets)),
        classes=list(range(10)),
        **loaders,
    ).initialize()
    fill(net.module_, work.weights)
    return ready(lambda: net.partial_fit(work.train.inputs, work.train.targets), net.module_)


def keras(work: Work, *, lean: bool, fused: bool) -> Ready:
    """Its own Adam, which rounds otherwise and adds epsilon elsewhere; it has no fused one."""
    os.environ["KERAS_BACKEND"] = "torch"
    import keras as library

    told: list[Callable[[bool], None]] = []

    class Model(library.Sequential):  # type: ignore[misc]
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            for tell in told:
                tell(bool(training))
            return super().call(inputs, training=training, mask=mask)

    layers = library.layers
    model = Model(
        [
            library.Input((1, 8, 8)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    model.set_weights([value.T.numpy() for value in work.weights])
    model.compile(
        library.optimizers.Adam(RATE, epsilon=1e-8),
        library.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[] if lean else ["accuracy"],
    )

    class Batches(library.utils.PyDataset):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            # It begins an epoch to look at the first batch before it trains.
            self._epoch = -2

        def __len__(self) -> int:
            return len(work.batches[0])

        def __getitem__(self, index: int) -> Any:
            return work.batches[max(self._epoch, 0)][index]

        def on_epoch_begin(self) -> None:
            self._epoch += 1

    quiet = {"verbose": 0, "validation_batch_size": 4 * BATCH} if lean else {}
    val = (work.val.inputs, work.val.targets) if lean else work.val_loader()
    train = Batches() if lean else work.loader(looks=1)

    def weights() -> list[Tensor]:
        return [torch.from_numpy(value).T.contiguous() for value in model.get_weights()]

    return Ready(
        lambda: model.fit(train, epochs=work.epochs, validation_data=val, shuffle=False, **quiet),
        weights,
        told.append,
    )
