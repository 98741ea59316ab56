"""Starts `tui-trainer` without a new interpreter: torch is imported once, and each one is a fork.

Importing torch is most of what a short command costs. As a program, this file is the server: it
reads requests from the socket whose descriptor is its argument, and ends when the socket is closed.
The tests call `forked`, whose result is used like a `subprocess.Popen`.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

NUMBER = struct.Struct("i")
_PASSED = 4
"""Descriptors in a request: stdin, stdout, stderr, and the one on which the server answers."""


class ForkedProcess:
    """A command in a fork of the server."""

    def __init__(
        self, pid: int, answers: int, stdout: IO[str] | None = None, stderr: IO[str] | None = None
    ) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr
        self._answers = answers
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, that of a signal being negative, or None while it runs."""
        return self._ended_within(0.0)

    def wait(self, timeout: float) -> int:
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended_within(self, limit_s: float) -> int | None:
        if self._code is None and select.select([self._answers], [], [], limit_s)[0]:
            self._code = NUMBER.unpack(os.read(self._answers, NUMBER.size))[0]
            os.close(self._answers)
        return self._code


def forked(
    words: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path | None = None,
    outputs: tuple[int, int] | None = None,
) -> ForkedProcess:
    """Start a command in a session of its own, with nothing to read.

    What it prints goes to the descriptors `outputs`, or comes from `stdout` and `stderr` of the
    result.
    """
    request = {"words": list(words), "env": dict(env), "cwd": str(cwd or Path.cwd())}
    content = json.dumps(request).encode()
    nothing = os.open(os.devnull, os.O_RDONLY)
    hear, answer = os.pipe()
    pipes = [os.pipe(), os.pipe()] if outputs is None else []
    printed = outputs or [write for _, write in pipes]
    control = _server()
    socket.send_fds(control, [NUMBER.pack(len(content))], [nothing, *printed, answer])
    control.sendall(content)
    for descriptor in (nothing, answer, *(write for _, write in pipes)):
        os.close(descriptor)
    (pid,) = NUMBER.unpack(os.read(hear, NUMBER.size))
    return ForkedProcess(pid, hear, *(os.fdopen(read) for read, _ in pipes))


@cache
def _server() -> socket.socket:
    """Start the server of this process of tests, and return the socket for its requests."""
    own, other = socket.socketpair()
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, __file__, str(other.fileno())],
        pass_fds=[other.fileno()],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    other.close()

    def end() -> None:
        own.close()
        process.wait()

    atexit.register(end)
    return own


class Request:
    """A request for a child: the command that it is to run."""

    def __init__(self, control: socket.socket) -> None:
        """Wait for the next one; raise EOFError when no more will come."""
        head, descriptors, *_ = socket.recv_fds(control, NUMBER.size, _PASSED)
        if not head:
            raise EOFError
        left = NUMBER.unpack(head)[0]
        content = b""
        while len(content) < left:
            content += control.recv(left - len(content))
        facts: dict[str, Any] = json.loads(content)
        self.words: list[str] = facts["words"]
        self.env: dict[str, str] = facts["env"]
        self.cwd: str = facts["cwd"]
        *self.streams, self.answer = descriptors

    def close(self) -> None:
        for descriptor in self.streams:
            os.close(descriptor)

    def become(self, control: socket.socket) -> None:
        """Make this process, which is the child, what was asked for."""
        control.detach()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        for number, descriptor in enumerate(self.streams):
            os.dup2(descriptor, number)
        os.closerange(3, 1024)
        os.environ.clear()
        os.environ.update(self.env)
        os.chdir(self.cwd)
        sys.argv[1:] = self.words


def serve(control: socket.socket) -> Request | None:
    """Fork once per request; return the request in each child, and None at the end of all."""
    answers: dict[int, int] = {}
    heard, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([control.fileno(), heard], [], [])
        if heard in ready:
            os.read(heard, 4096)
            _tell_of_ended(answers)
        if control.fileno() in ready:
            try:
                request = Request(control)
            except EOFError:
                # The tests may have been interrupted.
                for child in answers:
                    os.kill(child, signal.SIGKILL)
                return None
            child = os.fork()
            if child == 0:
                request.become(control)
                return request
            request.close()
            answers[child] = request.answer
            _tell(request.answer, child)


def _tell_of_ended(answers: dict[int, int]) -> None:
    for child in list(answers):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            _tell(answers[child], os.waitstatus_to_exitcode(status))
            os.close(answers.pop(child))


def _tell(answer: int, number: int) -> None:
    try:
        os.write(answer, NUMBER.pack(number))
    except BrokenPipeError:
        # The test that asked for it has ended.
        return


if __name__ == "__main__":
    import torch
    import torch._dynamo

    import tui_trainer.sessions.new_run
    import tui_trainer.training.loop  # noqa: F401
    from tui_trainer.cli.main import main

    torch.set_num_threads(1)
    if serve(socket.socket(fileno=int(sys.argv[1]))) is not None:
        code = main()
        sys.stdout.flush()
        sys.stderr.flush()
        # To take torch apart takes longer than many a command.
        os._exit(code)
