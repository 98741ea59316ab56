"""The cost of the loop where the computation takes nearly all of the time: a small CNN and a GPT.

Prints the ratio of processor time to a tight loop over pre-collated batches, in pairs of runs in
turns, one thread. Both begin with the same weights, validate as often and take steps of AdamW; the
tight loop reads no loss, takes no gradient norm and saves nothing. Measured from the first
validation to the last one. The interval is that of the median, with a confidence of 95 %.

    python benchmarks/compute_bound.py [--pairs 25] [--models cnn gpt] [--write]
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from loop_cost import ours
from results import machine, table, write_section
from torch import nn

from tui_trainer.config.experiment import resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.problems.batch import IGNORED, Batch
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.task import Task, build

TITLE = "What the loop costs where the computation takes the time (`compute_bound.py`)"
VALIDATIONS = 5
MODELS: dict[str, dict[str, dict[str, Any]]] = {
    "cnn": {
        "dataset": {"type": "arrays", "path": "pictures.npz", "layout": "channels_last"},
        "model": {"type": "cnn", "channels": [32, 64, 128]},
        "training": {"batch_size": 64, "validate_every_steps": 5},
    },
    "gpt": {
        "dataset": {
            "type": "text",
            "path": "words.txt",
            "sequence_length": 128,
            "val_fraction": 0.05,
            "test_fraction": 0.0,
        },
        "model": {"type": "transformer", "width": 128, "layers": 2, "heads": 4},
        "training": {"batch_size": 16, "validate_every_steps": 5},
    },
}


def write_data(folder: Path) -> None:
    """Write pictures of 32x32 in two classes, and a text of random words."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (800, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "pictures.npz", images=pictures, labels=random.integers(0, 2, 800))
    words = random.choice(["alpha", "beta", "gamma", "delta"], 20_000)
    (folder / "words.txt").write_text(" ".join(words), encoding="utf-8")


def task_of(folder: Path, name: str) -> Task:
    sections = deepcopy(MODELS[name])
    sections["dataset"]["path"] = str(folder / sections["dataset"]["path"])
    every = sections["training"]["validate_every_steps"]
    values: dict[str, Any] = {
        **sections,
        "optimizer": {"type": "adamw", "lr": 1e-3},
        "schedule": {"type": "constant"},
        "loss": {"type": "cross_entropy"},
        "training": {**sections["training"], "max_steps": every * VALIDATIONS},
    }
    experiment = resolve(Tree(values, {(): Place("benchmark")}), "compute-bound")
    return build(experiment, SingleRank(), torch.device("cpu"))


def collated(batches: Iterable[Batch], ready: Callable[[Batch], Batch] | None) -> list[Batch]:
    """Return batches as the model reads them."""
    return [batch if ready is None else ready(batch) for batch in batches]


def loss_of(net: nn.Module, batch: Batch) -> torch.Tensor:
    outputs = net(batch["input"])
    return F.cross_entropy(outputs.flatten(0, -2), batch["target"].flatten())


def validate(net: nn.Module, batches: list[Batch]) -> tuple[float, float]:
    """Return loss and accuracy, as people compute them by hand; the program measures both, too."""
    net.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for batch in batches:
            outputs, targets = net(batch["input"]).flatten(0, -2), batch["target"].flatten()
            known = targets != IGNORED
            loss += F.cross_entropy(outputs, targets, reduction="sum").item()
            right += int((outputs.argmax(-1) == targets)[known].sum())
            count += int(known.sum())
    net.train()
    return loss / count, right / count


def tight(task: Task, batches: tuple[list[Batch], list[Batch]]) -> float:
    """Return the seconds per step of the bare computation between two validations."""
    net, (training, validation) = deepcopy(task.model).train(), batches
    limits = task.experiment.training
    every, steps = limits.validate_every_steps, limits.max_steps
    assert every is not None
    assert steps is not None
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    begin_s = math.nan
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss_of(net, training[step % len(training)]).backward()
        optimizer.step()
        if step % every == 0:
            validate(net, validation)
            begin_s = time.process_time() if step == every else begin_s
    return (time.process_time() - begin_s) / (steps - every)


def interval(ratios: list[float]) -> tuple[float, float]:
    """Return the interval in which the median lies with 95 %, from the order of the values.

    By the binomial distribution of how many lie below the median.
    """
    count, ordered = len(ratios), sorted(ratios)
    outside, place = 0.0, 0
    while outside + math.comb(count, place) / 2**count <= 0.025:
        outside += math.comb(count, place) / 2**count
        place += 1
    first = max(place - 1, 0)
    return ordered[first], ordered[-1 - first]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    header = ("model", "parameters", "tight, ms", "tui-trainer, ms", "ratio", "95 % of the median")
    rows = []
    for name in arguments.models:
        rows.append(measured(name, arguments.pairs))
        print("  ".join(map(str, rows[-1])), flush=True)
    text = (
        f"{machine()} {arguments.pairs} pairs in turns, one thread, CPU time per step; "
        "pictures of 3x32x32 in batches of 64, and 16 x 128 bytes.\n\n" + table(header, rows)
    )
    if arguments.write:
        write_section(TITLE, text)
    else:
        print(text)


def measured(name: str, pairs: int) -> tuple[object, ...]:
    """Return the line of a model in the table."""
    tights: list[float] = []
    own: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        task = task_of(Path(folder), name)
        validation = task.dataset.val.in_order(task.eval_batch_size)
        batches = (
            collated(task.batches.epoch(0), task.batches.ready)[:8],
            collated(validation, task.dataset.val.ready),
        )
        for pair in range(pairs + 1):
            run = ours(Path(folder) / f"run-{pair}", task_of(Path(folder), name))
            # In turns, also within the pairs: whoever comes second may find a warmer machine.
            if pair % 2:
                own.append(run())
            tights.append(tight(task, batches))
            if not pair % 2:
                own.append(run())
    # The first pair warms up.
    ratios = [one / other for one, other in zip(own[1:], tights[1:], strict=True)]
    low, high = interval(ratios)
    return (
        name,
        f"{sum(parameter.numel() for parameter in task.model.parameters()):,}",
        f"{statistics.median(tights[1:]) * 1e3:.1f}",
        f"{statistics.median(own[1:]) * 1e3:.1f}",
        f"{statistics.median(ratios):.3f}",
        f"{low:.3f} to {high:.3f}",
    )


if __name__ == "__main__":
    main()
