"""How soon a run answers a command from another process, while the machine has too much to do.

Trains in a process of its own beside twice as many busy processes as there are cores, puts commands
into its mailbox, one after the other, and prints when each was accepted and applied.

    python benchmarks/command_latency.py [--commands 60] [--busy N]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tui_trainer.runs.commands import Command, Pause, Resume, Set
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.mailbox import send

WORDS = ("training.epochs=null", "training.max_steps=1000000000", "schedule=constant")
LIMIT_S = 120.0
LOOK_S = 0.002


class Answers:
    """Reads events.jsonl on, and knows when what was said of a command."""

    def __init__(self, run: RunDirectory) -> None:
        self._file = run.events.open()
        self._file.seek(0, os.SEEK_END)
        self._rest = ""

    def delays_ms(self, command: Command, begin_s: float) -> tuple[float, float]:
        """Until it was accepted, and until it was applied."""
        seen: dict[str, float] = {}
        while len(seen) < 2:
            if time.monotonic() - begin_s > LIMIT_S:
                raise SystemExit(f"no answer to {command}")
            *lines, self._rest = (self._rest + self._file.read()).split("\n")
            for line in lines:
                event = json.loads(line)
                if event.get("id") == command.id:
                    seen[event["event"]] = (time.monotonic() - begin_s) * 1e3
            time.sleep(LOOK_S)
        return seen["command_accepted"], seen["command_applied"]


def commands(count: int) -> list[Command]:
    """What is asked for by turns."""
    turn: list[Command] = []
    for number in range(count):
        edit = Set(key="optimizer.lr", value=1e-3 if number % 2 else 2e-3)
        turn.append((edit, Pause(), Resume())[number % 3])
    return turn


def started(folder: Path) -> tuple[subprocess.Popen[bytes], RunDirectory]:
    command = [sys.executable, "-m", "tui_trainer", "train", "digits-mlp", *WORDS, "--no-ui"]
    env = {**os.environ, "TUI_TRAINER_RUNS_DIR": str(folder)}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        for path in folder.glob("*/status.json"):
            if json.loads(path.read_text())["step"] > 1000:
                return process, RunDirectory(path.parent)
        time.sleep(0.1)
    process.kill()
    raise SystemExit("the run did not begin to train")


def said(times: list[float]) -> str:
    times = sorted(times)
    last = times[min(int(len(times) * 0.95), len(times) - 1)]
    return f"median {times[len(times) // 2]:.0f} ms, 95 of 100 within {last:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commands", type=int, default=60)
    parser.add_argument("--busy", type=int, default=2 * (os.cpu_count() or 1))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        trained, run = started(Path(name))
        spin = [sys.executable, "-c", "while True: pass"]
        busy = [subprocess.Popen(spin) for _ in range(arguments.busy)]
        try:
            answers = Answers(run)
            found = []
            for command in commands(arguments.commands):
                begin_s = time.monotonic()
                send(run.control, command)
                found.append(answers.delays_ms(command, begin_s))
        finally:
            for process in busy:
                process.kill()
            trained.terminate()
            trained.wait()
        print(f"{len(found)} commands beside {arguments.busy} busy processes")
        print(f"accepted: {said([accepted for accepted, _ in found])}")
        print(f"applied: {said([applied for _, applied in found])}")


if __name__ == "__main__":
    main()
