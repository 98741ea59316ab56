"""A run on another host that sees the same directory, and file systems without flock."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.hosts import (
    OTHER,
    needs_compiler,
    needs_other_host,
    on_other_host,
    on_renamed_host,
    without_flock,
)
from tests.integration.processes import ENDLESS, Process, call, lines, started, status, steps
from tests.integration.test_attach import RARELY, viewing
from tui_trainer.runs.commands import Pause, Resume, Set

TRAIN = ("train", "penguins-mlp", *ENDLESS, RARELY, "checkpoint.every_steps=200")


def on(run: Path, *words: str) -> tuple[str, ...]:
    """The command that goes on with a run, for a little while."""
    limit = (status(run)["saved_step"] or 0) + 400
    return ("resume", run.name, f"training.max_steps={limit}", "--no-ui", *words)


def state_of(folder: Path, env: Mapping[str, str] | None = None) -> str:
    (run,) = json.loads(call(folder, "runs", "--json", env=env).stdout)
    return str(run["state"])


def silence(run: Path, age_s: float) -> None:
    """As if the run had said nothing for some seconds."""
    os.utime(run / "status.json", (time.time() - age_s,) * 2)


def killed(process: Process, run: Path) -> None:
    """Kill the run itself, which may have another parent than us."""
    os.kill(status(run)["pid"], signal.SIGKILL)
    process.wait()


@pytest.mark.full
@needs_other_host
def test_a_run_on_another_host_is_seen_steered_and_never_written_twice(tmp_path: Path) -> None:
    with started(tmp_path, *TRAIN, before=on_other_host()) as process:
        process.until_step(500)
        run = process.run
        assert status(run)["host"] == OTHER
        assert state_of(tmp_path) == "running"
        with viewing(run) as viewer:
            assert not viewer.ask(Pause()).refused
            viewer.until_state("paused")
            assert not viewer.ask(Set(key="optimizer.lr", value=1e-4)).refused
            assert not viewer.ask(Resume()).refused
            viewer.until_state("running")
        done = call(tmp_path, "ctl", "last", "save")
        assert (done.returncode, "applied" in done.stdout) == (0, True), done.stderr
        for words in (on(run), on(run, "--force")):
            done = call(tmp_path, *words)
            assert done.returncode == 2
            assert f"process {status(run)['pid']} on {OTHER} is writing this run" in done.stderr
        killed(process, run)
    before = lines(run)
    assert state_of(tmp_path) == "running"
    silence(run, 40)
    assert state_of(tmp_path) == "lost?"
    done = call(tmp_path, *on(run))
    assert (done.returncode, "--force" in done.stderr) == (2, True), done.stderr
    silence(run, 400)
    assert state_of(tmp_path) == "crashed"
    silence(run, 40)
    assert call(tmp_path, *on(run, "--force")).returncode == 0
    assert state_of(tmp_path) == "finished"
    kept = lines(run)
    assert kept[:100] == before[:100]
    assert steps(run) == sorted(set(steps(run)))


@needs_other_host
@pytest.mark.processes
def test_a_killed_run_goes_on_at_once_after_its_host_was_renamed(tmp_path: Path) -> None:
    with started(tmp_path, *TRAIN, before=on_renamed_host()) as process:
        process.until_step(500)
        run = process.run
        assert status(run)["host"] == OTHER
        assert state_of(tmp_path) == "running"
        done = call(tmp_path, *on(run, "--force"))
        assert (done.returncode, f"on {OTHER} is writing this run" in done.stderr) == (2, True)
        killed(process, run)
    assert state_of(tmp_path) == "crashed"
    assert call(tmp_path, *on(run)).returncode == 0
    assert state_of(tmp_path) == "finished"


@pytest.mark.full
@needs_compiler
@pytest.mark.parametrize("number", ["ENOLCK", pytest.param("EOPNOTSUPP", marks=pytest.mark.soak)])
def test_fault_30_without_flock_one_writes_and_a_killed_one_blocks_nobody(
    tmp_path: Path, number: str
) -> None:
    env = without_flock(tmp_path, number)
    with started(tmp_path, *TRAIN, env=env) as process:
        process.until_event("notice", text="no flock on this file system; a lock file is used")
        process.until_step(500)
        run = process.run
        assert (run / "lock.exclusive").exists()
        assert state_of(tmp_path, env) == "running"
        done = call(tmp_path, *on(run), env=env)
        assert (done.returncode, f"process {process.pid} on " in done.stderr) == (2, True)
        killed(process, run)
    assert state_of(tmp_path, env) == "crashed"
    assert call(tmp_path, *on(run), env=env).returncode == 0
    assert not list(run.glob("lock.*"))


@pytest.mark.full
@needs_compiler
@needs_other_host
def test_without_flock_a_run_of_another_host_is_taken_over_by_force_alone(tmp_path: Path) -> None:
    env = without_flock(tmp_path)
    with started(tmp_path, *TRAIN, before=on_other_host(), env=env) as process:
        process.until_step(500)
        run = process.run
        done = call(tmp_path, *on(run, "--force"), env=env)
        assert (done.returncode, f"on {OTHER} is writing" in done.stderr) == (2, True)
        killed(process, run)
    silence(run, 40)
    assert call(tmp_path, *on(run), env=env).returncode == 2
    silence(run, 40)
    assert call(tmp_path, *on(run, "--force"), env=env).returncode == 0
    assert not list(run.glob("lock.*"))


@pytest.mark.soak
@needs_compiler
@needs_other_host
def test_a_process_that_was_believed_lost_and_comes_back_leaves_the_run_alone(
    tmp_path: Path,
) -> None:
    env = without_flock(tmp_path)
    # A line for every step, however far the run gets.
    words = (*TRAIN, "logging.every_steps=1")
    with started(tmp_path, *words, before=on_other_host(), env=env) as process:
        process.until_step(500)
        run = process.run
        lost = status(run)["pid"]
        os.kill(lost, signal.SIGSTOP)
        silence(run, 40)
        with started(tmp_path, "resume", run.name, "--force", "--no-ui", env=env) as second:
            second.until_step(500)
            os.kill(lost, signal.SIGCONT)
            assert process.wait() == 3
            assert "has taken" in process.errors
            # The second goes on, with its lock, its mail and its lines.
            assert (run / "lock.exclusive").exists()
            assert status(run)["pid"] == second.pid
            done = call(tmp_path, "ctl", run.name, "stop", env=env)
            assert (done.returncode, "applied" in done.stdout) == (0, True), done.stderr
            assert second.wait() == 0
    assert steps(run) == list(range(1, status(run)["step"] + 1))
    assert state_of(tmp_path, env) == "stopped"
    assert call(tmp_path, "resume", run.name, "training.max_steps=1", "--no-ui").returncode == 0
