"""What the loop costs over the bare computation, on the tiny MLP where a loop costs most.

Prints CPU-time ratios of whole trainings to a tight loop over pre-collated batches, measured in
turns in one process: 64-128-10 MLP, batch 64, Adam. 1.0 is the bare computation; below it is what
a fused optimizer saves. `loader` is the loop that everybody writes: DataLoader, `.item()` a step.
`recipe` is the program with a recipe that computes the same loss.

    python benchmarks/loop_cost.py [--steps 2000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tui_trainer.config.experiment import Place, Tree, resolve
from tui_trainer.plugins import recipe
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.task import build

BATCH = 64


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def tight(inputs: Tensor, targets: Tensor, steps: int, *, fused: bool) -> None:
    """The bare computation: batches are there already, nothing is read or counted."""
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    count = len(inputs) // BATCH
    batches = [(inputs[n * BATCH :][:BATCH], targets[n * BATCH :][:BATCH]) for n in range(count)]
    for step in range(steps):
        x, y = batches[step % count]
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()


def loader(inputs: Tensor, targets: Tensor, steps: int) -> None:
    """The loop that everybody writes."""
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    data = DataLoader(TensorDataset(inputs, targets), BATCH, shuffle=True)
    step, total = 0, 0.0
    while step < steps:
        for x, y in data:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            step += 1
            if step == steps:
                break


@recipe("same-loss")
class SameLoss:
    """The cross entropy that the built-in step computes."""

    def compute_loss(self, model: nn.Module, batch: dict[str, Tensor], step: object) -> Tensor:
        return F.cross_entropy(model(batch["input"]), batch["target"])


def ours(steps: int, folder: Path, kind: str = "supervised") -> Callable[[], None]:
    """The whole training, journal and numbers included; checkpoints only at the end."""
    values = {
        "dataset": {"type": "pixels", "path": "builtin:digits.csv.gz", "shape": [1, 8, 8]},
        "model": {"type": "mlp", "layers": [128]},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "recipe": {"type": kind},
        "training": {"max_steps": steps, "batch_size": BATCH, "validate_every_steps": 10**9},
        "checkpoint": {"every_seconds": None},
    }
    experiment = resolve(Tree(dict(values), {(): Place("benchmark")}), "loop-cost")
    run = RunDirectory(folder)
    make_skeleton(run)
    task = build(experiment, SingleRank(), torch.device("cpu"))
    return lambda: _ignore(train(task, FromScratch(), Control(), _ignore, run))


def _ignore(_: object) -> None:
    return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1221, 64, generator=generator)
    targets = torch.randint(0, 10, (1221,), generator=generator)
    names = ("tight", "tight, fused", "loader", "tui-trainer", "recipe")
    costs: dict[str, list[float]] = {name: [] for name in names}
    for round_ in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            ways: dict[str, Callable[[], None]] = {
                "tight": lambda: tight(inputs, targets, arguments.steps, fused=False),
                "tight, fused": lambda: tight(inputs, targets, arguments.steps, fused=True),
                "loader": lambda: loader(inputs, targets, arguments.steps),
                "tui-trainer": ours(arguments.steps, Path(folder) / "run"),
                "recipe": ours(arguments.steps, Path(folder) / "recipe", "same-loss"),
            }
            for name in names:
                begin_s = time.process_time()
                ways[name]()
                # The first round warms up what is imported and allocated once.
                if round_:
                    costs[name].append((time.process_time() - begin_s) / arguments.steps)
    print(f"{arguments.steps} steps, {arguments.rounds} rounds in turns, one thread, CPU time")
    print(f"{'way':<14} {'us a step':>10} {'of tight':>9} {'from':>7} {'to':>7}")
    for name in names:
        ratios = [cost / base for cost, base in zip(costs[name], costs["tight"], strict=True)]
        middle = statistics.median(ratios)
        print(
            f"{name:<14} {statistics.median(costs[name]) * 1e6:>10.1f} {middle:>9.2f} "
            f"{min(ratios):>7.2f} {max(ratios):>7.2f}"
        )


if __name__ == "__main__":
    main()
