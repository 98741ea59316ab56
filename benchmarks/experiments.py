"""What the experiments that ship reach on their test split, beside the baselines of the same run.

Every experiment is trained with training seeds 0-2 on split seeds 0-2. A line a run is printed as
it ends, and at last a table of the means, each with its lowest and highest.

    python benchmarks/experiments.py [EXPERIMENT ...] [KEY=VALUE ...] [--seeds 3] [--splits 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the program itself does

import torch

from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.config.sections.metrics import METRICS
from tui_trainer.runs.control import Control
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import RunEnded
from tui_trainer.training.loop import train
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.task import build, warm_up

SHOWN = ("bits_per_byte", "rmse", "accuracy")
"""The one metric that the table shows of an experiment: the first of these that it has."""


def run(library: PresetLibrary, name: str, words: list[str]) -> RunEnded:
    """Train one experiment with overrides, in a folder that is thrown away."""
    experiment = library.experiment(name, parse_overrides(words))
    task = build(experiment, SingleRank(), torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        directory = RunDirectory(Path(folder) / "run")
        make_skeleton(directory)
        return train(task, FromScratch(), Control(), lambda event: None, directory)


def main() -> None:
    library = PresetLibrary([builtin_dir()])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="EXPERIMENT|KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds, from 0")
    parser.add_argument("--splits", type=int, default=3, help="split seeds, from 0")
    arguments = parser.parse_args()
    overrides = [word for word in arguments.words if "=" in word]
    names = [word for word in arguments.words if "=" not in word]
    warm_up()
    rows = []
    for name in names or [preset.name for preset in library.list("experiment")]:
        outcomes = []
        for seed in range(arguments.seeds):
            for split in range(arguments.splits):
                seeds = [f"training.seed={seed}", f"dataset.split_seed={split}"]
                outcomes.append(run(library, name, [*seeds, *overrides]))
                print(f"{name} {' '.join(seeds)}  {_line(outcomes[-1])}", flush=True)
        rows += table(name, outcomes)
    print("\n| experiment | | mean | lowest | highest | of the baseline | training time |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def _line(outcome: RunEnded) -> str:
    test = "  ".join(f"{name} {value:.4f}" for name, value in (outcome.test or {}).items())
    return f"{outcome.elapsed_s:.1f} s  {test}"


def table(name: str, outcomes: Sequence[RunEnded]) -> list[str]:
    """The lines of an experiment: its test, then every baseline that knows the same metric."""
    tests = [outcome.test or {} for outcome in outcomes]
    metric = next(metric for metric in SHOWN if metric in tests[0])
    own = [test[metric] for test in tests]
    seconds = [outcome.elapsed_s for outcome in outcomes]
    times = f"{statistics.mean(seconds):.1f} s, at most {max(seconds):.1f}"
    lines = [f"| {name} | {metric} | {spread(own)} | | {times} |"]
    for baseline, measured in (outcomes[0].baseline or {}).items():
        if metric not in measured:
            continue
        values = [(outcome.baseline or {})[baseline][metric] for outcome in outcomes]
        against = compared(metric, statistics.mean(own), statistics.mean(values))
        lines.append(f"| | {baseline.replace('_', ' ')} | {spread(values)} | {against} | |")
    return lines


def spread(values: Sequence[float]) -> str:
    """Mean, lowest and highest, as three cells."""
    return f"{statistics.mean(values):.4f} | {min(values):.4f} | {max(values):.4f}"


def compared(metric: str, own: float, baseline: float) -> str:
    """How far above a baseline, in points; or what share of it, where less is better."""
    if METRICS[metric].higher_is_better:
        return f"{100 * (own - baseline):+.1f} points"
    return f"{own / baseline:.3f} of it"


if __name__ == "__main__":
    main()
