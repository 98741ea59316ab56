"""What the app costs a run: processor time of its threads, wall clock, bytes, and no bits.

The same training in turns: without the app, in it on a pty of 120x40, and in it on a pty that
nobody reads. Threads are counted by the kernel (Linux), from the first step to the last; a trainer
that has the same share of a core in each of the ways is held up by nothing, however much the wall
clock of a shared machine varies.

    python benchmarks/ui_cost.py [--experiment penguins-mlp] [--steps 150000] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.processes import environment, lines, status
from tests.integration.terminals import program

SIZE = (120, 40)
COUNTED = {
    *("MainThread", "textual-input", "textual-output", "terminal-output"),
    *("output", "steward", "writer"),
}
"""The threads of the app, and the one that writes metrics and checkpoints."""
LOOK_S = 0.1


@dataclass
class Measured:
    """One training."""

    run: Path
    training_s: float
    wall_s: float = 0.0
    threads_s: dict[str, float] = field(default_factory=dict)
    bytes_sent: int = 0


def words(experiment: str, steps: int, threads: int) -> list[str]:
    return [
        *("train", experiment, f"training.max_steps={steps}", "training.epochs=null"),
        *("schedule=constant", f"training.threads={threads}", "checkpoint.every_seconds=null"),
    ]


def newest_run(folder: Path) -> Path | None:
    runs = [path for path in (folder / "runs").glob("*") if (path / "status.json").exists()]
    return max(runs, key=lambda path: path.stat().st_mtime_ns, default=None)


def state_of(folder: Path) -> str:
    run = newest_run(folder)
    return str(status(run)["state"]) if run else ""


def pid_of(folder: Path) -> int:
    run = newest_run(folder)
    assert run is not None
    return int(status(run)["pid"])


def measured(run: Path | None) -> Measured:
    assert run is not None
    return Measured(
        run, float(json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["elapsed_s"])
    )


def without(folder: Path, arguments: list[str]) -> Measured:
    """Headless, its lines to nowhere."""
    names = folder / "threads.json"
    trainer = subprocess.Popen(
        [sys.executable, __file__, "--inside", str(names), *arguments, "--no-ui"],
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    while trainer.poll() is None and state_of(folder) != "running":
        time.sleep(LOOK_S)
    begin_s, begin = time.monotonic(), cpu_of_threads(trainer.pid, names)
    last, last_s = begin, begin_s
    while state_of(folder) == "running":
        last, last_s = cpu_of_threads(trainer.pid, names), time.monotonic()
        time.sleep(LOOK_S)
    assert trainer.wait() == 0
    found = measured(newest_run(folder))
    found.wall_s = last_s - begin_s
    found.threads_s = {name: spent - begin.get(name, 0.0) for name, spent in last.items()}
    return found


def within(folder: Path, arguments: list[str], *, stalled: bool) -> Measured:
    """In the app; `stalled`: from the first step on nobody reads what it writes."""
    names = folder / "threads.json"
    with program(folder, __file__, "--inside", str(names), *arguments, size=SIZE) as terminal:
        terminal.until(lambda: state_of(folder) == "running")
        # Not the process that was started: that one waits for the app, and gives back the shell.
        pid = pid_of(folder)
        begin_s, begin = time.monotonic(), cpu_of_threads(pid, names)
        first = len(terminal.received)
        if stalled:
            terminal.stall()
        last, last_s, sent = begin, begin_s, first
        while state_of(folder) == "running":
            last, last_s, sent = (
                cpu_of_threads(pid, names),
                time.monotonic(),
                len(terminal.received),
            )
            time.sleep(LOOK_S)
        terminal.go_on()
        terminal.until(lambda: state_of(folder) == "finished")
        terminal.press("q")
        assert terminal.wait() == 0
    found = measured(newest_run(folder))
    found.wall_s = last_s - begin_s
    found.bytes_sent = sent - first
    found.threads_s = {name: spent - begin.get(name, 0.0) for name, spent in last.items()}
    return found


def cpu_of_threads(pid: int, names: Path) -> dict[str, float]:
    """Seconds of processor time by thread name; those that Python did not start are `others`."""
    known = json.loads(names.read_text()) if names.exists() else {}
    # Python remembers what the main thread's number was before the fork.
    known[str(pid)] = "MainThread"
    spent: dict[str, float] = defaultdict(float)
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            nanoseconds = int((task / "schedstat").read_text().split()[0])
        except (OSError, IndexError):
            continue
        spent[known.get(task.name, "others")] += nanoseconds / 1e9
    return dict(spent)


def inside(names: Path, arguments: list[str]) -> int:
    """The program itself, with a thread in the app that tells which thread has which name."""

    def tell() -> None:
        while True:
            found = {str(t.native_id): t.name for t in threading.enumerate()}
            scratch = names.with_suffix(".new")
            scratch.write_text(json.dumps(found))
            os.replace(scratch, names)
            time.sleep(0.5)

    teller = threading.Thread(target=tell, name="teller", daemon=True)
    if "--no-ui" in arguments:
        teller.start()
    else:
        os.register_at_fork(after_in_child=teller.start)
    from tui_trainer.cli.main import main as program_main

    return program_main(arguments)


def interval(values: list[float]) -> str:
    return f"{statistics.median(values):>7.3f}   {min(values):.3f} to {max(values):.3f}"


def show(found: dict[str, list[Measured]], arguments: argparse.Namespace) -> None:
    base = [m.training_s for m in found["headless"]]
    print(
        f"{arguments.experiment}, {arguments.steps:,} steps, {arguments.threads} thread(s), "
        f"{len(base)} rounds in turns, {SIZE[0]}x{SIZE[1]}; "
        f"headless takes {statistics.median(base):.1f} s"
    )
    print(f"{'wall clock of training, to headless':<38} median   range")
    for way in ("app", "app, stalled"):
        ratios = [m.training_s / b for m, b in zip(found[way], base, strict=True)]
        print(f"  {way:<36} {interval(ratios)}")
    print("processor time, percent of the wall")
    for way, runs in found.items():
        shares: dict[str, list[float]] = defaultdict(list)
        for m in runs:
            for name in {*COUNTED, *m.threads_s}:
                shares[name].append(100 * m.threads_s.get(name, 0.0) / m.wall_s)
        total = [sum(values) for values in zip(*(shares[n] for n in COUNTED), strict=True)]
        bound = "" if way == "headless" else "   (at most 2)"
        print(f"  {way + ': UI and writer':<36} {interval(total)}{bound}")
        for name, values in sorted(shares.items(), key=lambda item: -statistics.median(item[1])):
            if statistics.median(values) > 0.02:
                print(f"    {name:<34} {interval(values)}")
    rates = [m.bytes_sent / m.wall_s / 1000 for m in found["app"]]
    print(f"{'kB a second to the terminal':<38} {interval(rates)}   (at most 15)")
    expected: list[dict[str, Any]] = lines(found["headless"][0].run)
    same = all(lines(m.run) == expected for way in found.values() for m in way)
    print(f"losses and metrics of all runs {'are the same bits' if same else 'DIFFER'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="penguins-mlp")
    parser.add_argument("--steps", type=int, default=150_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    given = words(arguments.experiment, arguments.steps, arguments.threads)
    found: dict[str, list[Measured]] = {"headless": [], "app": [], "app, stalled": []}
    with tempfile.TemporaryDirectory() as name:
        for round_ in range(arguments.rounds):
            for way, results in found.items():
                folder = Path(name) / f"{round_} {way}"
                folder.mkdir()
                if way == "headless":
                    results.append(without(folder, given))
                else:
                    results.append(within(folder, given, stalled="stalled" in way))
        show(found, arguments)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    main()
