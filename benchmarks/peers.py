"""The cost of a step in other trainers, in loops written by hand, and here.

Trains the same small MLP on the digits, from the same weights, on the same batches in the same
order, each arm in a process of its own, in turns. Before times are taken, each arm trains a few
epochs while its forwards are counted, and its final weights are compared with those of the bare
loop. The figures are CPU times of whole trainings, and medians of their ratios to the bare loop in
the same round. A library that is not installed is named and left out.

With a budget, as the quick form has, there are as many rounds as fit into it. Arms that would leave
no time for three rounds are named and left out, those with a fused optimizer first.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/peers.py [--quick] [--only WORD ...] [--json FILE] [--write]
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from peers_arms import ARMS, BASE, affordable, available
from peers_processes import Worker, workers
from results import machine, table, write_section

TITLE = "What a step costs in other trainers (`peers.py`)"
PROOF_EPOCHS = 3
LEAST_ROUNDS = 3
"""So many must fit into a budget."""
QUICK_S, QUICK_EPOCHS = 105.0, 25
"""With the start and the end of all processes, two minutes."""


@dataclass
class Measured:
    """The facts about an arm."""

    proof: dict[str, Any]
    equality: str
    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)


@dataclass
class Budget:
    """The seconds that a comparison may take, and what it took."""

    seconds: float
    left_out: list[str] = field(default_factory=list)
    """The arms that did not fit."""
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.begun_s

    @property
    def left_s(self) -> float:
        return self.seconds - self.spent_s


def equality(proof: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """Say whether final weights are those of the bare loop."""
    if proof["digest"] == reference["digest"]:
        return "same bits"
    pairs = zip(proof["weights"], reference["weights"], strict=True)
    off = max(abs(a - b) for own, other in pairs for a, b in zip(own, other, strict=True))
    return f"off by {off:.0e}"


def measure(
    arms: Mapping[str, Worker], *, epochs: int, rounds: int, budget: Budget
) -> dict[str, Measured]:
    """Have the arms train in turns; those that the budget has no time for are put down there."""
    proofs = {}
    for name, worker in arms.items():
        proofs[name] = worker.ask(epochs=PROOF_EPOCHS, counts=True)
        say(f"{name}: ready", budget)
    # What is imported and allocated once is there after this.
    costs_s = {name: warm_up(worker, epochs) for name, worker in arms.items()}
    kept = affordable(costs_s, budget.left_s / LEAST_ROUNDS)
    budget.left_out = [name for name in arms if name not in kept]
    measured = {
        name: Measured(proofs[name], equality(proofs[name], proofs[ARMS[name].equal_to]))
        for name in kept
    }
    longest_s = 0.0
    for number in range(rounds):
        if number and longest_s > budget.left_s:
            break
        begin_s = budget.spent_s
        for name, own in measured.items():
            answer = arms[name].ask(epochs=epochs, counts=False)
            own.cpu_us.append(answer["cpu_us"])
            own.wall_us.append(answer["wall_us"])
        longest_s = max(longest_s, budget.spent_s - begin_s)
        say(f"round {number + 1} of at most {rounds}", budget)
    return measured


def warm_up(worker: Worker, epochs: int) -> float:
    """Have an arm train for a short time, and return how many seconds a long one may take."""
    begin_s = time.monotonic()
    answer = worker.ask(epochs=PROOF_EPOCHS, counts=False)
    training_s = answer["wall_us"] * answer["steps"] / 1e6
    return time.monotonic() - begin_s + training_s * (epochs / PROOF_EPOCHS - 1)


def say(text: str, budget: Budget) -> None:
    of = "" if math.isinf(budget.seconds) else f" of {budget.seconds:.0f}"
    print(f"{text}; {budget.spent_s:.0f}{of} s", file=sys.stderr)


HEADER = ("arm", "us per step", "ratio", "from", "to", "wall us", "forwards", "weights")


def rows_of(measured: Mapping[str, Measured]) -> list[tuple[str, ...]]:
    base = measured[BASE].cpu_us
    rows = []
    for name, own in measured.items():
        ratios = [cost / other for cost, other in zip(own.cpu_us, base, strict=True)]
        counts = own.proof["forwards"]
        rows.append(
            (
                name,
                f"{statistics.median(own.cpu_us):.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f}",
                f"{max(ratios):.2f}",
                f"{statistics.median(own.wall_us):.0f}",
                f"{counts['training']} + {counts['measuring']}",
                own.equality,
            )
        )
    return rows


def about(measured: Mapping[str, Measured], packages: Iterable[str], epochs: int) -> str:
    """Return what was compared on which machine, and how to read the table."""
    rounds = len(measured[BASE].cpu_us)
    steps = measured[BASE].proof["steps"]
    return (
        f"{machine(tuple(packages))} {epochs} epochs of {steps // PROOF_EPOCHS} steps, {rounds} "
        "rounds in turns, one process and one thread each, CPU time of a whole training; 64-128-10 "
        "MLP on the digits, batch 64, Adam, validation after each epoch. `forwards` are counted "
        f"over {PROOF_EPOCHS} epochs, training + measuring; `weights` are compared with the bare "
        "loop after them: of `fused` and tui-trainer as it comes with that of the fused Adam, of "
        "keras at its leanest with keras, whose Adam adds epsilon elsewhere. fastai is left out: "
        "it needs torchvision, whose builds on PyPI are for CUDA."
    )


def notes(budget: Budget, missing: Sequence[str]) -> list[str]:
    """Return lines about the time that it took, and about every arm that is not in the table."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(one.ru_utime + one.ru_stime for one in used)
    took = f"Took {budget.spent_s:.0f} s, and {cpu_s:.0f} s of CPU time in all processes"
    if math.isinf(budget.seconds):
        lines = [f"{took}."]
    else:
        out = ", ".join(f"`{name}`" for name in budget.left_out) or "no arm"
        lines = [
            f"{took}, of a budget of {budget.seconds:.0f} s. Left out for lack of time: {out}."
        ]
    return lines + [f"skipped: {package} is not installed" for package in missing]


def arguments_of() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help=f"of a training (60; quick: {QUICK_EPOCHS})")
    parser.add_argument("--rounds", type=int, default=7, help="at most (%(default)s)")
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help=f"(none; quick: {QUICK_S:.0f})"
    )
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="peers, by name")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    return parser.parse_args()


def main() -> None:
    arguments = arguments_of()
    epochs = arguments.epochs or (QUICK_EPOCHS if arguments.quick else 60)
    budget = Budget(arguments.budget or (QUICK_S if arguments.quick else math.inf))
    arms, missing = available(arguments.only)
    for package in missing:
        print(
            f"skipped: {package} is not installed; pip install -c constraints.txt -e '.[bench]'",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory() as name, workers(arms, Path(name)) as begun:
        measured = measure(begun, epochs=epochs, rounds=arguments.rounds, budget=budget)
    packages = dict.fromkeys(ARMS[name].package for name in measured)
    heading, below = about(measured, packages, epochs), notes(budget, missing)
    text = "\n\n".join([heading, table(HEADER, rows_of(measured)), *below])
    print(text)
    if arguments.json is not None:
        plain = {
            "about": heading,
            "notes": below,
            "left_out": budget.left_out,
            "not_installed": missing,
            "arms": {name: vars(own) for name, own in measured.items()},
        }
        arguments.json.write_text(json.dumps(plain))
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
