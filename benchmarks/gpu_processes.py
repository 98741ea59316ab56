"""The processes that the parts of the GPU check start, and what is told of their output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = str(Path(__file__).with_name("gpu_parts.py"))
"""Runs a part, or what a part does in a process of its own."""


def side_by_side(
    work: Callable[[str], tuple[int, str]], names: Sequence[str], most: int = 4
) -> Iterator[tuple[str, tuple[int, str]]]:
    """Work that waits for processes, several at a time where there are CPUs for them."""
    at_once = max(1, min(most, (os.cpu_count() or 1) // 2))
    with ThreadPoolExecutor(at_once) as pool:
        yield from zip(names, pool.map(work, names), strict=True)


def run_program(*arguments: str, limit_s: float) -> tuple[int, str]:
    """The exit status and the output of the real program."""
    return run_command([sys.executable, "-m", "tui_trainer", *arguments], limit_s=limit_s)


def run_command(
    command: Sequence[str], *, limit_s: float, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """The exit status and the output of a command; 124 when it was aborted at its limit."""
    # Not a pipe, which what the command has started would hold open after it.
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        over = ""
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            time.sleep(1)
            process.kill()
            over = f"\nkilled after {limit_s:.0f} s"
        code = process.wait()
        file.seek(0)
        text = f"$ {' '.join(command)}\n{file.read()}{over}"
    return 124 if over else code, text


def log(name: str, text: str) -> None:
    """Put the output of another process into the log; indented, so that none of it is a finding."""
    print("\n".join([f"--- {name}", *(f"  {line}" for line in text.splitlines())]))


def last_line(text: str) -> str:
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line[:300] for line in lines if line), "no output")
