"""SIGTERM and SIGINT in every phase of a run: what was trained is in a checkpoint that loads."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.forking import forked
from tests.integration.processes import ENDLESS, LIMIT_S, environment, status
from tui_trainer.runs.commands import Pause
from tui_trainer.runs.mailbox import send
from tui_trainer.training.checkpoints import choose_checkpoint

SIGNALS = (signal.SIGTERM, signal.SIGINT)
FEW = 3
MANY = {signal.SIGTERM: 10, signal.SIGINT: 4}
"""In each of the six phases, two of them with loader workers."""
TRIES = [
    *[pytest.param(number, FEW, id=number.name) for number in SIGNALS],
    *[
        pytest.param(number, MANY[number], id=f"{number.name}-many", marks=pytest.mark.soak)
        for number in SIGNALS
    ],
]
LOOK_S = 0.002
PHASES: dict[str, tuple[str, ...]] = {
    "start-up": (),
    "training": (),
    "validation": ("training.validate_every_steps=1",),
    "saving": ("checkpoint.every_steps=1",),
    "paused": (),
    "test": ("training.max_steps=200",),
}


class Run:
    """A run in a process of its own, and what it has reported in a file."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._printed = folder / "printed"
        with self._printed.open("wb") as file:
            outputs = file.fileno(), file.fileno()
            self._process = forked(words, environment(folder), outputs=outputs)
        self.pid = self._process.pid

    def wait(self) -> int:
        """The exit status as a shell has it."""
        code = self._process.wait(LIMIT_S)
        return code if code >= 0 else 128 - code

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events that the run has reported so far."""
        whole = self._printed.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def count(self, name: str) -> int:
        return sum(event["event"] == name for event in self.events)

    def end(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for worker in psutil.Process(self.pid).children(recursive=True):
                worker.kill()
        self._process.kill()


@contextmanager
def running(folder: Path, *words: str) -> Iterator[Run]:
    """A run that is killed at the end if it still runs."""
    run = Run(folder, *words)
    try:
        yield run
    finally:
        run.end()


def until(wanted: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not wanted():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(LOOK_S)


def reach(phase: str, one: Run, folder: Path, after: int) -> None:
    """Wait until a run is in a phase, at another moment each time."""
    if phase == "start-up":
        until(lambda: any(folder.glob("*/config.yaml")))
        return
    if phase == "paused":
        until(lambda: one.count("steps_taken") > 0)
        (run,) = folder.iterdir()
        send(run / "control", Pause(origin="a test"))
        until(lambda: any(e.get("state") in ("pausing", "paused") for e in one.events))
        return
    awaited = {
        "training": "steps_taken",
        "validation": "validation_ended",
        "saving": "checkpoint_saved",
        "test": "run_started",
    }[phase]
    until(lambda: one.count(awaited) >= (1 if phase == "test" else after))


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("number", "tries"), TRIES)
@pytest.mark.parametrize("phase", PHASES)
def test_fault_23_26_a_signal_in_a_phase_leaves_a_checkpoint_that_loads(
    tmp_path: Path, phase: str, number: signal.Signals, tries: int
) -> None:
    dice = random.Random(phase)
    for attempt in range(tries):
        runs = tmp_path / f"runs-{attempt}"
        runs.mkdir()
        words = ["train", "penguins-mlp", *ENDLESS, *PHASES[phase], "--no-ui"]
        words += ["--log-format", "json", "--runs-dir", str(runs)]
        if attempt >= tries - 2:
            words.append("loader.num_workers=2")
        with running(tmp_path, *words) as one:
            reach(phase, one, runs, dice.randint(1, 6))
            os.kill(one.pid, number)
            code = one.wait()
        left = list(runs.iterdir())
        if phase == "start-up" and not left:
            # The start was cancelled, which leaves nothing.
            assert code == 128 + number
            continue
        (run,) = left
        found = status(run)
        # A test that was done by the time the signal came is one that is done.
        assert code == (0 if found["state"] == "finished" else 128 + number), one.events[-3:]
        assert found["state"] == "stopped" or phase == "test"
        saved, notes = choose_checkpoint(run / "checkpoints", "last", run.name)
        assert notes == []
        assert saved.manifest.step == found["saved_step"] == found["step"]
