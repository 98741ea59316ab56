"""Signals, deaths and hang-ups while worker processes run: nothing trained is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.processes import ENDLESS, LIMIT_S, STOPS, call, started, status, steps
from tests.integration.terminals import opened
from tui_trainer.training.checkpoints import choose_checkpoint

pytestmark = pytest.mark.processes

METHODS = ["forkserver", "spawn"]
PAIRS: list[tuple[object, ...]] = [(signal.SIGINT, "spawn"), (signal.SIGTERM, "forkserver")]
"""Each signal and each method once, for the full form."""
TRAIN = ("train", "digits-mlp", *ENDLESS, "--no-ui", "loader.num_workers=2")
LOOK_S = 0.02


def all_but_some_soak(
    cases: Iterable[tuple[object, ...]], some: Sequence[tuple[object, ...]]
) -> list[Any]:
    """All cases as parameters: some as they are, the others marked for the soak form."""
    return [pytest.param(*case, marks=() if case in some else pytest.mark.soak) for case in cases]


def family(pid: int) -> list[psutil.Process]:
    """The processes below one: fork server, resource tracker and workers."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def until(wanted: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not wanted():
        assert time.monotonic() < until_s, "waited in vain"
        time.sleep(LOOK_S)


def workers(pid: int) -> list[psutil.Process]:
    """Those that make batches: they are children of torch's, and named by it."""
    found = []
    for one in family(pid):
        try:
            if "pt_data_worker" in Path(f"/proc/{one.pid}/comm").read_text():
                found.append(one)
        except OSError:
            continue
    return found


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=LIMIT_S)
    assert alive == []


def assert_resumes(folder: Path, run: Path) -> None:
    """The checkpoint loads, and the run goes on without a hole."""
    last = status(run)["saved_step"]
    done = call(folder, "resume", "last", "--no-ui", f"training.max_steps={last + 3}")
    assert done.returncode == 0, done.stderr
    assert steps(run)[-1] == last + 3
    assert steps(run) == sorted(set(steps(run)))


@pytest.mark.full
@pytest.mark.parametrize(("number", "method"), all_but_some_soak(product(STOPS, METHODS), PAIRS))
def test_fault_19_a_stop_for_the_whole_group_saves(
    tmp_path: Path, number: signal.Signals, method: str
) -> None:
    with started(tmp_path, *TRAIN, f"loader.start_method={method}") as process:
        process.until_step(10)
        others = family(process.pid)
        assert len(workers(process.pid)) == 2
        os.killpg(process.pid, number)
        assert process.wait() == STOPS[number], process.errors
        assert process.errors == ""
        run = process.run
    assert status(run)["state"] == "stopped"
    assert status(run)["saved_step"] >= 10
    assert_gone(others)
    assert_resumes(tmp_path, run)


@pytest.mark.full
@pytest.mark.parametrize(
    ("after", "number", "method"),
    all_but_some_soak(product([1, 3], STOPS, METHODS), [(1, *PAIRS[0]), (3, *PAIRS[1])]),
)
def test_fault_19_a_stop_while_workers_start_saves(
    tmp_path: Path, number: signal.Signals, method: str, after: int
) -> None:
    with started(tmp_path, *TRAIN, f"loader.start_method={method}") as process:
        process.until_event("run_started")
        # Resource tracker, perhaps a fork server, and the workers, one after the other.
        most = 3 if method == "spawn" else 4
        until(lambda: len(family(process.pid)) >= min(after, most))
        others = family(process.pid)
        os.killpg(process.pid, number)
        assert process.wait() == STOPS[number], process.errors
        run = process.run
    assert status(run)["state"] == "stopped"
    assert_gone(others)
    saved, _ = choose_checkpoint(run / "checkpoints", "last", run.name)
    assert saved.manifest.step == status(run)["saved_step"]


@pytest.mark.full
@pytest.mark.parametrize("method", all_but_some_soak(zip(METHODS), [("forkserver",)]))
def test_fault_24_a_hang_up_of_the_group_does_not_end_the_run(tmp_path: Path, method: str) -> None:
    with started(tmp_path, *TRAIN, f"loader.start_method={method}") as process:
        step = process.until_step(10)["step"]
        before = [one.pid for one in workers(process.pid)]
        for number in (signal.SIGHUP, signal.SIGUSR1):
            os.killpg(process.pid, number)
        # More than an epoch later, so that the workers were asked anew.
        process.until_step(step + 200)
        assert [one.pid for one in workers(process.pid)] == before
        process.signal(signal.SIGINT)
        assert process.wait() == 130


def test_fault_19_a_killed_worker_ends_the_run_saved_and_explained(tmp_path: Path) -> None:
    with started(tmp_path, *TRAIN) as process:
        process.until_step(10)
        others = family(process.pid)
        victim = workers(process.pid)[0].pid
        os.kill(victim, signal.SIGKILL)
        assert process.wait() == 1
        run = process.run
        (line,) = process.errors.splitlines()
    assert f"worker {victim} of the data loader was killed by SIGKILL: out of memory?" in line
    assert "loader.num_workers=0" in line
    assert f"step {status(run)['saved_step']} is saved; tui-trainer resume {run.name}" in line
    assert status(run)["state"] == "failed"
    assert_gone(others)
    assert_resumes(tmp_path, run)


def test_fault_3_no_worker_outlives_a_killed_run(tmp_path: Path) -> None:
    with started(tmp_path, *TRAIN) as process:
        process.until_step(10)
        others = family(process.pid)
        process.signal(signal.SIGKILL)
        process.wait()
    assert_gone(others)


def test_a_resume_may_change_the_loader(tmp_path: Path) -> None:
    words = ("train", "digits-mlp", "--no-ui", "training.max_steps=5")
    assert call(tmp_path, *words).returncode == 0
    done = call(
        tmp_path, "resume", "last", "--no-ui", "training.max_steps=9", "loader.num_workers=1"
    )
    assert done.returncode == 0, done.stderr


def test_fault_33_workers_run_beside_the_app(tmp_path: Path) -> None:
    words = ("loader.num_workers=2", "training.epochs=3")
    with opened(tmp_path, "train", "digits-mlp", *words, size=(100, 30)) as terminal:
        terminal.until(lambda: len(workers(terminal.pid)) == 2)
        others = family(terminal.pid)
        terminal.until_text("finished")
        terminal.press("q")
        assert terminal.wait() == 0
        terminal.assert_restored()
    assert_gone(others)
