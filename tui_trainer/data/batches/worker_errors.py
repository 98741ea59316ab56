"""Describes why a worker of the data loader died, and what to do about it.

Layer: data. Out of memory is a guess: the kernel kills with SIGKILL, and names no reason.
"""

from __future__ import annotations

import shutil
import signal
from multiprocessing.process import BaseProcess
from pathlib import Path

from tui_trainer.text.format import size_text

SHARED_MEMORY = Path("/dev/shm")
WAY_OUT = "loader.num_workers=0 runs without workers"


def describe_death(worker: BaseProcess, workers: int) -> str:
    """Describe how one of `workers` workers died, and the remedy."""
    code = worker.exitcode
    name = f"worker {worker.pid} of the data loader"
    if code == -signal.SIGBUS:
        return f"{name} was killed by SIGBUS: {free_shared_memory()}; {WAY_OUT}"
    if code == -signal.SIGKILL:
        fewer = "fewer workers (loader.num_workers=) need less, " if workers > 1 else ""
        return f"{name} was killed by SIGKILL: out of memory? {fewer or 'If so, '}{WAY_OUT}"
    if code is not None and code < 0:
        return f"{name} was killed by {_signal_name(-code)}; {WAY_OUT}"
    return f"{name} ended with status {code}; {WAY_OUT}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def free_shared_memory() -> str:
    """Describe the free shared memory, which may be too small."""
    try:
        usage = shutil.disk_usage(SHARED_MEMORY)
    except OSError:
        return "shared memory may be too small"
    return (
        f"{SHARED_MEMORY} has {size_text(usage.free)} of {size_text(usage.total)} free and "
        "may be too small (docker: --shm-size)"
    )
