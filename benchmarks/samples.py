"""How fast samples of a plugin are read, beside torch's DataLoader.

Makes PNG files of 96x96 in a temporary folder, and reads all of them in turns by a plain DataLoader
and by the program, through the same `__getitem__` of a plugin, with no worker and with two that
stay. Prints the medians of an epoch's seconds, and the speed of the program to the plain loop, by
the wall and by CPU time.

    python benchmarks/samples.py [--scale 1.0] [--rounds 5] [--quick] [--write]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from results import machine, table, write_section

TITLE = "What reading samples of a plugin takes (`samples.py`)"
PICTURES, SIDE, BATCH = 5000, 96, 64
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


def measure(folder: str, pixels: str, workers: str, rounds: str) -> None:
    """Print the seconds and the CPU seconds of every epoch of both ways, as JSON."""
    import torch

    from tui_trainer.config.plugin_loader import load_plugins
    from tui_trainer.config.sections.datasets import DATASETS
    from tui_trainer.config.sections.training import LoaderSection
    from tui_trainer.data.base.split import Order
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
        train.dataset,
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


def compare(folder: Path, count: int, rounds: int) -> str:
    """Return a table of what an epoch takes in both ways, and of the speed to the plain loop."""
    make_pictures(folder, count)
    (folder / "plugin.py").write_text(PLUGIN)
    rows: list[tuple[object, ...]] = []
    for pixels in ("uint8", "float32"):
        for workers in ("0", "2"):
            words = [sys.executable, __file__, "--measure", str(folder), pixels, workers]
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
            numbers = (*seconds, speed, cpu)
            rows.append((pixels, workers, *(f"{number:.2f}" for number in numbers)))
            print(*rows[-1], flush=True)
    header = ("pixels", "workers", "plain, s", "tui-trainer, s", "speed", "speed by CPU time")
    return (
        f"{count:,} PNG of {SIDE}x{SIDE}, decoded by Pillow in a plugin's own `__getitem__`, in "
        f"batches of {BATCH}, {rounds} epochs in turns, one thread in each process. Medians of an "
        "epoch; the speeds are to a plain `torch.utils.data.DataLoader`, medians of the ratios.\n\n"
        + table(header, rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the pictures")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the pictures, one round")
    parser.add_argument("--write", action="store_true", help="write the table into RESULTS.md")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
        return
    scale, rounds = (0.1, 1) if arguments.quick else (arguments.scale, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        text = f"{machine()} {compare(Path(folder), int(PICTURES * scale), rounds)}"
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
