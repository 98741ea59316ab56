"""A run that outlives its terminal: hang-ups in each phase, detaching, and the shell's job control.

Every run here is found by its status file, and every process by the terminal it came from, so that
none is left when a test ends.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.processes import ENDLESS, LIMIT_S, call, environment, started, status, steps
from tests.integration.terminals import TerminalProcess, opened
from tests.integration.test_attach import viewing
from tests.integration.test_signal_phases import until
from tests.integration.test_terminal import newest_run, until_more, until_training
from tests.integration.test_workers import workers
from tui_trainer.runs.commands import Pause, Resume, Set, Stop
from tui_trainer.runs.edits import read_edits
from tui_trainer.runs.output import CUT, FILE_LIMIT
from tui_trainer.training.checkpoints import choose_checkpoint

EXPERIMENT = "penguins-mlp"
WORKERS = "loader.num_workers=2"
BRIEF = ("training.epochs=null", "schedule=constant")
pytestmark = pytest.mark.processes

SHELLS = {"bash": ("bash", "--norc", "--noprofile", "-i"), "dash": ("dash", "-i")}
PROMPT = "PROMPT>"
HEARTBEATS = 4
MOST_CPU = 0.1
"""The share of a core for a run that rests after a hang-up; a busy loop takes over half of one."""


def trainer(run: Path) -> psutil.Process:
    """The process that has the run."""
    return psutil.Process(status(run)["pid"])


def streams(process: psutil.Process) -> list[str]:
    """Return the targets of all its file descriptors."""
    found = []
    for one in Path(f"/proc/{process.pid}/fd").iterdir():
        # A file of the run may be closed between the two looks.
        with suppress(FileNotFoundError):
            found.append(os.readlink(one))
    return found


def until_state(terminal: TerminalProcess, run: Path, *states: str) -> None:
    terminal.until(lambda: status(run)["state"] in states)


def until_nothing_runs(terminal: TerminalProcess) -> None:
    terminal.until(lambda: not terminal.own())


@contextmanager
def shell(folder: Path, name: str) -> Iterator[TerminalProcess]:
    """An interactive shell, whose children are jobs."""
    env = {**environment(folder), "TERM": "xterm-256color", "PS1": f"{PROMPT} "}
    env["XDG_CONFIG_HOME"] = str(folder / "config")
    terminal = TerminalProcess(["/usr/bin/env", *SHELLS[name]], env, (80, 24), folder)
    try:
        terminal.until_text(PROMPT)
        yield terminal
    finally:
        terminal.end()


def train_in(terminal: TerminalProcess, folder: Path, *words: str) -> Path:
    """Type the command, and wait until the app shows a run that trains."""
    command = [sys.executable, "-m", "tui_trainer", "train", EXPERIMENT, *ENDLESS, *words]
    terminal.press(" ".join(command), "enter")
    run = until_training(terminal, folder)
    until_app(terminal)
    return run


def until_app(terminal: TerminalProcess) -> None:
    terminal.until(lambda: bool(terminal.screen.modes.get("alternate screen")))
    terminal.until_text("running", "Quit")


def until_shell(terminal: TerminalProcess, word: str) -> None:
    """The app is off the screen, and the shell obeys: it prints what is typed in two pieces."""
    terminal.until(lambda: not terminal.screen.modes.get("alternate screen"))
    terminal.until(lambda: os.tcgetpgrp(terminal.master) == os.getpgid(terminal.pid))
    terminal.press(f"echo {word[:2]}''{word[2:]}", "enter")
    terminal.until_text(word)


# A terminal that is closed.


@pytest.mark.full
@pytest.mark.parametrize(
    ("phase", "words"),
    [
        pytest.param("start-up", (), marks=pytest.mark.soak),
        ("training", ()),
        pytest.param("validation", ("training.validate_every_steps=1",), marks=pytest.mark.soak),
        ("saving", ("checkpoint.every_steps=1",)),
    ],
)
def test_fault_24_a_terminal_closed_in_a_phase_leaves_the_run_to_its_end(
    tmp_path: Path, phase: str, words: tuple[str, ...]
) -> None:
    limit = "training.max_steps=400"
    with opened(tmp_path, "train", EXPERIMENT, limit, *BRIEF, WORKERS, *words) as terminal:
        terminal.until(lambda: newest_run(tmp_path) is not None)
        run = newest_run(tmp_path)
        assert run is not None
        if phase != "start-up":
            terminal.until(lambda: (run / "metrics.jsonl").exists() and len(steps(run)) > 3)
        process = trainer(run)
        terminal.close()
        assert terminal.wait() == 0
        assert not process.is_running()
        until_nothing_runs(terminal)
    assert (status(run)["state"], status(run)["step"]) == ("finished", 400)
    assert steps(run) == list(range(1, 401))
    assert "finished" in (run / "output.log").read_text()


@pytest.mark.full
def test_fault_24_a_closed_terminal_ends_composing(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        terminal.until_text("Quit")
        terminal.close()
        assert terminal.wait() == 129
        until_nothing_runs(terminal)
    assert newest_run(tmp_path) is None


@pytest.mark.full
def test_fault_24_a_paused_run_stays_paused_costs_nothing_and_can_be_steered(
    tmp_path: Path,
) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS, WORKERS) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.until_text("running", "Quit")
        terminal.press("p")
        until_state(terminal, run, "paused")
        process = trainer(run)
        terminal.close()
        terminal.until(lambda: os.getsid(process.pid) == process.pid)
        terminal.until(lambda: not any("/dev/pts" in place for place in streams(process)))
        assert os.readlink(f"/proc/{process.pid}/fd/0") == os.devnull
        before, beat = process.cpu_times(), status(run)["heartbeat"]
        terminal.until(lambda: status(run)["heartbeat"] >= beat + HEARTBEATS)
        after = process.cpu_times()
        used_s = after.user + after.system - before.user - before.system
        assert used_s < MOST_CPU * HEARTBEATS
        assert status(run)["state"] == "paused"
        assert call(tmp_path, "ctl", "last", "resume").returncode == 0
        until_more(terminal, run, 3_000)
        assert len(workers(process.pid)) == 2
        assert call(tmp_path, "ctl", "last", "stop").returncode == 0
        assert terminal.wait() == 0
        until_nothing_runs(terminal)
    assert status(run)["state"] == "stopped"


@pytest.mark.full
def test_fault_24_after_a_hang_up_a_viewer_pauses_edits_resumes_and_stops(tmp_path: Path) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS, WORKERS) as terminal:
        run = until_training(terminal, tmp_path)
        process = trainer(run)
        terminal.close()
        terminal.until(lambda: os.getsid(process.pid) == process.pid)
        with viewing(run) as viewer:
            assert not viewer.ask(Pause()).refused
            viewer.until_state("paused")
            assert not viewer.ask(Set(key="optimizer.lr", value=1e-4)).refused
            assert not viewer.ask(Resume()).refused
            viewer.until_state("running")
            assert not viewer.ask(Stop()).refused
            viewer.until_state("stopped")
        assert terminal.wait() == 0
        until_nothing_runs(terminal)
    found = status(run)
    assert (found["state"], found["saved_step"]) == ("stopped", found["step"])
    (edit,) = read_edits(run / "edits.jsonl")
    assert (edit.key, edit.new) == ("optimizer.lr", 1e-4)


def test_fault_24_a_hang_up_saves_and_stops_where_that_is_wanted(tmp_path: Path) -> None:
    words = ("training.on_hangup=save-and-stop",)
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS, *words) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.close()
        assert terminal.wait() == 129
        until_nothing_runs(terminal)
    found = status(run)
    assert (found["state"], found["saved_step"]) == ("stopped", found["step"])


@pytest.mark.full
@pytest.mark.parametrize(
    ("phase", "words"),
    [
        ("start-up", ()),
        pytest.param("validation", ("training.validate_every_steps=1",), marks=pytest.mark.soak),
        ("saving", ("checkpoint.every_steps=1",)),
        pytest.param("paused", (), marks=pytest.mark.soak),
    ],
)
def test_fault_24_a_hang_up_in_a_phase_saves_and_stops_with_its_workers(
    tmp_path: Path, phase: str, words: tuple[str, ...]
) -> None:
    wanted = ("training.on_hangup=save-and-stop", WORKERS, *words)
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS, *wanted) as terminal:
        terminal.until(lambda: newest_run(tmp_path) is not None)
        run = newest_run(tmp_path)
        assert run is not None
        if phase != "start-up":
            until_more(terminal, run, 3)
        if phase == "paused":
            # A key before there is a screen to press it on would be lost.
            terminal.until_text("running", "Quit")
            terminal.press("p")
            until_state(terminal, run, "paused")
        terminal.close()
        assert terminal.wait() == 129
        until_nothing_runs(terminal)
    found = status(run)
    assert (found["state"], found["saved_step"]) == ("stopped", found["step"])
    saved, notes = choose_checkpoint(run / "checkpoints", "last", run.name)
    assert (saved.manifest.step, notes) == (found["step"], [])


# Given back on purpose.


@pytest.mark.parametrize("leaving", ["d", pytest.param("qd", marks=pytest.mark.full)])
def test_d_gives_the_shell_back_and_the_run_goes_on(tmp_path: Path, leaving: str) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS, WORKERS) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.until_text("running", "Quit")
        process = trainer(run)
        before = [one.pid for one in workers(process.pid)]
        for key in leaving:
            terminal.press(key)
        assert terminal.wait() == 0
        terminal.assert_restored()
        terminal.until(lambda: f"attach {run.name}" in terminal.screen.text.replace("\n", ""))
        terminal.close()
        until_more(terminal, run, 5_000)
        assert [one.pid for one in workers(process.pid)] == before
        assert not any("/dev/pts" in place for place in streams(process))
        process.send_signal(signal.SIGTERM)
        until_nothing_runs(terminal)
    assert status(run)["state"] == "stopped"
    assert steps(run)[-1] == status(run)["saved_step"]


def test_detach_starts_a_run_that_ends_by_itself(tmp_path: Path) -> None:
    limit = "training.max_steps=300"
    with opened(tmp_path, "train", EXPERIMENT, limit, *BRIEF, WORKERS, "--detach") as terminal:
        assert terminal.wait() == 0
        terminal.assert_restored()
        run = newest_run(tmp_path)
        assert run is not None
        terminal.close()
        until_state(terminal, run, "finished")
        until_nothing_runs(terminal)
    assert b"\x1b[?1049h" not in terminal.received
    assert "finished" in (run / "output.log").read_text()


FLOOD = """
import os
from tui_trainer.plugins import ModelParams, model
from torch import nn


class Talking(nn.Linear):
    def forward(self, input):
        os.write(1, b"a line\\n" * 100_000)
        return super().forward(input)


@model("talking", description="prints a lot", params=ModelParams)
def talking(params, signature):
    return Talking(signature.input_shape[0], signature.outputs)
"""


@pytest.mark.full
def test_a_detached_run_that_floods_its_log_fills_no_disk(tmp_path: Path) -> None:
    plugin = tmp_path / "flood.py"
    plugin.write_text(FLOOD)
    words = ("--plugin", str(plugin), "model=talking", "training.max_steps=60", *BRIEF)
    assert call(tmp_path, "train", EXPERIMENT, *words, "--detach").returncode == 0
    run = newest_run(tmp_path)
    assert run is not None
    psutil.wait_procs([trainer(run)], LIMIT_S)
    assert status(run)["state"] == "finished"
    log = run / "output.log"
    assert FILE_LIMIT < log.stat().st_size < FILE_LIMIT + 1000
    assert CUT in log.read_bytes()[FILE_LIMIT:]


def test_the_workers_of_a_detached_run_keep_nothing_of_its_shell(tmp_path: Path) -> None:
    never = "checkpoint.every_seconds=null"
    with started(tmp_path, "train", EXPERIMENT, *ENDLESS, never) as process:
        process.until_step(1)
        run = process.run
        process.signal(signal.SIGKILL)
        process.wait()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    # That it begins anew is told before it starts, and nobody reads it: the launcher waits.
    words = [sys.executable, "-m", "tui_trainer", "resume", run.name, WORKERS, "--detach"]
    shell = f"pipe:[{os.fstat(writing).st_ino}]"
    launcher = psutil.Popen(words, stdout=writing, stderr=writing, env=environment(tmp_path))
    os.close(writing)
    try:
        until(lambda: status(run)["pid"] != process.pid)
        until(lambda: len(workers(status(run)["pid"])) == 2)
        children = trainer(run).children(recursive=True)
        assert not [one for one in children if shell in streams(one)]
        assert launcher.poll() is None
    finally:
        os.close(reading)
        launcher.wait(LIMIT_S)
        assert call(tmp_path, "ctl", run.name, "stop").returncode == 0


def test_detach_tells_what_is_wrong_on_the_shell(tmp_path: Path) -> None:
    done = call(tmp_path, "train", EXPERIMENT, "optimizer.lr=-1", "--detach")
    assert done.returncode == 2
    assert "optimizer.lr" in done.stderr
    limit = "training.max_steps=5"
    done = call(tmp_path, "train", EXPERIMENT, limit, "training.device=cuda:99", "--detach")
    assert done.returncode == 2
    assert "cuda:99" in done.stderr


# The shell's job control.


@pytest.mark.full
@pytest.mark.parametrize("name", SHELLS)
def test_fault_25_ctrl_z_gives_the_shell_back_while_training_goes_on(
    tmp_path: Path, name: str
) -> None:
    with shell(tmp_path, name) as terminal:
        run = train_in(terminal, tmp_path)
        for word in ("first", "again"):
            terminal.press("\x1a")
            until_shell(terminal, word)
            until_more(terminal, run, 3_000)
            assert not terminal.screen.modes.get("alternate screen")
            terminal.press("fg", "enter")
            until_app(terminal)
        terminal.press("\x1a")
        until_shell(terminal, "third")
        terminal.press("bg", "enter")
        until_shell(terminal, "beside")
        until_more(terminal, run, 3_000)
        assert not terminal.screen.modes.get("alternate screen")
        terminal.press("fg", "enter")
        until_app(terminal)
        terminal.press("s")
        terminal.until_text("save and stop")
        terminal.press("s")
        until_state(terminal, run, "stopped")
        terminal.press("q")
        until_shell(terminal, "outside")


@pytest.mark.full
def test_ctrl_z_gives_the_shell_back_from_a_viewer(tmp_path: Path) -> None:
    with started(tmp_path, "train", EXPERIMENT, *ENDLESS) as process:
        process.until_step(20)
        with shell(tmp_path, "bash") as terminal:
            terminal.press(f"{sys.executable} -m tui_trainer attach", "enter")
            until_app(terminal)
            terminal.press("\x1a")
            until_shell(terminal, "first")
            terminal.press("fg", "enter")
            until_app(terminal)
            terminal.press("q")
            until_shell(terminal, "outside")


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGTSTP, signal.SIGSTOP])
def test_fault_25_a_real_stop_stops_training_until_fg(tmp_path: Path, number: int) -> None:
    with shell(tmp_path, "bash") as terminal:
        run = train_in(terminal, tmp_path)
        process = trainer(run)
        os.killpg(os.getpgid(process.pid), number)
        terminal.until(lambda: process.status() == psutil.STATUS_STOPPED)
        terminal.until_text("Stopped")
        assert "suspended" in call(tmp_path, "runs").stdout
        terminal.press("fg", "enter")
        until_more(terminal, run, 3_000)
        until_app(terminal)
        process.send_signal(signal.SIGTERM)
        until_state(terminal, run, "stopped")


@pytest.mark.full
def test_a_killed_trainer_leaves_a_whole_terminal_and_a_word(tmp_path: Path) -> None:
    with opened(tmp_path, "train", EXPERIMENT, *ENDLESS) as terminal:
        run = until_training(terminal, tmp_path)
        terminal.until_text("running", "Quit")
        trainer(run).kill()
        assert terminal.wait() == 137
        terminal.assert_restored()
        terminal.until_text("killed by SIGKILL", "resume")
        terminal.until(lambda: "beginning" in terminal.screen.text.replace("\n", ""))


@pytest.mark.full
def test_a_killed_launcher_is_a_hang_up(tmp_path: Path) -> None:
    with shell(tmp_path, "bash") as terminal:
        run = train_in(terminal, tmp_path)
        process = trainer(run)
        launcher = process.parent()
        assert launcher is not None
        launcher.kill()
        # Perhaps on the app's screen, which is wiped a moment later.
        terminal.until(lambda: b"Killed" in terminal.received)
        until_shell(terminal, "alive")
        terminal.until(lambda: not any("/dev/pts" in place for place in streams(process)))
        until_more(terminal, run, 3_000)
        process.send_signal(signal.SIGTERM)
        until_state(terminal, run, "stopped")


# Signals to the launcher, and what schedulers send.


@pytest.mark.full
def test_a_signal_that_means_pre_emption_saves_and_ends_with_its_code(tmp_path: Path) -> None:
    words = ("training.preempt_signals=[SIGUSR1]", "training.preempt_exit_code=99")
    with started(tmp_path, "train", EXPERIMENT, *ENDLESS, "--no-ui", *words) as process:
        process.until_step(10)
        process.signal(signal.SIGUSR1)
        assert process.wait() == 99
        run = process.run
    saved, _ = choose_checkpoint(run / "checkpoints", "last", run.name)
    assert saved.manifest.step == status(run)["step"] >= 10
