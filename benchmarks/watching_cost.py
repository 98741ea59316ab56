"""What it costs to be watched: the watcher in the writing process, and a viewer's look.

Trains the tiny MLP (64-128-10, batch 64, Adam) as a whole run of its own, watcher and files
included, and prints which share of the process's CPU time the watcher's thread took. Then what one
look of a viewer costs when nothing is new, when a status is, and what opening the run costs.

    python benchmarks/watching_cost.py [--steps 100000] [--every N]

`--every 1` logs every step, the most that a run can write.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tui_trainer.config.experiment import resolve
from tui_trainer.config.tree import Place, Tree
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.recording import open_recording
from tui_trainer.runs.status import read_status, write_status
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.new_run import prepare_new
from tui_trainer.sessions.run_reader import RunReader
from tui_trainer.sessions.watcher import Watcher


def values_of(steps: int, every: int | None) -> dict[str, Any]:
    return {
        "dataset": {"type": "pixels", "path": "builtin:digits.csv.gz", "shape": [1, 8, 8]},
        "model": {"type": "mlp", "layers": [128]},
        "optimizer": {"type": "adam", "lr": 1e-3},
        "schedule": {"type": "constant"},
        "loss": {"type": "auto"},
        "training": {
            **{"max_steps": steps, "batch_size": 64, "epochs": None, "threads": 1},
            "validate_every_steps": 10**9,
        },
        "logging": {"every_steps": every},
    }


class Measured:
    """Notes the CPU time of the thread that a method runs in, at its end."""

    def __init__(self) -> None:
        self.cpu_s = 0.0

    def around(self, work: Callable[[Watcher], None]) -> Callable[[Watcher], None]:
        def measured(watcher: Watcher) -> None:
            begin_s = time.thread_time()
            work(watcher)
            self.cpu_s += time.thread_time() - begin_s

        return measured


def train(folder: Path, steps: int, every: int | None) -> tuple[RunDirectory, float, float, float]:
    """The run, and seconds: of the watcher's thread, of the whole process, by the clock."""
    values = values_of(steps, every)
    experiment = resolve(Tree(values, lambda key: Place("benchmark", key=key)), "watching")
    measured = Measured()
    Watcher._work = measured.around(Watcher._work)  # type: ignore[method-assign]
    session = LocalSession(lambda startup: prepare_new(experiment, folder, "", [], startup))
    session.start()
    while not any(thread.name == "watcher" for thread in threading.enumerate()):
        session.wait(0.01)
        session.events(10**9)
    begin_s, begin_cpu_s = time.monotonic(), time.process_time()
    session.join()
    run = RunDirectory(next(folder.iterdir()))
    return run, measured.cpu_s, time.process_time() - begin_cpu_s, time.monotonic() - begin_s


def median_us(work: Callable[[], object], count: int) -> float:
    times = []
    for _ in range(count):
        begin_s = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin_s)
    return statistics.median(times) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--every", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, own_s, all_s, wall_s = train(Path(folder), arguments.steps, arguments.every)
        rate = arguments.steps / wall_s
        print(f"{arguments.steps:,} steps in {wall_s:.1f} s, {rate:,.0f} a second")
        share = own_s / all_s * 100
        print(f"watcher: {own_s * 1e3:.0f} ms of {all_s:.1f} s CPU, {share:.2f} %")
        print(f"metrics.jsonl {run.metrics.stat().st_size / 1e6:.1f} MB, ", end="")
        print(f"history.bin {run.history.stat().st_size / 1e3:.0f} kB")
        reader = RunReader(run)
        reader.poll()
        print(f"a viewer's look, nothing new: {median_us(reader.poll, 2000):.0f} us")
        status = read_status(run.status)
        assert status is not None

        def look_at_new_status() -> None:
            begin_s = time.perf_counter()
            reader.poll()
            looks.append((time.perf_counter() - begin_s) * 1e6)

        looks: list[float] = []
        for _ in range(50):
            write_status(run.status, status)
            look_at_new_status()
        print(f"a viewer's look, a new status: {statistics.median(looks):.0f} us")
        opening_ms = median_us(lambda: open_recording(run), 20) / 1e3
        print(f"opening the history: {opening_ms:.1f} ms")


if __name__ == "__main__":
    main()
