"""How long the loop stands still while a checkpoint's state is copied.

Prints CPU times of one thread, in turns in one process: the copy that the program makes, and the
look for numbers that are not finite, beside a plain `tensor.to("cpu", copy=True)` of each tensor, a
copy of as many bytes at once, and a step of AdamW on the same model. The file is written by another
thread and does not count.

    python benchmarks/checkpoint_stall.py [--millions 100] [--rounds 7] [--write]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from results import machine, table, write_section
from torch import Tensor, nn

from tui_trainer.config.sections.optimizers import AdamWSection
from tui_trainer.training.optimizers import build_optimizer
from tui_trainer.training.state import State

TITLE = "How long a checkpoint holds up the loop (`checkpoint_stall.py`)"
WIDTH = 2000


def state_of(millions: int) -> State:
    """Return the state of a model with so many million parameters after a step."""
    layers = [nn.Linear(WIDTH, WIDTH) for _ in range(max(1, millions * 10**6 // WIDTH**2))]
    model = nn.Sequential(*layers)
    state = State(model, build_optimizer(AdamWSection(type="adamw"), model), torch.device("cpu"))
    state.set_lr(1e-3)
    state.update(1)
    return state


def plain(state: State) -> list[Tensor]:
    """Copy weights and running means as programs usually do."""
    entries = state.optimizer.state_dict()["state"].values()
    means = [value for entry in entries for value in entry.values()]
    return [tensor.to("cpu", copy=True) for tensor in (*state.model.state_dict().values(), *means)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state = state_of(arguments.millions)
    weights = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    source = np.ones(sum(tensor.nbytes for tensor in plain(state)), dtype=np.uint8)
    target = np.ones_like(source)
    ways: dict[str, Callable[[], Any]] = {
        "plain copy of each tensor": lambda: plain(state),
        "tui-trainer's copy": state.snapshot,
        "look for what is not finite": lambda: state.not_finite(weights),
        "as many bytes at once": lambda: np.copyto(target, source),
        "step of AdamW": lambda: state.update(2),
    }
    times_s: dict[str, list[float]] = {name: [] for name in ways}
    for round_ in range(arguments.rounds + 1):
        for name, way in ways.items():
            begin_s = time.process_time()
            result = way()
            # The first round takes memory that later ones use again.
            if round_:
                times_s[name].append(time.process_time() - begin_s)
            del result
    base = statistics.median(times_s["plain copy of each tensor"])
    rows = []
    for name, own in times_s.items():
        middle = statistics.median(own)
        figures = (f"{seconds:.3f}" for seconds in (middle, min(own), max(own)))
        rows.append((name, *figures, f"{middle / base:.2f}"))
    text = f"{machine(('torch', 'numpy'))} {arguments.millions} million parameters, AdamW, one "
    text += f"thread, CPU time, {arguments.rounds} rounds in turns. The file is written by another "
    text += "thread.\n\n" + table(("", "s", "from", "to", "of the plain copy"), rows)
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
