"""Signals and kills while a run is tested, for real: what is saved, said and made up for."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.integration.processes import LIMIT_S, Process, call, lines, started, status
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.attached import AttachedSession

pytestmark = pytest.mark.processes

PLUGIN = """
import time
from pathlib import Path

import torch
from torch.utils.data import Dataset

from tui_trainer.plugins import Data, DatasetParams, dataset, setting


class Dots(Dataset):
    def __init__(self, count, seed, gate=None):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(count, 4, generator=generator)
        self.y = (self.x[:, 0] > 0).long()
        self.gate = gate

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        # The middle of the test is reached only once the gate is open.
        while self.gate is not None and index == 20 and not self.gate.exists():
            time.sleep(0.01)
        return self.x[index], int(self.y[index])


class Params(DatasetParams):
    gate: str = setting("", "the file that is waited for")


@dataset("dots", description="dots on both sides of a line", params=Params)
def dots(params):
    test = Dots(40, 2, Path(params.gate))
    return Data(Dots(64, 0), Dots(20, 1), test, classes=("no", "yes"))
"""
EXPERIMENT = """
dataset: {type: dots, gate: GATE}
model: {type: mlp, layers: [8]}
optimizer: {type: adamw, lr: 0.01}
training: {max_steps: 9, batch_size: 8, eval_batch_size: 4}
logging: {every_steps: 1}
"""


class Gated:
    """A run whose test waits in its middle until the gate is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gate = folder / "open"
        plugin = folder / "dots.py"
        plugin.write_text(PLUGIN)
        experiment = folder / "dots.yaml"
        experiment.write_text(EXPERIMENT.replace("GATE", str(self.gate)))
        self.plugin = ("--plugin", str(plugin))
        self.words = ("train", str(experiment), *self.plugin, "--no-ui")

    def until_testing(self, process: Process) -> None:
        process.until_event("state_changed", state="testing")
        process.until_event("measurement_advanced", part="test split")


def seen_from_elsewhere(run: Path, part: str) -> RunView:
    """Return what a viewer sees who attaches once the run is in a part of its test."""
    session = AttachedSession(RunDirectory(run))
    session.start()
    until_s = time.monotonic() + LIMIT_S
    # The status may tell of the test a moment before the events tell of the state.
    while (session.view.state, session.view.final_test.part) != ("testing", part):
        assert time.monotonic() < until_s, session.view
        session.wait(1.0)
        session.refresh()
    session.close()
    return session.view


@pytest.fixture
def gated(tmp_path: Path) -> Gated:
    return Gated(tmp_path)


def test_a_signal_while_testing_ends_the_run_as_finished(gated: Gated) -> None:
    with started(gated.folder, *gated.words) as process:
        gated.until_testing(process)
        process.signal(signal.SIGTERM)
        process.until_event("command_accepted", command="stop")
        gated.gate.touch()
        assert process.wait() == 0
    (*_, last) = process.events
    assert (last["state"], last["step"], last["test"]) == ("finished", 9, None)
    told = f"test skipped by SIGTERM; tui-trainer evaluate {process.run.name} measures it"
    assert last["reason"] == f"9 steps are done; {told}"
    found = status(process.run)
    assert (found["state"], found["saved_step"], found["test"]) == ("finished", 9, None)
    done = call(gated.folder, "resume", process.run.name, *gated.plugin, "--no-ui")
    assert done.returncode == 0, done.stderr
    assert "testing on 40 samples" in done.stdout
    assert status(process.run)["test"].keys() == {"loss", "accuracy"}


def test_a_run_that_was_killed_while_testing_is_only_tested_by_a_resume(gated: Gated) -> None:
    with started(gated.folder, *gated.words) as process:
        gated.until_testing(process)
        view = seen_from_elsewhere(process.run, "test split")
        assert (view.state, view.step, view.final_test.total) == ("testing", 9, 40)
        (listed,) = list_runs(gated.folder / "runs")
        assert (listed.state, listed.is_live) == ("testing", True)
        process.signal(signal.SIGKILL)
        process.wait()
    killed = process.run
    assert status(killed)["state"] == "testing"
    (listed,) = list_runs(gated.folder / "runs")
    assert (listed.state, listed.progress) == ("crashed", 1.0)
    gated.gate.touch()
    words = ("resume", killed.name, *gated.plugin, "--no-ui")
    with started(gated.folder, *words) as resumed:
        assert resumed.wait() == 0
    with started(gated.folder, *gated.words, "--name", "whole") as whole:
        assert whole.wait() == 0
    kept = ("state", "reason", "step", "epoch", "best", "test", "baseline")
    one, other = resumed.events[-1], whole.events[-1]
    assert {key: one[key] for key in kept} == {key: other[key] for key in kept}
    assert one["test"] is not None
    assert not any(event["event"] == "steps_taken" for event in resumed.events)
    assert lines(killed) == lines(whole.run)
    assert not (killed / "discarded").exists()
