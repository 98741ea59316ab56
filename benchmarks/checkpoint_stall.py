"""How long the loop stands still while a checkpoint's state is copied.

In turns in one process, with one thread of torch: the copy that the program makes, in as many
threads as it uses, and its look for numbers that are not finite, beside a plain
`tensor.to("cpu", copy=True)` of each tensor, a copy of as many bytes at once, and a step of AdamW
on the same model. The times are by the clock, which is how long the loop stands still, and CPU
times of all threads, which other work on the machine lengthens less. The file is written by another
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
PLAIN, COPY, LOOK = "plain copy of each tensor", "tui-trainer's copy", "look for what is not finite"
Seconds = tuple[float, float]
"""By the clock, and of CPU time."""


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


def row_of(name: str, times: list[Seconds], base: list[Seconds]) -> tuple[str, ...]:
    (walls, cpus), (base_walls, base_cpus) = zip(*times, strict=True), zip(*base, strict=True)
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    clock = (f"{seconds:.3f}" for seconds in (wall, min(walls), max(walls)))
    share, cpu_share = wall / statistics.median(base_walls), cpu / statistics.median(base_cpus)
    return (name, *clock, f"{share:.2f}", f"{cpu:.3f}", f"{cpu_share:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state = state_of(arguments.millions)
    weights = state.snapshot().model
    source = np.ones(sum(tensor.nbytes for tensor in plain(state)), dtype=np.uint8)
    target = np.ones_like(source)
    ways: dict[str, Callable[[], Any]] = {
        PLAIN: lambda: plain(state),
        COPY: state.snapshot,
        LOOK: lambda: state.not_finite(weights),
        "as many bytes at once": lambda: np.copyto(target, source),
        "step of AdamW": lambda: state.update(2),
    }
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for round_ in range(arguments.rounds + 1):
        for name, way in ways.items():
            begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
            result = way()
            # The first round takes memory that later ones use again.
            if round_:
                taken = time.perf_counter() - begin_s, time.process_time() - begin_cpu_s
                times[name].append(taken)
            del result
    text = f"{machine(('torch', 'numpy'))} {arguments.millions} million parameters, AdamW, "
    text += f"{arguments.rounds} rounds in turns. The file is written by another thread.\n\n"
    header = ("", "s", "from", "to", "of the plain copy", "CPU s", "of the plain copy")
    text += table(header, [row_of(name, own, times[PLAIN]) for name, own in times.items()])
    together = [copy + look for (copy, _), (look, _) in zip(times[COPY], times[LOOK], strict=True)]
    text += f"\n\nThe loop stands still for {statistics.median(together):.3f} s in all."
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
