"""When the first screen is there, and how soon keys answer while torch is imported behind it.

On a pty of 80x24, in turns: an app of Textual's that shows one word, `tui-trainer` (its first
paint, and the whole compose screen), and `python -c 'import torch'`. A key is answered when the
next bytes arrive at the terminal; keys are sent from the first paint on.

    python benchmarks/first_paint.py [--rounds 9] [--keys-for 6]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.processes import environment
from tests.integration.terminals import TerminalProcess, opened, program

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


def empty(folder: Path) -> float:
    with program(folder, "-c", EMPTY) as terminal:
        return painted_at(terminal, b"ready")


def ours(folder: Path, keys_for_s: float) -> tuple[float, float, list[float]]:
    """First paint, the whole screen, and the answers to keys from then on."""
    with opened(folder) as terminal:
        paint_s = painted_at(terminal, b"reading presets")
        until_s = time.monotonic() + keys_for_s
        answers = []
        while time.monotonic() < until_s:
            answers.append(answer(terminal, "tab"))
            time.sleep(KEY_EVERY_S)
        return paint_s, painted_at(terminal, b"Quit"), answers


def torch(folder: Path) -> float:
    begin_s = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], env=environment(folder), check=True)
    return time.monotonic() - begin_s


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--keys-for", type=float, default=6.0, metavar="SECONDS")
    arguments = parser.parse_args()
    ways = ("empty app", "first paint", "whole screen", "import torch")
    times: dict[str, list[float]] = {way: [] for way in ways}
    keys: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for round_ in range(arguments.rounds + 1):
            empty_s = empty(folder)
            paint_s, whole_s, answers = ours(folder, arguments.keys_for)
            torch_s = torch(folder)
            # The first round fills the caches of the file system.
            if round_:
                for way, seconds in zip(times, (empty_s, paint_s, whole_s, torch_s), strict=True):
                    times[way].append(seconds)
                keys += answers
    print(f"on a pty of 80x24, {arguments.rounds} rounds in turns, seconds")
    print(f"{'':<14} {'median':>8} {'from':>7} {'to':>7}")
    for way, values in times.items():
        middle = statistics.median(values)
        print(f"{way:<14} {middle:>8.2f} {min(values):>7.2f} {max(values):>7.2f}")
    medians = {way: statistics.median(values) for way, values in times.items()}
    later = medians["first paint"] - medians["empty app"]
    share = medians["first paint"] / medians["import torch"]
    print(f"after the empty app     {later:>6.2f} s   (at most 0.25)")
    print(f"share of import torch   {share:>6.2f}     (at most 0.50)")
    print(f"{len(keys)} keys in the first {arguments.keys_for:g} s, torch imported meanwhile, ms")
    shown = [f"{1000 * value:.0f}" for value in (statistics.median(keys), percentile(keys, 0.95))]
    print(f"median {shown[0]}, 95 % {shown[1]} (at most 100), longest {1000 * max(keys):.0f}")


if __name__ == "__main__":
    main()
