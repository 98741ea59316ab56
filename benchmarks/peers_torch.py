"""The arms of `peers.py` that need nothing but torch: loops written by hand, and tui-trainer."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.nn.functional as F
from loop_cost import task_of, validate
from peers_work import BATCH, RATE, Collated, Ready, Work, ready
from torch.utils.data import DataLoader

from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.training.loop import train
from tui_trainer.training.start_point import FromScratch

NUMBERS = itertools.count()


def adam(parameters: Any, *, fused: bool) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=RATE, fused=fused)


def tight(work: Work, *, fused: bool) -> Ready:
    """The bare computation: batches are there already, and no loss of a step is read."""
    return _loop(work, work.collated(), fused=fused, reads=False)


def usual(work: Work, *, fused: bool) -> Ready:
    """The loop that everybody writes: a DataLoader, and the loss is read after each step."""
    return _loop(work, work.loader(), fused=fused, reads=True)


def _loop(work: Work, batches: Collated | DataLoader[Any], *, fused: bool, reads: bool) -> Ready:
    net = work.net()
    optimizer = adam(net.parameters(), fused=fused)
    measured = work.val_loader() if reads else work.val_batches()

    def start() -> None:
        total = 0.0
        for _ in range(work.epochs):
            for x, y in batches:
                optimizer.zero_grad()
                loss = F.cross_entropy(net(x), y)
                loss.backward()
                optimizer.step()
                if reads:
                    total += loss.item()
            validate(net, measured)  # type: ignore[arg-type]

    return ready(start, net)


def ours(work: Work, *, arithmetic: str) -> Ready:
    """The whole program: its journal, losses and norms of all steps, checkpoints, final test."""
    run = RunDirectory(work.folder / f"run-{next(NUMBERS)}")
    make_skeleton(run)
    limits = {"max_steps": work.steps, "arithmetic": arithmetic, "batch_size": BATCH}
    task = task_of(work.steps, training=limits)
    return ready(lambda: train(task, FromScratch(), Control(), lambda _: None, run), task.model)
