"""What a run costs once its terminal is gone, beside one that never had any.

Trains the same experiment twice at once, headless and in the app, closes the app's terminal, and
prints for each the CPU time of the whole process for a step, over the same seconds. They are run at
once and compared by the step, so that a busy machine is as busy for both.

    python benchmarks/hangup_cost.py [--seconds 20] [--experiment digits-mlp]
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

WORDS = ("training.epochs=null", "training.max_steps=1000000000", "schedule=constant")
LIMIT_S = 120.0


def start(folder: Path, experiment: str, name: str, *, terminal: bool) -> tuple[Path, int]:
    """A run that trains, and the terminal's descriptor, or -1."""
    command = [sys.executable, "-m", "tui_trainer", "train", experiment, *WORDS, "--name", name]
    env = {**os.environ, "TUI_TRAINER_RUNS_DIR": str(folder), "TERM": "xterm-256color"}
    master = -1
    if terminal:
        child, master = pty.fork()
        if child == 0:
            os.execve(sys.executable, command, env)
    else:
        command.append("--no-ui")
        subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, start_new_session=True)
    until_s = time.monotonic() + LIMIT_S
    while time.monotonic() < until_s:
        drain(master, 0.2)
        for run in folder.glob(f"{name}*/status.json"):
            if json.loads(run.read_text())["step"] > 1000:
                return run.parent, master
    raise SystemExit(f"{name} did not begin to train")


def drain(master: int, seconds: float) -> None:
    """Read what the app paints."""
    if master < 0:
        time.sleep(seconds)
    elif select.select([master], [], [], seconds)[0]:
        os.read(master, 2**16)


def snapshot(run: Path) -> tuple[float, int]:
    """CPU seconds of the process, and steps, at one beat of its status."""
    path = run / "status.json"
    before = json.loads(path.read_text())
    while (now := json.loads(path.read_text()))["heartbeat"] == before["heartbeat"]:
        time.sleep(0.005)
    times = psutil.Process(now["pid"]).cpu_times()
    return times.user + times.system, now["step"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--experiment", default="digits-mlp")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        headless, _ = start(folder, arguments.experiment, "headless", terminal=False)
        hung_up, master = start(folder, arguments.experiment, "hung-up", terminal=True)
        pid = json.loads((hung_up / "status.json").read_text())["pid"]
        os.close(master)
        until_s = time.monotonic() + LIMIT_S
        while os.getsid(pid) != pid and time.monotonic() < until_s:
            time.sleep(0.05)
        time.sleep(2.0)
        runs = {"headless": headless, "after a hang-up": hung_up}
        before = {label: snapshot(run) for label, run in runs.items()}
        time.sleep(arguments.seconds)
        for label, run in runs.items():
            cpu_s, step = snapshot(run)
            used_s, steps = cpu_s - before[label][0], step - before[label][1]
            print(f"{label}: {used_s / steps * 1e6:.0f} us of CPU a step ({steps:,} steps)")
        for run in runs.values():
            psutil.Process(json.loads((run / "status.json").read_text())["pid"]).terminate()
        while any(
            json.loads((r / "status.json").read_text())["state"] != "stopped" for r in runs.values()
        ):
            time.sleep(0.1)


if __name__ == "__main__":
    main()
