"""A program that starts `tui-trainer` many times: torch is imported once, and each one is a fork.

Reads a JSON list a line: the file for what is printed, then the words of the command line. Answers
with the process id, and at its end with the exit status as a shell has it.
"""

from __future__ import annotations

import json
import os
import sys

import torch

import tui_trainer.sessions.prepare
import tui_trainer.training.loop  # noqa: F401
from tui_trainer.cli.main import main


def become(place: str, words: list[str]) -> None:
    """Run a command in this process, and end it."""
    output = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number in (1, 2):
        os.dup2(output, number)
    code = main(words)
    sys.stdout.flush()
    os._exit(code)


def serve() -> None:
    torch.set_num_threads(1)
    for line in sys.stdin:
        place, *words = json.loads(line)
        child = os.fork()
        if child == 0:
            become(place, words)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        print(code if code >= 0 else 128 - code, flush=True)


if __name__ == "__main__":
    serve()
