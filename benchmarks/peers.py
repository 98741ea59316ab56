"""The cost of a step in other trainers, in loops written by hand, and here.

Trains the same small MLP on the digits, from the same weights, on the same batches in the same
order, each arm in a process of its own, in turns. Before times are taken, each arm trains a few
epochs while its forwards are counted, and its final weights are compared with those of the bare
loop. The figures are CPU times of whole trainings, and medians of their ratios to the bare loop in
the same round. A library that is not installed is named and left out.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/peers.py [--quick] [--only WORD ...] [--json FILE] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from peers_arms import ARMS, BASE, Arm, chosen
from results import machine, table, write_section

TITLE = "What a step costs in other trainers (`peers.py`)"
PROOF_EPOCHS = 3


class Worker:
    """An arm in a process of its own, which trains whenever it is asked to."""

    def __init__(self, name: str, folder: Path, log: Path) -> None:
        self.name = name
        command = [sys.executable, __file__, "--arm", name, "--folder", str(folder)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
                text=True,
            )
        self._log = log

    def ask(self, **order: Any) -> dict[str, Any]:
        """Have it train, and return what it measured."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            end = self._log.read_text(errors="replace")[-2000:]
            raise SystemExit(f"peers: {self.name} ended:\n{end}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def serve(name: str, folder: Path) -> None:
    """Train an arm as often as a line on stdin says; what libraries print goes to a file."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import torch
    from peers_work import Work, digest

    torch.set_num_threads(1)
    arm = ARMS[name]
    module, function = arm.place.split(".")
    prepare = getattr(import_module(module), function)
    for line in sys.stdin:
        order = json.loads(line)
        work = Work(order["epochs"], folder)
        training = prepare(work, **arm.settings)
        counts = {"training": 0, "measuring": 0}
        if order["counts"]:

            def tell(trains: bool, counts: dict[str, int] = counts) -> None:
                counts["training" if trains else "measuring"] += 1

            training.watch(tell)
        begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
        training.start()
        cpu_s, wall_s = time.process_time() - begin_cpu_s, time.perf_counter() - begin_s
        weights = training.weights()
        answer = {
            "cpu_us": cpu_s / work.steps * 1e6,
            "wall_us": wall_s / work.steps * 1e6,
            "steps": work.steps,
            "forwards": counts,
            "digest": digest(weights),
            "weights": [value.flatten()[:200].tolist() for value in weights],
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


@dataclass
class Measured:
    """The facts about an arm."""

    proof: dict[str, Any]
    equality: str
    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)


def equality(proof: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """Say whether final weights are those of the bare loop."""
    if proof["digest"] == reference["digest"]:
        return "same bits"
    pairs = zip(proof["weights"], reference["weights"], strict=True)
    off = max(abs(a - b) for own, other in pairs for a, b in zip(own, other, strict=True))
    return f"off by {off:.0e}"


def measure(workers: Mapping[str, Worker], *, epochs: int, rounds: int) -> dict[str, Measured]:
    proofs = {}
    for name, worker in workers.items():
        proofs[name] = worker.ask(epochs=PROOF_EPOCHS, counts=True)
        print(f"{name}: ready", file=sys.stderr)
    measured = {
        name: Measured(proof, equality(proof, proofs[ARMS[name].equal_to]))
        for name, proof in proofs.items()
    }
    for round_ in range(rounds + 1):
        for name, worker in workers.items():
            answer = worker.ask(epochs=epochs if round_ else PROOF_EPOCHS, counts=False)
            # The first round warms up what is imported and allocated once.
            if round_:
                measured[name].cpu_us.append(answer["cpu_us"])
                measured[name].wall_us.append(answer["wall_us"])
    return measured


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


def report(arms: Mapping[str, Arm], measured: Mapping[str, Measured], epochs: int) -> str:
    packages = dict.fromkeys(arm.package for arm in arms.values())
    rounds = len(measured[BASE].cpu_us)
    steps = measured[BASE].proof["steps"]
    about = (
        f"{machine(tuple(packages))} {epochs} epochs of {steps // PROOF_EPOCHS} steps, {rounds} "
        "rounds in turns, one process and one thread each, CPU time of a whole training; 64-128-10 "
        "MLP on the digits, batch 64, Adam, validation after each epoch. `forwards` are counted "
        f"over {PROOF_EPOCHS} epochs, training + measuring; `weights` are compared with the bare "
        "loop after them: of `fused` and tui-trainer as it comes with that of the fused Adam, of "
        "keras at its leanest with keras, whose Adam adds epsilon elsewhere. fastai is left out: "
        "it needs torchvision, whose builds on PyPI are for CUDA."
    )
    return f"{about}\n\n{table(HEADER, rows_of(measured))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true", help="two minutes")
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="peers, by name")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.arm:
        serve(arguments.arm, arguments.folder)
        return
    epochs = arguments.epochs or (15 if arguments.quick else 60)
    rounds = arguments.rounds or (3 if arguments.quick else 7)
    arms, missing = chosen(arguments.only)
    for line in missing:
        print(f"{line}; pip install -c constraints.txt -e '.[bench]'", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers: dict[str, Worker] = {}
        try:
            for number, arm in enumerate(arms):
                workers[arm] = Worker(arm, folder, folder / f"{number}.log")
            measured = measure(workers, epochs=epochs, rounds=rounds)
        finally:
            for worker in workers.values():
                worker.end()
    text = report(arms, measured, epochs)
    if missing:
        text += "\n\n" + "\n".join(missing)
    print(text)
    if arguments.json is not None:
        plain = {name: vars(own) for name, own in measured.items()}
        arguments.json.write_text(json.dumps({"about": text.split("\n")[0], "arms": plain}))
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
