"""What reading a large table takes, beside pandas: time, memory, and the time from the cache.

Makes two CSV files in a temporary folder, reads each in turns by pandas' C reader (with types, to
tensors) and by the program, every time in a process of its own, and prints the medians and their
ratios. `read` is the table as tensors, standardised; `load` is all that a run
does with it, which also identifies every row and splits them. Imports are not counted.

    python benchmarks/data.py [--scale 1.0] [--rounds 3] [--write]

With --arrays it makes an array of 10 GB of pictures instead, of which most is a hole in the file.
It prints how long that takes to be loaded, at first and from the cache, how fast its batches are,
and the most anonymous memory of the process, by /proc/self/status.

    python benchmarks/data.py --arrays [--scale 1.0] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from results import machine, table, write_section

TITLE = "What reading a large table takes (`data.py`)"
ARRAYS_TITLE = "What a large array takes (`data.py --arrays`)"
WIDE_ROWS, WIDE_COLUMNS, TALL_ROWS = 430_000, 101, 1_000_000
PICTURES, PICTURE_SIDE = 160_000, 256
WAYS = ("pandas", "read", "load", "read, cached", "load, cached")
_OLD_S = 60.0
"""The age that the files get, because the cache takes none that has just changed."""


def make_wide(path: Path, scale: float) -> None:
    """101 numbers of four decimals in a row."""
    generator = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(f"c{n}" for n in range(WIDE_COLUMNS)) + "\n")
        for _ in range(int(WIDE_ROWS * scale) // 10_000):
            values = generator.normal(size=(10_000, WIDE_COLUMNS))
            np.savetxt(file, values, fmt="%.4f", delimiter=",")


def make_tall(path: Path, scale: float) -> None:
    """Nine numbers of six decimals and a label in a row."""
    generator = np.random.default_rng(0)
    labels = np.array(["alpha", "beta", "gamma", "delta"])
    with path.open("w") as file:
        file.write(",".join(f"c{n}" for n in range(9)) + ",label\n")
        for _ in range(int(TALL_ROWS * scale) // 10_000):
            rows = generator.normal(size=(10_000, 9)).tolist()
            words = labels[generator.integers(0, 4, 10_000)].tolist()
            for row, word in zip(rows, words, strict=True):
                file.write(",".join(f"{value:.6f}" for value in row) + f",{word}\n")


def by_pandas(path: str, target: str) -> Callable[[], object]:
    """The numbers as a float32 tensor, the label as classes."""
    import pandas
    import torch

    def read() -> object:
        names = list(pandas.read_csv(path, nrows=0).columns)
        kinds = {name: "category" if name == "label" else "float64" for name in names}
        frame = pandas.read_csv(path, dtype=kinds)
        inputs = frame[[name for name in names if name != target]].to_numpy(dtype=np.float32)
        if target == "label":
            classes = frame[target].cat.codes.to_numpy(dtype=np.int64)
            return torch.from_numpy(inputs), torch.from_numpy(classes)
        return torch.from_numpy(inputs), torch.from_numpy(frame[target].to_numpy(np.float32))

    return read


def by_program(path: str, target: str, *, whole: bool) -> Callable[[], object]:
    """The table as the program reads it: its tensors, or the whole data set."""
    import pyarrow.compute
    import pyarrow.csv  # noqa: F401

    from tui_trainer.config.sections.datasets import TableSection
    from tui_trainer.data.load import load
    from tui_trainer.data.sources.table import read_rows

    section = TableSection(type="table", path=path, target=target)

    def read() -> object:
        source = read_rows(section, "auto")
        return source.encode(source.fit(np.arange(len(source.rows)))), source.target

    return (lambda: load(section)) if whole else read


def measure(way: str, path: str, target: str) -> None:
    """Print seconds, seconds of CPU and the peak of memory of one reading, as JSON."""
    import torch

    torch.set_num_threads(1)
    make = by_pandas if way == "pandas" else by_program
    options = {} if way == "pandas" else {"whole": way.startswith("load")}
    read = make(path, target, **options)  # type: ignore[operator]
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    held = read()
    wall_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([wall_s, cpu_s, peak_mb, held is not None]))


def one_reading(way: str, path: Path, target: str, cache: Path) -> list[float]:
    """Return wall seconds, CPU seconds and MB of one reading in a process of its own."""
    cached = way.endswith("cached")
    env = {**os.environ, "TUI_TRAINER_CACHE": str(cache) if cached else "off"}
    words = [sys.executable, __file__, "--measure", way, str(path), target]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    numbers: list[float] = json.loads(done.stdout)
    return numbers[:3]


def first_line_s(path: Path, target: str) -> float:
    """Return the seconds until a run on the file prints its first line."""
    words = ["-m", "tui_trainer", "train", str(path), "--target", target, "--no-ui"]
    env = {**os.environ, "TUI_TRAINER_CACHE": "off", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as runs:
        begin_s = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words, "--runs-dir", runs],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.perf_counter() - begin_s
        process.kill()
        process.communicate()
    return seconds


def compare(name: str, path: Path, target: str, rounds: int, cache: Path) -> list[tuple[str, ...]]:
    """Read a file in all ways, in turns; return rows of medians and of their ratios to pandas."""
    size_mb = path.stat().st_size / 1e6
    one_reading("load, cached", path, target, cache)
    one_reading("read, cached", path, target, cache)
    times: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            times[way].append(one_reading(way, path, target, cache))
    lines: list[tuple[str, ...]] = []
    for way in WAYS:
        middle = [statistics.median(column) for column in zip(*times[way], strict=True)]
        ratios = [
            statistics.median(own[n] / base[n] for own, base in pairs)
            for pairs in [list(zip(times[way], times["pandas"], strict=True))]
            for n in range(3)
        ]
        figures = (f"{middle[0]:.2f}", f"{middle[1]:.2f}", f"{middle[2]:.0f}")
        lines.append((f"{name}, {size_mb:.0f} MB", way, *figures, *(f"{r:.2f}" for r in ratios)))
    first_s = f"{first_line_s(path, target):.2f}"
    lines.append((lines[0][0], "first line of a run", first_s, *[""] * 5))
    return lines


def make_array(folder: Path, scale: float) -> None:
    """Pictures of 64 kB in bytes, with a page of numbers each, and their classes."""
    count, page = int(PICTURES * scale), 4096
    generator = np.random.default_rng(0)
    shape = (count, PICTURE_SIDE, PICTURE_SIDE)
    pictures = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, shape)
    for rows in np.array_split(np.arange(count), max(1, count // 1000)):
        block = generator.integers(0, 256, (len(rows), page), dtype=np.uint8)
        pictures.reshape(count, -1)[rows[0] : rows[-1] + 1, :page] = block
    pictures.flush()
    np.save(folder / "y.npy", np.arange(count) % 10)
    then = time.time() - _OLD_S
    for name in ("x.npy", "y.npy"):
        os.utime(folder / name, (then, then))


def anonymous_mb() -> float:
    """Return the anonymous memory of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def measure_arrays(folder: str) -> None:
    """Print seconds to load, samples per second and the most anonymous memory, as JSON."""
    import torch

    from tui_trainer.config.sections.arrays import ArraysSection
    from tui_trainer.data.base.split import Order
    from tui_trainer.data.load import load

    torch.set_num_threads(1)
    before_mb, peaks, is_done = anonymous_mb(), [0.0], threading.Event()

    def watch() -> None:
        while not is_done.wait(0.02):
            peaks.append(anonymous_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin_s = time.perf_counter()
    dataset = load(ArraysSection(type="arrays", path=folder))
    load_s = time.perf_counter() - begin_s
    batches = dataset.train.shuffled(Order(64, seed=0))
    begin_s = time.perf_counter()
    count = 0
    for batch in batches.epoch(0):
        assert batches.ready is not None
        count += len(batches.ready(batch)["input"])
        if count >= 20_000:
            break
    rate = count / (time.perf_counter() - begin_s)
    is_done.set()
    watcher.join()
    print(json.dumps([load_s, rate, before_mb, max(peaks)]))


def compare_arrays(scale: float) -> str:
    """Load a large array twice, each in a process of its own, and return what that takes."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        make_array(data, scale)
        size_gb = (data / "x.npy").stat().st_size / 1e9
        lines = []
        env = {**os.environ, "TUI_TRAINER_CACHE": str(Path(folder) / "cache")}
        for way in ("first", "again"):
            words = [sys.executable, __file__, "--measure-arrays", str(data)]
            done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            load_s, rate, before_mb, peak_mb = json.loads(done.stdout)
            figures = (f"{load_s:.1f}", f"{rate:,.0f}", f"{peak_mb:,.0f}", f"{before_mb:,.0f}")
            lines.append((way, *figures))
    text = f"{machine(('torch', 'numpy'))} {size_gb:.1f} GB of pictures, one thread.\n\n"
    header = ("start", "load s", "samples/s", "anonymous MB", "of imports")
    return text + table(header, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arrays", action="store_true", help="a large array, not tables")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--measure-arrays", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    if arguments.measure_arrays:
        measure_arrays(arguments.measure_arrays)
        return
    if arguments.arrays:
        tell(ARRAYS_TITLE, compare_arrays(arguments.scale), write=arguments.write)
        return
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, make, target in (
            ("wide", make_wide, f"c{WIDE_COLUMNS - 1}"),
            ("tall", make_tall, "label"),
        ):
            path = Path(folder) / f"{name}.csv"
            make(path, arguments.scale)
            then = time.time() - _OLD_S
            os.utime(path, (then, then))
            lines += compare(name, path, target, arguments.rounds, Path(folder) / "cache")
    text = (
        f"{machine(('torch', 'numpy', 'pandas', 'pyarrow'))} Medians of {arguments.rounds} rounds "
        "in turns, each reading in a process of its own, without its imports. `read` is the table "
        "as standardised tensors, `load` all that a run does with it.\n\n"
    )
    header = ("file", "way", "wall s", "CPU s", "peak MB", "wall to pandas", "CPU", "peak")
    tell(TITLE, text + table(header, lines), write=arguments.write)


def tell(title: str, text: str, *, write: bool) -> None:
    """Print a result, and put it into RESULTS.md if that was asked for."""
    print(text)
    if write:
        write_section(title, text)


if __name__ == "__main__":
    main()
