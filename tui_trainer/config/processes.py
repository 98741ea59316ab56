"""Processes that this program starts, and the rules that all of them have.

Layer: config. The current directory may come from anywhere, so nothing in it may run only because
a program was started there. A Python that is started by `-c`, as the workers, their fork server,
the resource tracker and the helpers of torch.compile are, has that directory first on its module
path unless PYTHONSAFEPATH is set; and a PATH with an empty or a relative entry finds programs in
it. Both are rules of the environment, because libraries start processes too, whenever they like.
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
"""How much a program may print. A small index of git can name paths of any length."""
_PIECE_BYTES = 2**16


def protect_environment(env: MutableMapping[str, str] = os.environ) -> None:
    """Make the environment one that runs nothing of the current directory.

    The program does so before anything else, while it has one thread: changing the environment
    later is not safe beside C code that reads it. Where all is well nothing is changed.
    """
    if not env.get(SAFE_PATH):
        env[SAFE_PATH] = "1"
    path = env.get("PATH")
    if path is not None:
        absolute = os.pathsep.join(filter(os.path.isabs, path.split(os.pathsep))) or os.defpath
        if absolute != path:
            env["PATH"] = absolute


def protected(env: Mapping[str, str] = os.environ, **more: str) -> dict[str, str]:
    """A copy of an environment with these rules, and with more variables."""
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
    """What a program prints; None when it is missing, fails, takes too long or prints too much."""
    import subprocess
    from tempfile import TemporaryFile

    until_s = time.monotonic() + timeout_s
    try:
        # Read from a file, what is given cannot keep the program from printing.
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
            status = process.wait(0 if printed is None else until_s - time.monotonic())
        except subprocess.TimeoutExpired:
            process.kill()
            return None
    return printed if status == 0 else None


def _read_until(descriptor: int, until_s: float, most_bytes: int) -> bytes | None:
    """Everything up to the end; None where that is too late or too much."""
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
    """Whether a program took what it was given on its standard input; waits beside the app."""
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
    """What starts workers by that method; a fork server imports the module `preload` for all."""
    import multiprocessing
    from multiprocessing import forkserver

    protect_environment()
    if method == "forkserver":
        forkserver.set_forkserver_preload([preload])
    return multiprocessing.get_context(method)


def start_resource_tracker() -> None:
    """Start the process that cleans up after killed workers, unless it runs."""
    from multiprocessing import resource_tracker

    protect_environment()
    resource_tracker.ensure_running()
