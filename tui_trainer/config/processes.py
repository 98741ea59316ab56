"""Starts processes, under rules that hold for every process of this program.

Layer: config. The current directory is not trusted: nothing in it may run just because the program
was started there. Python started with `-c` (the workers, their fork server, the resource tracker,
the helpers of torch.compile) has that directory first on its module path unless PYTHONSAFEPATH is
set, and a PATH with an empty or relative entry finds programs in it. Both are fixed in the
environment, because libraries start processes of their own at any time.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

SAFE_PATH = "PYTHONSAFEPATH"
MOST_BYTES = 128 * 2**20
"""The most output that is read from a program. Even a small git index can name very long paths."""
_PIECE_BYTES = 2**16


def protect_environment(env: MutableMapping[str, str] = os.environ) -> None:
    """Make the environment one that runs nothing from the current directory.

    The program does this before anything else, while it has only one thread: changing the
    environment later is not safe while C code may read it. A safe environment is not changed.
    """
    if not env.get(SAFE_PATH):
        env[SAFE_PATH] = "1"
    path = env.get("PATH")
    if path is not None:
        absolute = os.pathsep.join(filter(os.path.isabs, path.split(os.pathsep))) or os.defpath
        if absolute != path:
            env["PATH"] = absolute


def protected(env: Mapping[str, str] = os.environ, **more: str) -> dict[str, str]:
    """Return a protected copy of an environment, with more variables added."""
    copied = {**env, **more}
    protect_environment(copied)
    return copied


def output_of(
    *words: str,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    given: bytes = b"",
    most_bytes: int = MOST_BYTES,
) -> bytes | None:
    """Return a program's output; None if it is missing, fails, or exceeds a limit.

    The limits are `timeout_s` and `most_bytes`; `given` is its standard input.
    """
    import subprocess
    from tempfile import TemporaryFile

    until_s = time.monotonic() + timeout_s
    try:
        # Input from a file, not a pipe: writing to a pipe could deadlock with the reading below.
        with TemporaryFile() if given else open(os.devnull, "r+b") as stdin:
            stdin.write(given)
            stdin.seek(0)
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=protected(os.environ if env is None else env),
            )
    except (OSError, ValueError):
        return None
    with process:
        assert process.stdout is not None
        printed = _read_until(process.stdout.fileno(), until_s, most_bytes)
        try:
            # After a limit was exceeded there is nothing to wait for, and the program is killed.
            status = process.wait(0 if printed is None else until_s - time.monotonic())
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    return printed if status == 0 else None


def _read_until(descriptor: int, until_s: float, most_bytes: int) -> bytes | None:
    """Read to the end; None if that takes too long or is too much."""
    printed = bytearray()
    while select.select([descriptor], [], [], max(until_s - time.monotonic(), 0))[0]:
        piece = os.read(descriptor, _PIECE_BYTES)
        printed += piece
        if not piece:
            return bytes(printed)
        if len(printed) > most_bytes:
            break
    return None


async def feed(*words: str, given: bytes, timeout_s: float, env: Mapping[str, str]) -> bool:
    """Run a program with this standard input; True if it succeeded.

    It does not block the event loop. The program is killed after `timeout_s`.
    """
    import asyncio
    from asyncio.subprocess import DEVNULL, PIPE

    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
            env=protected(env),
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(process.communicate(given), timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
    return process.returncode == 0


def worker_context(method: str, preload: str) -> BaseContext:
    """Return the context that starts workers with `method`.

    A fork server imports the module `preload` once, for all workers.
    """
    import multiprocessing
    from multiprocessing import forkserver

    protect_environment()
    if method == "forkserver":
        forkserver.set_forkserver_preload([preload])
    return multiprocessing.get_context(method)


def start_resource_tracker() -> None:
    """Start the process that cleans up after killed workers, unless it is running already."""
    from multiprocessing import resource_tracker

    protect_environment()
    resource_tracker.ensure_running()
