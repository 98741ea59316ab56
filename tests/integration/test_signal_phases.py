"""SIGTERM and SIGINT in every phase of a run: what was trained is in a checkpoint that loads."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

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


class Forks:
    """Runs of one program that has torch already, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = str(Path(__file__).with_name("forking.py"))
        self._process = subprocess.Popen(
            [sys.executable, program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(folder),
            start_new_session=True,
        )
        self._printed = folder / "printed"

    def start(self, *words: str) -> int:
        """Start a run; its process id."""
        assert self._process.stdin is not None
        self._printed.unlink(missing_ok=True)
        self._process.stdin.write(json.dumps([str(self._printed), *words]) + "\n")
        self._process.stdin.flush()
        return self._number()

    def wait(self) -> int:
        """The exit status of the run that was started last."""
        return self._number()

    def _number(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return the events that the run has reported so far."""
        if not self._printed.exists():
            return []
        whole = self._printed.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def count(self, name: str) -> int:
        return sum(event["event"] == name for event in self.events)

    def end(self) -> None:
        server = psutil.Process(self._process.pid)
        for one in [server, *server.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        self._process.communicate()


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    found = Forks(folder)
    try:
        yield found
    finally:
        found.end()


def until(wanted: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not wanted():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(LOOK_S)


def reach(phase: str, one: Forks, folder: Path, after: int) -> None:
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
    with forks(tmp_path) as one:
        for attempt in range(tries):
            runs = tmp_path / f"runs-{attempt}"
            runs.mkdir()
            words = ["train", "penguins-mlp", *ENDLESS, *PHASES[phase], "--no-ui"]
            words += ["--log-format", "json", "--runs-dir", str(runs)]
            if attempt >= tries - 2:
                words.append("loader.num_workers=2")
            pid = one.start(*words)
            reach(phase, one, runs, dice.randint(1, 6))
            os.kill(pid, number)
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
