"""Real processes for the tests of locks and states: each says a line when it is ready."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import tui_trainer

BOUND_S = 20.0

HOLD = """
import sys
from pathlib import Path
from tui_trainer.runs.lock import RunLock
lock = RunLock.acquire(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.read()
"""

HOLD_WITHOUT_FLOCK = """
import errno, sys
from pathlib import Path
from tui_trainer.runs.lock import RunLock
def flock(descriptor, operation):
    raise OSError(errno.ENOLCK, "No locks available")
lock = RunLock.acquire(Path(sys.argv[1]), flock)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def child(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` and has said that it is ready; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=Path(tui_trainer.__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def kill(process: subprocess.Popen[str]) -> None:
    """kill -9, and wait until it is gone."""
    process.kill()
    assert process.wait(BOUND_S) == -signal.SIGKILL


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    """The process stopped by a real SIGSTOP meanwhile."""
    process.send_signal(signal.SIGSTOP)
    wait_for_status(process.pid, psutil.STATUS_STOPPED)
    yield
    process.send_signal(signal.SIGCONT)


def wait_for_status(pid: int, status: str) -> None:
    """Wait until the kernel tells this state of the process; psutil has no event for it."""
    watched = psutil.Process(pid)
    for _ in range(int(BOUND_S * 1000)):
        if watched.status() == status:
            return
    raise AssertionError(f"process {pid} is {watched.status()}, not {status}")
