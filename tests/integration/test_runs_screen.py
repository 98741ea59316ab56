"""The list of runs in the app, in a terminal, with runs that are real."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.processes import ENDLESS, call, started, status
from tests.integration.terminals import opened
from tests.integration.test_terminal import until_more, until_training

SHORT = ("train", "penguins-mlp", "training.epochs=3", "checkpoint.every_steps=8")


@pytest.mark.full
def test_runs_are_found_compared_and_forked_beside_a_live_one(tmp_path: Path) -> None:
    for words in (("--name", "slow", "optimizer.lr=1e-4"), ("--name", "fast", "optimizer.lr=0.1")):
        with started(tmp_path, *SHORT, *words) as process:
            assert process.wait() == 0
    with (
        started(tmp_path, "train", "penguins-mlp", *ENDLESS, "--name", "live") as process,
        opened(tmp_path, "compose", size=(110, 36)) as terminal,
    ):
        process.until_step(20)
        live = process.run
        terminal.until_text("Runs", "Start")
        terminal.press("\x0f")
        terminal.until_text("3 runs, 1 live", "slow", "fast", "live")
        terminal.press("j", " ", " ")
        terminal.until_text("compare: 2 selected", "optimizer.lr", "test.accuracy")
        terminal.press("/")
        terminal.until_text("F1 Help")
        terminal.press("lr<0.01 state=ended")
        terminal.until_text("1 of 3 runs", "state=ended")
        terminal.press("\r")
        terminal.until_text("Fork...")
        terminal.press("f")
        terminal.until_text("Fork slow", "or step")
        terminal.press("training.epochs=4", "\r")
        terminal.until_text("finished after epoch 4")
        terminal.press("\x11")
        assert terminal.wait() == 0
        terminal.assert_restored()
        assert status(live)["state"] == "running"
    found = json.loads(call(tmp_path, "runs", "--json", "--filter", "lr<0.01 state=ended").stdout)
    assert {run["name"].split("-")[0] for run in found} == {"slow", "penguins"}
    wrong = call(tmp_path, "runs", "--filter", "lrr<1")
    assert (wrong.returncode, "did you mean 'lr'" in wrong.stderr) == (2, True)


@pytest.mark.full
def test_a_run_whose_files_are_gone_is_said(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT) as process:
        assert process.wait() == 0
        run = process.run
    with opened(tmp_path, "compose", size=(110, 30)) as terminal:
        terminal.until_text("Runs", "Start")
        terminal.press("\x0f")
        terminal.until_text("1 run, 0 live")
        shutil.rmtree(run)
        terminal.until_text("no runs here yet")
        terminal.press("\x1b")
        terminal.until_text("Start")
        terminal.press("\x11")
        assert terminal.wait() == 0


@pytest.mark.soak
def test_all_runs_are_seen_from_one_that_trains_in_the_app(tmp_path: Path) -> None:
    with started(tmp_path, *SHORT, "--name", "ended") as process:
        assert process.wait() == 0
    words = ("train", "penguins-mlp", *ENDLESS, "--name", "own")
    with opened(tmp_path, *words, size=(110, 36)) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.until_text("running", "Detach")
        terminal.press("\x0f")
        terminal.until_text("2 runs, 1 live", "own", "running")
        terminal.press("j", "r")
        terminal.until_text("it is finished")
        terminal.press("f")
        terminal.until_text("is training in this app", "tui-trainer fork ended", "--detach")
        terminal.press("\r")
        terminal.until_text("finished after", "run again")
        until_more(terminal, run, 3_000)
        terminal.press("\x0f")
        terminal.until_text("2 runs, 1 live")
        terminal.press("k", "\r")
        terminal.until_text("running", "Detach")
        until_more(terminal, run, 3_000)
        terminal.press("\x03")
        terminal.until_text("Stop own", "save and stop")
        terminal.press("s")
        terminal.until_text("stopped after")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
    assert status(run)["state"] == "stopped"
