"""What the experiments that ship reach on their test split, beside the baselines of the same run.

Every experiment is trained with training seeds 0-2 on split seeds 0-2; the figures are means over
the nine runs, with the lowest in brackets, and the mean training time.

    python benchmarks/experiments.py [EXPERIMENT ...] [KEY=VALUE ...]
                                     [--threads 2] [--seeds 3] [--splits 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program itself does

import torch

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.training.context import Fresh
from tui_trainer.training.ending import Outcome
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.task import build, warm_up


def run(library: PresetLibrary, name: str, words: list[str]) -> Outcome:
    """Train one experiment with overrides, in a folder that is thrown away."""
    experiment = library.experiment(name, parse_overrides(words))
    task = build(experiment, SingleRank(), torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        make_skeleton(directory)
        return train(task, Fresh(), Control(), lambda event: None, directory)


def main() -> None:
    library = PresetLibrary([builtin_dir()])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="EXPERIMENT|KEY=VALUE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3, help="training seeds, from 0")
    parser.add_argument("--splits", type=int, default=3, help="split seeds, from 0")
    arguments = parser.parse_args()
    overrides = [word for word in arguments.words if "=" in word]
    names = [word for word in arguments.words if "=" not in word]
    warm_up()
    for name in names or [preset.name for preset in library.list("experiment")]:
        outcomes = [
            run(
                library,
                name,
                [
                    f"training.seed={seed}",
                    f"dataset.split_seed={split}",
                    f"training.threads={arguments.threads}",
                    *overrides,
                ],
            )
            for seed in range(arguments.seeds)
            for split in range(arguments.splits)
        ]
        print(name, flush=True)
        seconds = [outcome.elapsed_s for outcome in outcomes]
        print(f"  training time          {statistics.mean(seconds):8.1f} s")
        show("best validation", [(outcome.best or {})["value"] for outcome in outcomes])
        for metric in outcomes[0].test or {}:
            show(f"test {metric}", [(outcome.test or {})[metric] for outcome in outcomes])
        for baseline, metrics in (outcomes[0].baseline or {}).items():
            for metric in metrics:
                values = [(outcome.baseline or {})[baseline][metric] for outcome in outcomes]
                show(f"{baseline.replace('_', ' ')}: {metric}", values)


def show(label: str, values: list[float]) -> None:
    """A line with mean, lowest and highest."""
    print(
        f"  {label:<30} {statistics.mean(values):9.4f}  ({min(values):.4f} to {max(values):.4f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
