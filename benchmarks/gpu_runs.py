"""Trainings for the GPU check, driven in this process: build, cut at a step, resume, compare.

What the parts share. A training is cut by a command that its own events trigger, so that it stops
at the same step every time, in the middle of an epoch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, search_dirs
from tui_trainer.config.yaml.scalars import to_yaml
from tui_trainer.runs.commands import Command, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.events import Event, RunEnded, StepsTaken
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.split_file import read_record, write_record
from tui_trainer.training.start_point import FromCheckpoint, FromScratch, StartPoint
from tui_trainer.training.task import Task, build

React = Callable[[Event], Sequence[Command]]
TIMES = ("elapsed_s", "samples_per_s")

SMALL_TEXT = "dataset.patterns=[a*.py]"
"""Enough of the standard library to train on, and little enough to be tested on in a second."""
EACH_STEP = ("logging.every_steps=1", "logging.every_seconds=1e-6")
QUIET = ("checkpoint.every_seconds=null", "checkpoint.keep_last=100")

# Overrides under which a kind of model is cut and resumed. Dropout, augmentation, accumulation,
# a mean of the weights and a carry are in there, for what they would leave different.
KINDS: dict[str, tuple[str, ...]] = {
    "mlp": ("digits-mlp", "training.ema_decay=0.9", "training.grad_accumulation=2"),
    "cnn": ("digits-cnn", "training.grad_clip_norm=1.0"),
    "gru": ("vowels-gru",),
    "gpt": ("stdlib-gpt", SMALL_TEXT, "model.dropout=0.1", "training.batch_size=8"),
    "lstm": ("stdlib-lstm", SMALL_TEXT, "model.dropout=0.1", "training.batch_size=16"),
}


def experiment(preset: str, *overrides: str) -> Experiment:
    """An experiment preset with overrides as on the command line."""
    return PresetLibrary(search_dirs()).experiment(preset, parse_overrides(overrides))


def place(name: str) -> torch.device:
    """A device with its number, as the program itself chooses it."""
    return torch.device("cuda", 0) if name == "cuda" else torch.device(name)


@dataclass
class Run:
    """A run directory and the experiment in it."""

    experiment: Experiment
    directory: RunDirectory
    events: list[Event] = field(default_factory=list)

    @staticmethod
    def new(folder: Path, wanted: Experiment) -> Run:
        run = RunDirectory(folder)
        make_skeleton(run)
        run.config.write_text(to_yaml(wanted.to_dict()))
        return Run(wanted, run)

    def start(self, device: torch.device, react: React = lambda event: ()) -> RunEnded:
        """Train from step 0; `react` answers each event with commands."""
        return self.train(self.task(device), FromScratch(), react)

    def resume(self, device: torch.device, react: React = lambda event: ()) -> RunEnded:
        """Go on from the newest checkpoint."""
        checkpoint, _ = choose_checkpoint(self.directory.checkpoints, "last", "run")
        task = self.task(device, checkpoint.data.preprocessing)
        return self.train(
            task, FromCheckpoint(checkpoint, tuple(read_edits(self.directory.edits))), react
        )

    def task(self, device: torch.device, fitted: dict[str, Any] | None = None) -> Task:
        """Build the task; that of a new run records the side of each row."""
        record = None if fitted is None else read_record(self.directory.splits)
        task = build(self.experiment, SingleRank(), device, fitted, record=record)
        if fitted is None and task.dataset.split_record is not None:
            write_record(self.directory.splits, task.dataset.split_record)
        return task

    def train(self, task: Task, start: StartPoint, react: React = lambda event: ()) -> RunEnded:
        control = Control()

        def emit(event: Event) -> None:
            self.events.append(event)
            for command in react(event):
                control.send(command)

        return train(task, start, control, emit, self.directory)

    @property
    def losses(self) -> list[float]:
        """The loss of each step, in the order in which they were reported."""
        reports = [event for event in self.events if isinstance(event, StepsTaken)]
        return [loss for report in reports for loss in report.losses]

    def lines(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl without what depends on the time."""
        with self.directory.metrics.open() as file:
            records = [json.loads(line) for line in file]
        return [{k: v for k, v in record.items() if k not in TIMES} for record in records]

    def final(self) -> dict[str, Any]:
        """The newest checkpoint's content, without times and places in files."""
        newest = read_manifests(self.directory.checkpoints)[-1]
        content = read_checkpoint(self.directory.checkpoints, newest).data.to_dict()
        dropped = ("elapsed_s", "metrics_bytes", "held_line")
        progress = {k: v for k, v in content["progress"].items() if k not in dropped}
        return {**content, "progress": progress}


def stop_at(step: int, *, save: bool = True) -> React:
    """Stop once a step is reported; it is obeyed before the next one is taken."""

    def react(event: Event) -> Sequence[Command]:
        reached = isinstance(event, StepsTaken) and event.step >= step
        return (Stop(save=save),) if reached else ()

    return react


def differences(one: Any, other: Any, key: str = "") -> list[str]:
    """Return where two contents differ bit for bit and by how much, in the order of the first."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return _of_tensors(one, other, key)
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            return [f"{key}: other keys: {sorted(set(map(str, one)) ^ set(map(str, other)))[:4]}"]
        return [found for k in one for found in differences(one[k], other[k], f"{key}.{k}")]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{key}: {len(one)} entries and {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [found for n, pair in pairs for found in differences(*pair, f"{key}[{n}]")]
    return [] if one == other else [f"{key}: {one!r:.60} and {other!r:.60}"]


def _of_tensors(one: Tensor, other: Tensor, key: str) -> list[str]:
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return [f"{key}: {one.dtype} {tuple(one.shape)} and {other.dtype} {tuple(other.shape)}"]
    if torch.equal(one, other):
        return []
    apart = (one.double() - other.double()).abs()
    return [f"{key}: {int((apart > 0).sum())} of {one.numel()} differ, by up to {apart.max():.3g}"]


def summed_up(found: list[str]) -> str:
    """The first difference, and how many there are."""
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}"
