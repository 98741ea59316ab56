"""What reading data takes: large tables beside pandas, and samples beside torch's DataLoader.

Tables: makes two CSV files in a temporary folder, reads each in turns by pandas' C reader (with
types, to tensors) and by the program, every time in a process of its own, and prints the medians
and their ratios. `read` is the table as tensors, standardised; `load` is all that a run
does with it, which also identifies every row and splits them. Imports are not counted.

Samples: makes PNG files of 96x96, and reads all of them in turns by a plain DataLoader and by the
program, through the same `__getitem__` of a plugin, with no worker and with two that stay.

    python benchmarks/data.py [--part tables] [--part samples] [--scale 1.0] [--rounds 3] [--quick]
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
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

WIDE_ROWS, WIDE_COLUMNS, TALL_ROWS = 430_000, 101, 1_000_000
PICTURES, SIDE, BATCH = 5000, 96, 64
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


def compare(name: str, path: Path, target: str, rounds: int, cache: Path) -> None:
    """Read a file in all ways, in turns, and print the medians and their ratios to pandas."""
    size_mb = path.stat().st_size / 1e6
    one_reading("load, cached", path, target, cache)
    one_reading("read, cached", path, target, cache)
    times: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            times[way].append(one_reading(way, path, target, cache))
    print(f"{name}, {size_mb:.0f} MB; load average {os.getloadavg()[0]:.1f}")
    print(
        f"{'way':<14} {'wall s':>7} {'CPU s':>7} {'peak MB':>8} {'wall':>6} {'CPU':>6} {'peak':>6}"
    )
    for way in WAYS:
        middle = [statistics.median(column) for column in zip(*times[way], strict=True)]
        ratios = [
            statistics.median(own[n] / base[n] for own, base in pairs)
            for pairs in [list(zip(times[way], times["pandas"], strict=True))]
            for n in range(3)
        ]
        print(
            f"{way:<14} {middle[0]:>7.2f} {middle[1]:>7.2f} {middle[2]:>8.0f} "
            + " ".join(f"{ratio:>6.2f}" for ratio in ratios)
        )
    print(f"first line of a run after {first_line_s(path, target):.2f} s\n", flush=True)


PLUGIN = """
from pathlib import Path
import numpy as np
import torch
from PIL import Image
from tui_trainer.plugins import Data, DatasetParams, dataset, setting

class Pictures(torch.utils.data.Dataset):
    def __init__(self, folder, floats):
        self.files = sorted(str(file) for file in Path(folder).glob("*.png"))
        self.floats = floats

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as picture:
            pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return (pixels.float() / 255 if self.floats else pixels), index % 10

class Params(DatasetParams):
    floats: bool = setting(False, "whether pixels are float32")

@dataset("pictures-of-benchmark", params=Params)
def pictures(params):
    made = Pictures(params.path, params.floats)
    return Data(made, made, made, classes=tuple("abcdefghij"))
"""


def make_pictures(folder: Path, count: int) -> None:
    """Waves of three colours with noise, which compress about as photographs do."""
    from PIL import Image

    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    for number in range(count):
        periods = generator.uniform(3, 20, (3, 2))
        waves = [np.sin(x / across) * np.cos(y / down) for across, down in periods]
        pixels = np.stack(waves, -1) * 90 + 128 + generator.normal(size=(SIDE, SIDE, 3)) * 6
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:05d}.png")


def spent_s() -> float:
    """Return the CPU seconds of this process and its workers, as far as they still run."""
    import psutil

    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def measure_samples(folder: str, pixels: str, workers: str, rounds: str) -> None:
    """Print the seconds and the CPU seconds of every epoch of both ways, as JSON."""
    import torch

    from tui_trainer.config.plugins import load_plugins
    from tui_trainer.config.sections.datasets import DATASETS
    from tui_trainer.config.sections.training import LoaderSection
    from tui_trainer.data.base.batch import Order
    from tui_trainer.data.feed import DataFeed
    from tui_trainer.data.load import load

    torch.set_num_threads(1)
    load_plugins((Path(folder) / "plugin.py",))
    spec = DATASETS.find("pictures-of-benchmark")
    assert spec is not None
    section = spec.params.model_validate(
        {"type": spec.name, "path": folder, "floats": pixels == "float32"}
    )
    feed = DataFeed(LoaderSection(num_workers=int(workers)), torch.device("cpu"), 0)
    train = feed.prepare(load(section)).train
    batches = feed.batches(train, Order(BATCH, 0))
    plain = torch.utils.data.DataLoader(
        train.dataset,  # type: ignore[attr-defined]
        batch_size=BATCH,
        shuffle=True,
        num_workers=int(workers),
        persistent_workers=int(workers) > 0,
    )
    epochs = []
    # The first round starts the workers and is not counted.
    for epoch in range(int(rounds) + 1):
        for name, samples in (("plain", plain), ("program", batches.epoch(epoch))):
            begin_s, begin_cpu_s = time.perf_counter(), spent_s()
            count = sum(len(_target_of(batch)) for batch in samples)
            assert count == len(train)
            if epoch:
                epochs.append([name, time.perf_counter() - begin_s, spent_s() - begin_cpu_s])
    feed.pool.close()
    print(json.dumps(epochs))


def _target_of(batch: Any) -> Any:
    return batch["target"] if isinstance(batch, dict) else batch[1]


def compare_samples(folder: Path, count: int, rounds: int) -> None:
    """Print what an epoch takes in both ways, and the speed of the program to the plain loop."""
    make_pictures(folder, count)
    (folder / "plugin.py").write_text(PLUGIN)
    print(f"{count:,} PNG of {SIDE}x{SIDE}, batches of {BATCH}; {rounds} rounds")
    print(
        f"{'pixels':<8} {'workers':>7} {'plain s':>8} {'ours s':>7} {'speed':>6} {'CPU':>6}  load"
    )
    for pixels in ("uint8", "float32"):
        for workers in ("0", "2"):
            words = [sys.executable, __file__, "--measure-samples", str(folder), pixels, workers]
            done = subprocess.run(
                [*words, str(rounds)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr)
            epochs = json.loads(done.stdout)
            plain, ours = ([one for one in epochs if one[0] == way] for way in ("plain", "program"))
            pairs = list(zip(plain, ours, strict=True))
            speed, cpu = (
                statistics.median(base[n] / own[n] for base, own in pairs) for n in (1, 2)
            )
            seconds = [statistics.median(one[1] for one in way) for way in (plain, ours)]
            print(
                f"{pixels:<8} {workers:>7} {seconds[0]:>8.2f} {seconds[1]:>7.2f} {speed:>6.2f} "
                f"{cpu:>6.2f}  {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=("tables", "samples"))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the rows or pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a tenth of all, in one round")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--measure-samples", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    if arguments.measure_samples:
        measure_samples(*arguments.measure_samples)
        return
    parts = arguments.part or ["tables", "samples"]
    scale, rounds = (0.1, 1) if arguments.quick else (arguments.scale, arguments.rounds)
    if "tables" in parts:
        compare_tables(scale, rounds)
    if "samples" in parts:
        with tempfile.TemporaryDirectory() as folder:
            compare_samples(Path(folder), int(PICTURES * scale), rounds)


def compare_tables(scale: float, rounds: int) -> None:
    """Compare the ways to read both tables."""
    with tempfile.TemporaryDirectory() as folder:
        for name, make, target in (
            ("wide", make_wide, f"c{WIDE_COLUMNS - 1}"),
            ("tall", make_tall, "label"),
        ):
            path = Path(folder) / f"{name}.csv"
            make(path, scale)
            then = time.time() - _OLD_S
            os.utime(path, (then, then))
            compare(name, path, target, rounds, Path(folder) / "cache")


if __name__ == "__main__":
    main()
