"""When the first screen is there, and how soon keys answer while torch is imported behind it.

On a pty of 80x24, in turns: an app of Textual's that shows one word, `tui-trainer` (its first
paint, the names of all experiments, and the whole compose screen), and `python -c 'import torch'`.
Beside the times, what the processes have used of a processor by then, which other work on the
machine lengthens less. The first round writes the bytecode. A key is answered when the next bytes
arrive at the terminal; keys are sent from the first paint on.

    python benchmarks/first_paint.py [--rounds 9] [--keys-for 6]
        [--against OTHER_CHECKOUT] [--write]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from results import machine, table, with_bytecode, write_section

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.processes import environment
from tests.integration.terminals import TerminalProcess, opened, program

ROOT = Path(__file__).resolve().parents[1]
TITLE = "When the app is there (`first_paint.py`)"
Seconds = tuple[float, float]
"""By the clock, and of CPU time."""
EMPTY = """
from textual.app import App
from textual.widgets import Static
class Empty(App):
    BINDINGS = [("q", "quit", "Quit")]
    def compose(self):
        yield Static("ready")
Empty().run()
"""
KEY_EVERY_S = 0.06
LONGEST_S = 1.0


def painted_at(terminal: TerminalProcess, word: bytes) -> float:
    """Seconds from the start of the process until the word had arrived whole."""
    terminal.until(lambda: word in terminal.received)
    size = 0
    for at_s, count in list(terminal.arrivals):
        size += count
        if word in terminal.received[:size]:
            return at_s - terminal.started_s
    raise AssertionError("it has arrived")


def cpu_s(terminal: TerminalProcess) -> float:
    """Seconds of CPU time of the process and of those it has started."""
    process = psutil.Process(terminal.pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def seen(terminal: TerminalProcess, word: bytes) -> Seconds:
    """When the word is there, by the clock and in CPU time."""
    at_s = painted_at(terminal, word)
    return at_s, cpu_s(terminal)


def answer(terminal: TerminalProcess, key: str) -> float:
    """Seconds from a key to the next bytes."""
    before = len(terminal.arrivals)
    pressed_s = time.monotonic()
    terminal.press(key)
    while len(terminal.arrivals) == before and time.monotonic() - pressed_s < LONGEST_S:
        time.sleep(0.0005)
    if len(terminal.arrivals) == before:
        return LONGEST_S
    return terminal.arrivals[before][0] - pressed_s


def empty(folder: Path) -> Seconds:
    with program(folder, "-c", EMPTY) as terminal:
        return seen(terminal, b"ready")


def ours(folder: Path, root: Path) -> list[Seconds]:
    """First paint, the names of the experiments, and the whole screen of a checkout."""
    with opened(folder, env={"PYTHONPATH": str(root)}) as terminal:
        return [seen(terminal, word) for word in (b"reading presets", b"vowels-gru", b"Quit")]


def answers(folder: Path, keys_for_s: float) -> list[float]:
    """The answers to keys from the first paint on."""
    with opened(folder) as terminal:
        painted_at(terminal, b"reading presets")
        until_s = time.monotonic() + keys_for_s
        times = []
        while time.monotonic() < until_s:
            times.append(answer(terminal, "tab"))
            time.sleep(KEY_EVERY_S)
        return times


def torch(folder: Path) -> Seconds:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment(folder), check=True)
    wall_s, after = time.monotonic() - begin_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--keys-for", type=float, default=6.0, metavar="SECONDS")
    parser.add_argument("--against", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    stages = ("first paint", "all experiments", "whole screen")
    checkouts = {"": ROOT}
    if arguments.against is not None:
        checkouts[", before"] = arguments.against.resolve()
    ways = ("empty app", *(f"{s}{mark}" for mark in checkouts for s in stages), "import torch")
    times: dict[str, list[Seconds]] = {way: [] for way in ways}
    keys: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ.update(with_bytecode(folder))
        for round_ in range(arguments.rounds + 1):
            own = [seconds for root in checkouts.values() for seconds in ours(folder, root)]
            measured = [empty(folder), *own, torch(folder)]
            answered = answers(folder, arguments.keys_for) if arguments.keys_for else []
            # The first round fills the caches of the file system.
            if round_:
                for way, seconds in zip(times, measured, strict=True):
                    times[way].append(seconds)
                keys += answered
    rows = []
    for way, pairs in times.items():
        walls, cpus = [wall for wall, _ in pairs], [cpu for _, cpu in pairs]
        shares = [own / other for own, (_, other) in zip(cpus, times["import torch"], strict=True)]
        figures = (statistics.median(walls), min(walls), max(walls), statistics.median(cpus))
        rows.append((way, *(f"{s:.2f}" for s in figures), f"{statistics.median(shares):.2f}"))
    header = ("", "median s", "from", "to", "CPU s", "CPU to import torch")
    lines = [f"{machine()} A pty of 80x24, {arguments.rounds} rounds in turns.", ""]
    lines.append(table(header, rows))
    if keys:
        middle, most = statistics.median(keys) * 1e3, percentile(keys, 0.95) * 1e3
        lines += [
            "",
            f"{len(keys)} keys in the first {arguments.keys_for:g} s, torch imported meanwhile: "
            f"median {middle:.0f} ms, 95 % {most:.0f}, longest {1e3 * max(keys):.0f}.",
        ]
    print("\n".join(lines))
    if arguments.write:
        write_section(TITLE, "\n".join(lines))


if __name__ == "__main__":
    main()
