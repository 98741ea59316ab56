"""What a folder of JPEGs takes, beside a plain DataLoader with Pillow, and listing many files.

Makes photographs of 500 x 375 in a temporary folder. Each way runs in a process of its own on
one core, and counts its CPU time: the plain loader decodes, crops the middle, scales to 224 x 224,
makes floats and normalises them. The first epoch of the program is all that a run does before it,
too; its batches travel as bytes, and are normalised on the device, which takes its time where that
is the CPU. Then 100,000 empty files in 100 folders are listed, beside `os.scandir` with `stat`.

    python benchmarks/data_pictures.py [--count 1000] [--rounds 3] [--files 100000] [--write]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from results import machine, table, write_section

TITLE = "What pictures take (`data_pictures.py`)"
SIDE, BATCH, CLASSES, FOLDERS = 224, 64, 10, 100
WAYS = ("plain loader", "first epoch", "first, normalised", "second epoch", "second, normalised")
_OLD_S = 60.0


def make_photographs(folder: Path, count: int) -> None:
    """Soft shapes with grain, as JPEG of quality 90: about 70 kB each."""
    from PIL import Image

    then = time.time() - _OLD_S
    for number in range(count):
        dice = np.random.default_rng(number)
        soft = Image.fromarray(dice.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(soft.resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        pixels += dice.integers(-18, 19, pixels.shape, dtype=np.int16)
        path = folder / f"class{number % CLASSES}" / f"{number:06}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)
        os.utime(path, (then, then))


def plain_loader(folder: str) -> Iterator[Any]:
    """The loader that everybody writes, without workers."""
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    class Photographs(Dataset[Any]):
        def __init__(self) -> None:
            self.paths = sorted(Path(folder).glob("*/*.jpg"))

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, index: int) -> Any:
            with Image.open(self.paths[index]) as picture:
                rgb = picture.convert("RGB")
            side = min(rgb.size)
            left, top = (rgb.width - side) // 2, (rgb.height - side) // 2
            middle = rgb.crop((left, top, left + side, top + side))
            scaled = middle.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            pixels = torch.from_numpy(np.array(scaled)).permute(2, 0, 1).float().div(255)
            return (pixels - 0.45) / 0.22, int(self.paths[index].parent.name[5:])

    yield from DataLoader(Photographs(), batch_size=BATCH, shuffle=True)


def measure(way: str, folder: str) -> None:
    """Print the CPU seconds of one way, as JSON."""
    import torch

    from tui_trainer.config.sections.picture_datasets import PicturesSection
    from tui_trainer.data.base.split import Order
    from tui_trainer.data.load import load

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if way == "plain loader":
        begin_s = time.process_time()
        count = sum(len(inputs) for inputs, _ in plain_loader(folder))
        print(json.dumps([time.process_time() - begin_s, count]))
        return
    section = PicturesSection(
        type="pictures", path=folder, size=(SIDE, SIDE), test_fraction=0, val_fraction=0
    )
    begin_s = time.process_time()
    dataset = load(section)
    load_s = time.process_time() - begin_s
    batches = dataset.train.shuffled(Order(BATCH, seed=0))
    ready = batches.ready if "normalised" in way else None
    seconds = []
    for epoch in range(2):
        begin_s = time.process_time()
        count = 0
        for batch in batches.epoch(epoch):
            count += len((batch if ready is None else ready(batch))["input"])
        seconds.append(time.process_time() - begin_s)
    print(json.dumps([load_s + seconds[0] if way.startswith("first") else seconds[1], count]))


def compare_loaders(folder: Path, rounds: int, count: int) -> str:
    """Return a table of the pictures per second of CPU, and what they are to the plain loader."""
    data, cache = folder / "data", folder / "cache"
    data.mkdir()
    make_photographs(data, count)
    size_kb = statistics.mean(path.stat().st_size for path in data.glob("*/*.jpg")) / 1e3
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            if way.startswith("first"):
                for path in cache.glob("*"):
                    path.unlink()
            env = {**os.environ, "TUI_TRAINER_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
            words = [sys.executable, __file__, "--measure", way, str(data)]
            done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            seconds, read = json.loads(done.stdout)
            rates[way].append(read / seconds)
    rows = []
    for way in WAYS:
        pairs = zip(rates[way], rates["plain loader"], strict=True)
        ratio = statistics.median(own / base for own, base in pairs)
        rows.append((way, f"{statistics.median(rates[way]):,.0f}", f"{ratio:.2f}"))
    header = ("", "pictures/s", "to the plain loader")
    return (
        f"{count:,} JPEGs of 500 x 375 ({size_kb:.0f} kB) to {SIDE} x {SIDE} in batches of "
        f"{BATCH}, one core, CPU time, {rounds} rounds in turns. The plain loader decodes with "
        "Pillow, crops, scales and normalises. The first epoch has everything in it that a run "
        "does before it: listing, decoding, hashing, writing the cache, splitting; what is not "
        f"`normalised` travels as bytes.\n\n{table(header, rows)}"
    )


def scan_plainly(folder: Path) -> list[tuple[str, int, int]]:
    """Return path, size and time of the files of two levels."""
    found = []
    with os.scandir(folder) as folders:
        for inner in folders:
            with os.scandir(inner.path) as entries:
                for entry in entries:
                    status = entry.stat()
                    found.append((entry.path, status.st_size, status.st_mtime_ns))
    return found


def compare_scans(folder: Path, rounds: int, files: int) -> str:
    """Return a table of the CPU seconds for listing many files, and what they are to plain ones."""
    from tui_trainer.config.sections.picture_datasets import PicturesSection
    from tui_trainer.data.files.folders import open_folder, walk_files
    from tui_trainer.data.files.picture_opener import is_picture_name
    from tui_trainer.data.sources.picture_folders import list_pictures

    data = folder / "many"
    for number in range(FOLDERS):
        (data / f"c{number:03}").mkdir(parents=True)
        for place in range(files // FOLDERS):
            (data / f"c{number:03}" / f"picture-{place:05}.jpg").touch()
    section = PicturesSection(type="pictures", path=str(data))
    ways: dict[str, Callable[[], object]] = {
        "os.scandir, stat": lambda: scan_plainly(data),
        "scan": lambda: walk_files(open_folder(str(data)), is_picture_name),
        "scan, classes": lambda: list_pictures(section),
    }
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, scan in ways.items():
            begin_s = time.process_time()
            scan()
            times[way].append(time.process_time() - begin_s)
    rows = []
    for way, seconds in times.items():
        pairs = zip(seconds, times["os.scandir, stat"], strict=True)
        ratio = statistics.median(own / base for own, base in pairs)
        rows.append((way, f"{statistics.median(seconds):.2f}", f"{ratio:.2f}"))
    header = ("", "CPU s", "to `os.scandir`")
    return f"Listing {files:,} files in {FOLDERS} folders:\n\n{table(header, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=100_000, help="files to list")
    parser.add_argument("--write", action="store_true", help="write the tables into RESULTS.md")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        loaders = compare_loaders(Path(folder), arguments.rounds, arguments.count)
        scans = compare_scans(Path(folder), arguments.rounds, arguments.files)
    text = f"{machine(('torch', 'pillow'))} {loaders}\n\n{scans}"
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
