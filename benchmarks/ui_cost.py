"""What the app costs a run: processor time of its threads, bytes, and no bits of the results.

The same training in turns: without the app, in it on a pty of 120x40, with `--stalled` also on a
pty that nobody reads, and with `--against` also in the app of another checkout. Some seconds of
each are measured after its first steps.

Threads are counted by the kernel (Linux), against two measures: the wall, and the processor time of
the trainer's own thread. They are nearly the same where nothing else runs. Beside other work the
trainer has less than a core, and the truth is between the two: what is done a few times per second
is overstated by the second, and what is done for every step is understated by the first.

    python benchmarks/ui_cost.py [--experiment penguins-mlp ...] [--all] [--seconds 10]
        [--rounds 3] [--against OTHER_CHECKOUT] [--write]
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from results import machine, table, write_section

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.processes import environment, status
from tests.integration.terminals import TerminalProcess, program

TITLE = "What the app costs a run (`ui_cost.py`)"
ROOT = Path(__file__).resolve().parents[1]
SIZE = (120, 40)
COUNTED = (
    *("MainThread", "textual-input", "textual-output", "terminal-output"),
    *("output", "steward", "choices", "writer"),
)
"""The threads of the app, and the one that writes metrics and checkpoints."""
WATCHER, TRAINER = "watcher", "trainer"
MEASURES = ("wall", TRAINER)
OWN = ("teller",)
"""Threads of this program."""
SETTLED_S = 2.0
LIMIT_S = 120.0
LOOK_S = 0.02


@dataclass(frozen=True)
class Moment:
    """The step that a run has reached, and the processor seconds of its threads."""

    at_s: float
    step: int
    bytes_sent: int
    threads_s: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """A stretch of a training, and the first lines of its metrics."""

    wall_s: float
    steps: int
    bytes_sent: int
    threads_s: Mapping[str, float]
    lines: list[dict[str, Any]]

    def seconds(self, *names: str) -> float:
        return sum(self.threads_s.get(name, 0.0) for name in names)


@dataclass(frozen=True)
class Way:
    """A way to run a training."""

    name: str
    has_ui: bool = True
    stalled: bool = False
    checkout: Path = ROOT


def words(experiment: str, threads: int) -> list[str]:
    # It has no end of its own, and saves and tests nothing in between.
    return [
        *("train", experiment, "training.max_steps=1000000000", "training.epochs=null"),
        *("schedule=constant", f"training.threads={threads}", "checkpoint.every_seconds=null"),
    ]


def newest_run(folder: Path) -> Path | None:
    runs = [path for path in (folder / "runs").glob("*") if (path / "status.json").exists()]
    return max(runs, key=lambda path: path.stat().st_mtime_ns, default=None)


def measure(way: Way, folder: Path, arguments: list[str], seconds: float) -> Measured:
    """Train for some seconds, and kill it."""
    names = folder / "threads.json"
    with running(way, folder, names, arguments) as terminal:
        wait_until(lambda: newest_run(folder) is not None)
        run = newest_run(folder)
        assert run is not None
        wait_until(lambda: status(run)["step"] > 0)
        if terminal is not None and way.stalled:
            terminal.stall()
        time.sleep(SETTLED_S)
        begin = moment(run, names, terminal)
        time.sleep(seconds)
        end = moment(run, names, terminal)
    spent = {name: s - begin.threads_s.get(name, 0.0) for name, s in end.threads_s.items()}
    return Measured(
        end.at_s - begin.at_s,
        end.step - begin.step,
        end.bytes_sent - begin.bytes_sent,
        spent,
        first_lines(run),
    )


def wait_until(holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < until_s, "the run did not get as far as its first steps"
        time.sleep(LOOK_S)


@contextmanager
def running(
    way: Way, folder: Path, names: Path, arguments: list[str]
) -> Iterator[TerminalProcess | None]:
    """The program, killed at the end."""
    file = str(way.checkout / "benchmarks" / "ui_cost.py")
    inside = [file, "--inside", str(names), *arguments]
    place = {"PYTHONPATH": str(way.checkout)}
    if way.has_ui:
        with program(folder, *inside, size=SIZE, env=place) as terminal:
            yield terminal
        return
    trainer = subprocess.Popen(
        [sys.executable, *inside, "--no-ui"],
        env={**environment(folder), **place},
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield None
    finally:
        trainer.kill()
        trainer.wait()


def moment(run: Path, names: Path, terminal: TerminalProcess | None) -> Moment:
    """Wait for the next status, which says how far the run is now."""
    before = status(run)["heartbeat"]
    wait_until(lambda: status(run)["heartbeat"] != before)
    now = status(run)
    sent = len(terminal.received) if terminal is not None else 0
    # Not the process that was started: that one waits for the app, and gives back the shell.
    return Moment(time.monotonic(), now["step"], sent, cpu_of_threads(now["pid"], names))


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


def first_lines(run: Path) -> list[dict[str, Any]]:
    """Return the whole lines of metrics.jsonl without what depends on the time."""
    text = (run / "metrics.jsonl").read_text()
    records = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
    times = ("elapsed_s", "samples_per_s")
    return [{k: v for k, v in record.items() if k not in times} for record in records]


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
    return f"{statistics.median(values):>7.2f}  {min(values):>6.2f} to {max(values):<6.2f}"


def percent(runs: list[Measured], names: tuple[str, ...], of: str) -> list[float]:
    """Return the processor time of these threads, in percent of the wall or of the trainer's."""
    wholes = [m.wall_s if of == "wall" else m.seconds(TRAINER) for m in runs]
    return [100 * m.seconds(*names) / whole for m, whole in zip(runs, wholes, strict=True)]


def show(experiment: str, found: dict[str, list[Measured]], *, by_thread: bool) -> None:
    first = next(iter(found.values()))
    rate = statistics.median(m.steps / m.seconds(TRAINER) for m in first)
    print(
        f"{experiment}: {rate:,.0f} steps in a second of the trainer's processor time; "
        f"the trainer has {statistics.median(percent(first, (TRAINER,), 'wall')):.0f} % of a core"
    )
    print(f"  {'percent':<34} {'of the wall':<26} of the trainer's processor time")
    for way, runs in found.items():
        for title, names in (("UI and writer", COUNTED), ("watcher", (WATCHER,))):
            both = "    ".join(interval(percent(runs, names, of)) for of in MEASURES)
            print(f"  {way + ': ' + title:<34} {both}")
        if by_thread:
            for name in sorted({name for m in runs for name in m.threads_s} - {TRAINER, *OWN}):
                if statistics.median(percent(runs, (name,), "wall")) > 0.02:
                    both = "    ".join(interval(percent(runs, (name,), of)) for of in MEASURES)
                    print(f"      {name:<30} {both}")
    for way, runs in found.items():
        if way != "headless":
            rates = [m.bytes_sent / m.wall_s / 1000 for m in runs]
            print(f"  {way + ': kB a second':<34} {interval(rates)}")
    runs = [m for way in found.values() for m in way]
    count = min(len(m.lines) for m in runs)
    same = all(m.lines[:count] == runs[0].lines[:count] for m in runs)
    are = "are the same bits" if same else "DIFFER"
    print(f"  losses and metrics of the first {count:,} lines of all runs {are}", flush=True)


def rows_of(experiment: str, found: dict[str, list[Measured]]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each way: steps per second, and what its threads take of the wall."""
    for way, runs in found.items():
        rate = statistics.median(m.steps / m.wall_s for m in runs)
        shares = [percent(runs, names, "wall") for names in ((TRAINER,), COUNTED, (WATCHER,))]
        figures = (f"{statistics.median(v):.2f} ({min(v):.2f} to {max(v):.2f})" for v in shares)
        yield experiment, way, f"{rate:,.0f}", *figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", nargs="+", default=["penguins-mlp"])
    parser.add_argument("--all", action="store_true", help="every experiment that is shipped")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--no-headless", action="store_true")
    parser.add_argument("--stalled", action="store_true", help="also with nobody reading")
    arguments = parser.parse_args()
    shipped = sorted(path.stem for path in (ROOT / "presets" / "experiments").glob("*.yaml"))
    ways = [Way("app")] if arguments.no_headless else [Way("headless", has_ui=False), Way("app")]
    if arguments.stalled:
        ways.append(Way("app, stalled", stalled=True))
    if arguments.against is not None:
        ways.append(Way("the other app", checkout=arguments.against.resolve()))
    about = (
        f"{arguments.rounds} rounds of {arguments.seconds:g} s in turns, {SIZE[0]}x{SIZE[1]}, "
        f"{arguments.threads} thread(s); median, lowest to highest"
    )
    print(about)
    rows: list[tuple[str, ...]] = []
    for experiment in shipped if arguments.all else arguments.experiment:
        given = words(experiment, arguments.threads)
        found: dict[str, list[Measured]] = {way.name: [] for way in ways}
        for _ in range(arguments.rounds):
            for way in ways:
                with tempfile.TemporaryDirectory() as folder:
                    measured = measure(way, Path(folder), given, arguments.seconds)
                found[way.name].append(measured)
        show(experiment, found, by_thread=not arguments.all)
        rows += rows_of(experiment, found)
    if arguments.write:
        shares = ("trainer", "UI and writer", "watcher")
        header = ("experiment", "way", "steps per second", *(f"{s}, % of the wall" for s in shares))
        write_section(TITLE, f"{machine(('torch', 'textual'))} {about}.\n\n{table(header, rows)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        sys.exit(inside(Path(sys.argv[2]), sys.argv[3:]))
    main()
