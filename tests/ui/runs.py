"""A run of 300 steps for the tests of the run screen: an edit, a pause, validations, an end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.machine.usage import GpuUsage, Usage
from tui_trainer.runs.events import (
    CheckpointSaved,
    Edited,
    Event,
    Notice,
    RunEnded,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    ValidationStarted,
)

PER_EPOCH, TOTAL = 23, 460
USAGE = Usage(
    process_bytes=812_000_000,
    process_percent=97.2,
    machine_percent=61.0,
    free_bytes=18_300_000_000,
    gpu=GpuUsage("NVIDIA H100 80GB HBM3", 34, 2_100_000_000, 80_000_000_000),
)


@cache
def an_experiment() -> Experiment:
    """digits-cnn with 20 epochs and a patience of 5."""
    experiment = PresetLibrary([builtin_dir()]).experiment("digits-cnn")
    experiment = edited(experiment, "early_stopping.patience", 5)
    experiment = edited(experiment, "training.epochs", 20)
    return edited(experiment, "optimizer.lr", 3e-3)


def some_events(until: int = 300, name: str = "digits-cnn-1122-2315") -> Iterator[Event]:
    """A run up to a step; its loss falls, so that every validation is the best so far."""
    yield Notice(0, "3 threads asked for, the machine has 2 cores", "warning")
    yield RunStarted(0, 0, name, "cuda:0", 48906, 1221, PER_EPOCH, TOTAL, 1, ("10 classes",))
    yield StateChanged(0, "running")
    rate = 3e-3
    for step in range(1, until + 1):
        epoch = -(-step // PER_EPOCH)
        loss = 2.3 * math.exp(-step / 60) + 0.05 + 0.03 * math.sin(step)
        yield StepsTaken(
            step, epoch, step * 0.02, (loss,), (0.4,), (rate * (1 - step / 500),), 12480.0, 0.012
        )
        if step % PER_EPOCH == 0:
            found = {"loss": loss + 0.1, "accuracy": 1 - loss / 3}
            yield ValidationStarted(step, 3)
            yield ValidationEnded(step, epoch, step * 0.02, found, 0.05, True, 0)
            yield CheckpointSaved(step, f"step-{step:08}.pt", 620_000, 0.01, True)
        if step == 150:
            rate = 2e-3
            yield Edited(step, "optimizer.lr", 3e-3, rate, "you", TOTAL)
        if step == 200:
            yield from a_pause(step)
            yield StateChanged(step, "running")


def a_pause(step: int, more: str = "") -> Iterator[Event]:
    """Return the events of a run that pauses."""
    yield StateChanged(step, "pausing")
    yield CheckpointSaved(step, f"step-{step:08}.pt", 620_000, 0.01, False)
    yield StateChanged(step, "paused", f"saved at step {step}{more}")


def an_ending(classes: int = 10, run_dir: str = "/runs/digits-cnn-1122-2315") -> RunEnded:
    """The end of a classification, with three errors in its test."""
    counts = [[35 if true == guess else 0 for guess in range(classes)] for true in range(classes)]
    counts[1][0] = 2
    counts[0][1] = 1
    return RunEnded(
        step=TOTAL,
        state="finished",
        reason="all 20 epochs are done",
        epoch=20,
        run_dir=run_dir,
        elapsed_s=9.2,
        exit_code=0,
        best={
            "metric": "loss",
            "value": 0.0541,
            "step": 414,
            "epoch": 18,
            "metrics": {"loss": 0.0541, "accuracy": 0.9898},
        },
        test={"loss": 0.0712, "accuracy": 0.9861},
        baseline={
            "majority_class": {"accuracy": 0.1028},
            "nearest_neighbour": {"accuracy": 0.9889},
        },
        confusion=tuple(map(tuple, counts)),
        classes=tuple(f"class {index}" for index in range(classes)),
    )
