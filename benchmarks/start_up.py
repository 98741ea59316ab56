"""The cost of a start: commands from nothing to their end, over the import of torch.

CPU times and the most memory of whole processes, in turns, and medians of the ratios to `python -c
'import torch'` of the same round, so that a busy machine changes them little. With `--against` the
commands of another checkout are measured in the same rounds. The first round writes the bytecode.

    python benchmarks/start_up.py [--rounds 7] [--against OTHER_CHECKOUT] [--write]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from results import machine, table, with_bytecode, write_section

TITLE = "What a start takes (`start_up.py`)"
ROOT = Path(__file__).resolve().parents[1]
TORCH = "`python -c 'import torch'`"
TRAIN = ("train", "penguins-mlp", "training.max_steps=1", "--no-ui")
COMMANDS = {
    "`--version`": ("--version",),
    "`presets list`": ("presets", "list"),
    "`runs`": ("runs",),
    f"`{' '.join(TRAIN)}`": TRAIN,
}


def used(words: tuple[str, ...], folder: Path, root: Path) -> tuple[float, float]:
    """Run Python in a folder with a checkout; return its CPU time and its most memory in MB."""
    env = {
        **with_bytecode(folder),
        "PYTHONPATH": str(root),
        "TUI_TRAINER_RUNS_DIR": str(folder / "runs"),
        "TUI_TRAINER_CACHE": str(folder / "cache"),
    }
    with subprocess.Popen(
        [sys.executable, *words], env=env, cwd=folder, stdout=subprocess.DEVNULL
    ) as process:
        # Not of all children together, of which the peak would be that of the largest.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    ways = {TORCH: (("-c", "import torch"), ROOT)}
    for name, words in COMMANDS.items():
        ways[name] = (("-m", "tui_trainer", *words), ROOT)
        if arguments.against is not None:
            other = arguments.against.resolve()
            ways[f"{name}, before"] = (("-m", "tui_trainer", *words), other)
    times: dict[str, list[float]] = {name: [] for name in ways}
    peaks: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for round_ in range(arguments.rounds + 1):
            for way, (words, root) in ways.items():
                seconds, peak_mb = used(words, folder, root)
                if round_:
                    times[way].append(seconds)
                    peaks[way].append(peak_mb)
    rows = []
    for way, own in times.items():
        pairs = list(zip(own, times[TORCH], strict=True))
        ratios = [seconds / torch_s for seconds, torch_s in pairs]
        middle, over = statistics.median(own), statistics.median(a - b for a, b in pairs)
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        ratio, peak = f"{statistics.median(ratios):.2f}", f"{statistics.median(peaks[way]):.0f}"
        rows.append((way, f"{middle:.2f}", f"{over:+.2f}", ratio, spread, peak))
    header = ("process", "CPU s", "over import torch", "ratio to it", "from, to", "peak MB")
    text = f"{machine()} CPU time, medians of {arguments.rounds} rounds in turns.\n\n"
    text += table(header, rows)
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
