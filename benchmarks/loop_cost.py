"""The cost of the loop over the bare computation, on the tiny MLP where a loop costs most.

Prints CPU-time ratios of whole trainings to a tight loop over pre-collated batches that validates
after each epoch as well, measured in turns in one process: 64-128-10 MLP on the digits, batch 64,
Adam. The program does all that it always does: losses and gradient norms, journal, validation,
checkpoints every 30 s. 1.0 is the bare computation. The program is measured from the validation
after a tenth of the steps, when what is compiled is compiled, to the last one. What a run costs
besides, as its start, the last checkpoint and the test, does not grow with its steps: it is in a
column of its own.

    python benchmarks/loop_cost.py [--steps 2000] [--rounds 7] [--cases plain clipped ...]
        [--write]
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from results import machine, table, write_section
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tui_trainer.config.experiment import resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.data.batches.tensors import TensorSplit
from tui_trainer.plugins import recipe
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Event, ValidationEnded
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.task import Task, build

TITLE = "What the loop costs (`loop_cost.py`)"
BATCH = 64
Batches = list[tuple[Tensor, Tensor]]
Way = Callable[[], float | None]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))


def validate(net: nn.Module, batches: Batches) -> tuple[float, float]:
    """Return loss and accuracy, as people compute them by hand."""
    net.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for x, y in batches:
            outputs = net(x)
            loss += F.cross_entropy(outputs, y, reduction="sum").item()
            right += int((outputs.argmax(1) == y).sum())
            count += len(y)
    net.train()
    return loss / count, right / count


def tight(
    data: tuple[Batches, Batches], steps: int, *, fused: bool = False, clipped: bool = False
) -> None:
    """The bare computation: batches are there already, and no loss of a step is read.

    `clipped`: the gradient norm is clipped, and the mean of the weights is kept and validated.
    """
    training, validation = data
    net = model()
    mean = deepcopy(net)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    for step in range(steps):
        x, y = training[step % len(training)]
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        if clipped:
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if clipped:
            with torch.no_grad():
                for ours, theirs in zip(mean.parameters(), net.parameters(), strict=True):
                    ours.lerp_(theirs, 0.001)
        if (step + 1) % len(training) == 0:
            validate(mean if clipped else net, validation)


def loader(data: tuple[Batches, Batches], steps: int) -> None:
    """The loop that everybody writes: a DataLoader, and the loss is read after each step."""
    training, validation = data
    net = model()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    columns = [torch.cat(column) for column in zip(*training, strict=True)]
    shuffled = DataLoader(TensorDataset(*columns), BATCH, shuffle=True)
    step, total = 0, 0.0
    while step < steps:
        for x, y in shuffled:
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
            step += 1
            if step == steps:
                return
        validate(net, validation)


@recipe("same-loss")
class SameLoss:
    """The cross entropy that the built-in step computes."""

    def compute_loss(self, model: nn.Module, batch: dict[str, Tensor], step: object) -> Tensor:
        return F.cross_entropy(model(batch["input"]), batch["target"])


def task_of(steps: int, **sections: dict[str, Any]) -> Task:
    """Build the training of digits by a small MLP, with further settings by section."""
    values: dict[str, Any] = {
        "dataset": {"type": "pixels", "path": "builtin:digits.csv.gz", "shape": [1, 8, 8]},
        "model": {"type": "mlp", "layers": [128]},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {"max_steps": steps, "batch_size": BATCH},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    experiment = resolve(Tree(values, {(): Place("benchmark")}), "loop-cost")
    return build(experiment, SingleRank(), torch.device("cpu"))


def ours(folder: Path, task: Task) -> Callable[[], float]:
    """The whole program; the way returns the time per step between two validations."""
    run = RunDirectory(folder)
    make_skeleton(run)
    validated: list[tuple[int, float]] = []
    steps = task.experiment.training.max_steps
    assert steps is not None

    def note(event: Event) -> None:
        if isinstance(event, ValidationEnded) and event.step >= steps // 10:
            validated.append((event.step, time.process_time()))

    def way() -> float:
        train(task, FromScratch(), Control(), note, run)
        (first, begin_s), (last, end_s) = validated[0], validated[-1]
        return (end_s - begin_s) / (last - first)

    return way


def collated(split: object, batch_size: int) -> Batches:
    assert isinstance(split, TensorSplit)
    inputs, targets = split.inputs, split.targets
    starts = range(0, len(inputs), batch_size)
    return [(inputs[at : at + batch_size], targets[at : at + batch_size]) for at in starts]


CLIPPED: dict[str, dict[str, Any]] = {"training": {"grad_clip_norm": 1.0, "ema_decay": 0.999}}
AUGMENTED = {"dataset": {"shift_pixels": 0.5, "rotate_degrees": 10.0}}
LABELS = {
    "tight": "tight loop over pre-collated batches",
    "tight, fused": "the same with torch's fused Adam",
    "tight, clipped": "the same, clipped, with a mean of the weights",
    "loader": "DataLoader and `.item()` in each step",
    "plain": "tui-trainer, everything included",
    "recipe": "tui-trainer, a recipe that computes the same loss",
    "clipped": "tui-trainer, clipped, with a mean of the weights",
    "default bits": "tui-trainer, `training.arithmetic=plain`",
    "default bits, clipped": "the same, clipped, with a mean of the weights",
    "augmented": "tui-trainer, pictures shifted and turned",
    "compiled": "tui-trainer, `training.compile=step`",
}
CASES: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "plain": ("tight", {}),
    "recipe": ("tight", {"recipe": {"type": "same-loss"}}),
    "clipped": ("tight, clipped", CLIPPED),
    # The bits of torch's default loop, the norm by which it clips included.
    "default bits": ("tight", {"training": {"arithmetic": "plain"}}),
    "default bits, clipped": (
        "tight, clipped",
        {"training": {**CLIPPED["training"], "arithmetic": "plain"}},
    ),
    "augmented": ("tight", AUGMENTED),
    "compiled": ("tight", {"training": {"compile": "step"}}),
}
"""The trainings by name: the way that each is compared with, and its settings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = task_of(1).dataset
    data = collated(dataset.train, BATCH), collated(dataset.val, 4 * BATCH)
    # Whole epochs, so that the last step is validated like all others.
    steps = math.ceil(arguments.steps / len(data[0])) * len(data[0])
    bare: dict[str, Way] = {
        "tight": partial(tight, data, steps),
        "tight, fused": partial(tight, data, steps, fused=True),
        "tight, clipped": partial(tight, data, steps, clipped=True),
        "loader": partial(loader, data, steps),
    }
    costs: dict[str, list[float]] = {name: [] for name in (*bare, *arguments.cases)}
    besides: dict[str, list[float]] = {name: [] for name in costs}
    for round_ in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            ways = bare | {
                name: ours(Path(folder) / name, task_of(steps, **CASES[name][1]))
                for name in arguments.cases
            }
            for name, way in ways.items():
                begin_s = time.process_time()
                per_step = way()
                whole_s = time.process_time() - begin_s
                per_step = whole_s / steps if per_step is None else per_step
                # The first round warms up what is imported and allocated once.
                if round_:
                    costs[name].append(per_step)
                    besides[name].append(whole_s - per_step * steps)
    text = (
        f"{machine()} {steps:,} steps, {arguments.rounds} rounds in turns, one thread, CPU time; "
        "64-128-10 MLP on the digits, batch 64, Adam. All validate after each epoch. `besides` is "
        "what a run costs once: its start, the last checkpoint, the test and the baselines.\n\n"
        f"{rows_of(costs, besides)}\n\nEverything: batches by index, loss and gradient norm of "
        "each step, metrics file, validation and checkpoints every 30 s."
    )
    print(text)
    if arguments.write:
        write_section(TITLE, text)


def rows_of(costs: dict[str, list[float]], besides: dict[str, list[float]]) -> str:
    """Return a table of the seconds per step of each way, by round, and what its run took besides.

    As Markdown.
    """
    rows = []
    for name, own in costs.items():
        base = CASES[name][0] if name in CASES else "tight"
        ratios = [cost / other for cost, other in zip(own, costs[base], strict=True)]
        numbers = (statistics.median(ratios), min(ratios), max(ratios))
        once = f"{statistics.median(besides[name]) * 1e3:.0f}" if name in CASES else ""
        per_step = f"{statistics.median(own) * 1e6:.0f}"
        rows.append((LABELS[name], per_step, *(f"{one:.2f}" for one in numbers), base, once))
    return table(("way", "us per step", "ratio", "from", "to", "of", "besides, ms"), rows)


if __name__ == "__main__":
    main()
