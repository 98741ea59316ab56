"""What batch-norm statistics of their own bring to averaged weights (`training.ema_decay`).

Trains a small CNN with batch norm on the digits, and measures the averaged weights on the
validation split after every epoch, with three sets of batch-norm statistics: those of the model
that is trained (raw), their running mean, which a training uses (averaged), and those that the
averaged weights have on the training split (recomputed, which would cost a pass over the data at
each validation and save). Prints the mean validation loss of each, and how far raw and averaged are
from recomputed, for the first half of the training and for the second half.

    python benchmarks/averaged_batch_norm.py [--epochs 25] [--seeds 3]
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from statistics import fmean

import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from tui_trainer.config.experiment import resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.training.average import Average
from tui_trainer.training.forward import Forward
from tui_trainer.training.metrics import measure
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.task import Task, build

KINDS = ("raw", "averaged", "recomputed")
DECAY = 0.99
SETTINGS = ((0.02, 64), (0.1, 64), (0.05, 32), (0.02, 16))
"""Learning rates and batch sizes."""


def task_of(seed: int, lr: float, batch_size: int) -> Task:
    values = {
        "dataset": {
            "type": "pixels",
            "path": "builtin:digits.csv.gz",
            "shape": [1, 8, 8],
            "max_value": 16,
        },
        "model": {"type": "cnn", "channels": [16, 32], "norm": "batch"},
        "optimizer": {"type": "sgd", "lr": lr, "momentum": 0.9},
        "schedule": {"type": "constant"},
        "loss": {"type": "cross_entropy"},
        "training": {"epochs": 1, "batch_size": batch_size, "seed": seed},
    }
    experiment = resolve(Tree(values, {(): Place("benchmark")}), "averaged-batch-norm")
    return build(experiment, SingleRank(), torch.device("cpu"))


def loss_of(model: nn.Module, task: Task) -> float:
    found = measure(
        Forward(model), task.dataset.val, task.dataset, task.criterion.measure, task.eval_batch_size
    )
    assert found is not None
    return found.metrics["loss"]


def with_statistics(average: nn.Module, source: nn.Module) -> nn.Module:
    """Return the averaged weights with the buffers of another model."""
    model = deepcopy(average)
    for ours, theirs in zip(model.buffers(), source.buffers(), strict=True):
        ours.copy_(theirs)
    return model


def recomputed(average: nn.Module, task: Task) -> nn.Module:
    model = deepcopy(average)
    batches = [batch["input"] for batch in task.dataset.train.in_order(256)]
    update_bn(batches, model)
    return model


def losses(task: Task, epochs: int) -> list[tuple[float, ...]]:
    """Train, and return the validation losses of the KINDS after each epoch."""
    average, step, found = Average(task.model, DECAY), 0, []
    for epoch in range(epochs):
        task.model.train()
        for batch in task.batches.epoch(epoch, 0):
            task.optimizer.zero_grad()
            outputs, _ = task.forward(batch)
            loss = task.criterion.train(outputs, batch["target"])
            loss.backward()  # type: ignore[no-untyped-call]
            task.optimizer.step()
            step += 1
            average.update(task.model, step)
        models = (
            with_statistics(average.model, task.model),
            average.model,
            recomputed(average.model, task),
        )
        found.append(tuple(loss_of(model, task) for model in models))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    columns = "  ".join(f"{name:>10}" for name in (*KINDS, "raw off by", "avg off by"))
    print(f"   lr  batch  {'':11}  {columns}")
    for lr, batch_size in SETTINGS:
        runs = [
            losses(task_of(seed, lr, batch_size), arguments.epochs)
            for seed in range(arguments.seeds)
        ]
        middle = arguments.epochs // 2
        for half, part in (
            ("first half", slice(0, middle)),
            ("second half", slice(middle, None)),
        ):
            rows = [row for run in runs for row in run[part]]
            means = "  ".join(f"{fmean(column):10.4f}" for column in zip(*rows, strict=True))
            apart = [fmean(abs(row[kind] - row[2]) for row in rows) for kind in (0, 1)]
            print(
                f"{lr:5g}  {batch_size:5}  {half:11}  {means}  {apart[0]:10.4f}  {apart[1]:10.4f}"
            )


if __name__ == "__main__":
    main()
