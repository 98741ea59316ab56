"""A small run driven in the calling thread: cut it anywhere, resume it, compare what is left."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from tui_trainer.config.experiment import Experiment, resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Command, Set, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.events import Event, RunEnded
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.exactness import first_difference
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.split_file import read_record, write_record
from tui_trainer.training.start_point import FromCheckpoint, FromScratch, StartPoint
from tui_trainer.training.task import Task, build

TIMES = ("elapsed_s", "samples_per_s")
React = Callable[[Event], Sequence[Command]]


def write_images(path: Path, rows: int = 72, side: int = 4, classes: int = 3) -> Path:
    """Noisy images, a row a line, whose class can be learned."""
    dice = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        for row in range(rows):
            label = row % classes
            pixels = [dice.randint(0, 5) for _ in range(side * side)]
            for column in range(side):
                pixels[label * side + column] += 10
            writer.writerow([*pixels, label])
    return path


def small_experiment(data: Path, **sections: Any) -> Experiment:
    """12 steps in 3 epochs, with accumulation, dropout, augmentation and clipping."""
    values: dict[str, Any] = {
        "dataset": {
            "type": "pixels",
            "path": str(data),
            "shape": [1, 4, 4],
            "max_value": 16,
            "shift_pixels": 0.5,
            "rotate_degrees": 10,
        },
        "model": {"type": "mlp", "layers": [8], "dropout": 0.3},
        "optimizer": {"type": "adamw", "lr": 0.01},
        "schedule": {"type": "cosine", "warmup_steps": 2},
        "loss": {"type": "cross_entropy", "label_smoothing": 0.1},
        # 48 rows to train on: 5 micro-batches an epoch, the last of 8, in 3 steps of 2, 2 and 1.
        "training": {
            "epochs": 4,
            "batch_size": 10,
            "grad_accumulation": 2,
            "grad_clip_norm": 0.5,
            "eval_batch_size": 3,
        },
        "logging": {"every_steps": 1, "every_seconds": 1e-6},
        "early_stopping": {"patience": 3},
        "checkpoint": {"every_seconds": None, "keep_last": 100},
    }
    for name, changes in sections.items():
        replaced = changes if "type" in changes else {**values.get(name, {}), **changes}
        values[name] = replaced
    return resolve(Tree(values, {(): Place("test")}), "small")


@dataclass
class Run:
    """A run directory and what was said in it."""

    experiment: Experiment
    directory: RunDirectory
    events: list[Event]

    device: ClassVar[torch.device] = torch.device("cpu")

    @staticmethod
    def new(folder: Path, experiment: Experiment) -> Run:
        directory = RunDirectory(folder)
        make_skeleton(directory)
        directory.config.write_text(to_yaml(experiment.to_dict()))
        return Run(experiment, directory, [])

    def start(self, react: React = lambda event: (), **options: Any) -> RunEnded:
        """Train from step 0; `react` answers each event with commands."""
        return self._train(FromScratch(), react, None, **options)

    def resume(
        self, react: React = lambda event: (), which: str = "last", *, drop_edits: bool = False
    ) -> RunEnded:
        """Go on from a checkpoint, as a new process would."""
        checkpoint, _ = choose_checkpoint(self.directory.checkpoints, which, "small")
        checkpoint = checkpoint.with_marked_best(self.experiment.checkpoint.monitor)
        step = checkpoint.manifest.step
        edits = [
            e for e in read_edits(self.directory.edits) if not drop_edits or e.apply_at_step <= step
        ]
        scramble()
        start = FromCheckpoint(checkpoint, tuple(edits), 1)
        return self._train(start, react, checkpoint.data.preprocessing)

    def _train(
        self, start: StartPoint, react: React, fitted: dict[str, Any] | None, **options: Any
    ) -> RunEnded:
        control = Control()

        def emit(event: Event) -> None:
            self.events.append(event)
            for command in react(event):
                control.send(command)

        return train(self.task(fitted), start, control, emit, self.directory, **options)

    def task(self, fitted: dict[str, Any] | None = None) -> Task:
        """Build the task; that of a new run records the side of each row."""
        record = None if fitted is None else read_record(self.directory.splits)
        task = build(self.experiment, SingleRank(), self.device, fitted, record=record)
        if fitted is None and task.dataset.split_record is not None:
            write_record(self.directory.splits, task.dataset.split_record)
        return task

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl without what depends on the time."""
        with self.directory.metrics.open() as file:
            records = [json.loads(line) for line in file]
        return [{k: v for k, v in record.items() if k not in TIMES} for record in records]

    def final(self) -> dict[str, Any]:
        """The newest checkpoint's content, without times and places in files."""
        newest = read_manifests(self.directory.checkpoints)[-1]
        content = read_checkpoint(self.directory.checkpoints, newest).data.to_dict()
        progress = {
            key: value
            for key, value in content["progress"].items()
            if key not in ("elapsed_s", "metrics_bytes", "held_line")
        }
        return {**content, "progress": progress}


def scramble() -> None:
    """Leave every global generator in another state, as a new process would have it."""
    import numpy as np

    torch.manual_seed(random.SystemRandom().getrandbits(32))
    np.random.seed(1)
    random.seed(2)


def same(one: Any, other: Any) -> bool:
    """Whether two checkpoints' contents are equal bit for bit."""
    return not first_difference(one, other, "")


def at_step(step: int, *commands: Command) -> React:
    """Send commands when the numbers of a step are reported, so that they are obeyed after it."""
    from tui_trainer.runs.events import StepsTaken

    waiting = list(commands)

    def react(event: Event) -> Sequence[Command]:
        if isinstance(event, StepsTaken) and event.step == step and waiting:
            sent = tuple(waiting)
            waiting.clear()
            return sent
        return ()

    return react


def both(*reactions: React) -> React:
    """Several reactions as one."""
    return lambda event: [command for react in reactions for command in react(event)]


def cut_at(run: Run, steps: Iterable[int], react: React = lambda event: ()) -> RunEnded:
    """Train a run that is stopped and resumed at each of these steps, and return how it ends.

    Leave a step between two cuts: what a resumed run does in its second step counts as well.
    """
    going: Callable[[React], RunEnded] = run.start
    for step in steps:
        assert going(both(react, at_step(step, Stop()))).step == step
        going = run.resume
    return going(react)


def edit_of_lr() -> React:
    """The edits that every run of a comparison makes."""
    return both(
        at_step(5, Set(key="optimizer.lr", value=0.02)),
        at_step(9, Set(key="optimizer.weight_decay", value=0.1)),
    )
