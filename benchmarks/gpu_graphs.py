"""Parts of the GPU check: steps recorded as CUDA graphs, and saves beside the steps.

`graphs` holds recorded steps against eager ones and against themselves, cut and paused. `saves`
holds the copies of a snapshot against those that the host waits for, and times both. On a CPU
nothing is recorded and all copies are plain, so that only the check itself is tried.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from gpu_findings import Findings, Wrong
from gpu_runs import (
    EACH_STEP,
    QUIET,
    SMALL_TEXT,
    Run,
    differences,
    experiment,
    place,
    stop_at,
    summed_up,
)
from torch import Tensor, nn

from tui_trainer.config.sections.optimizers import AdamWSection
from tui_trainer.runs.commands import Command, Pause, Resume
from tui_trainer.runs.events import Event, StateChanged, StepsTaken
from tui_trainer.training.optimizers import build_optimizer
from tui_trainer.training.state import State

STEPS, CUT, PAUSED = 50, 31, 20
# What a graph would get wrong first: random numbers, statistics, a mean beside it, a smaller last
# batch in each epoch, a schedule, and mixed precision.
KINDS: dict[str, tuple[str, ...]] = {
    "mlp": ("digits-mlp", "training.ema_decay=0.9"),
    "cnn": ("digits-cnn", "training.grad_clip_norm=1.0", "dataset.mixup=0.4"),
    "resnet": ("digits-cnn", "model=resnet", "optimizer=sgd", "training.channels_last=true"),
    "gpt": (
        *("stdlib-gpt", SMALL_TEXT, "model.dropout=0.1", "training.batch_size=8"),
        "training.precision=bf16",
    ),
}
WEIGHT_BOUND, LOSS_BOUND = 1e-3, 1e-3
"""How far apart the weights, and relatively the losses, of recorded and eager steps may be."""
MILLIONS = {"cuda": 100, "cpu": 2}
WIDTH = 2000


def graphs(device: str, work: Path) -> int:
    """Recorded steps: close to eager ones; cut, and paused with off-load, bit for bit."""
    findings = Findings()
    kinds = KINDS if device == "cuda" else {"mlp": KINDS["mlp"]}
    for kind, (preset, *overrides) in kinds.items():
        always = (*EACH_STEP, *QUIET, "training.deterministic=true", "training.threads=2")
        length = (f"training.max_steps={STEPS}", "training.validate_every_steps=20")
        graphed = f"training.cuda_graphs={'true' if device == 'cuda' else 'false'}"
        eagerly = experiment(preset, *overrides, *always, *length)
        recorded = experiment(preset, *overrides, *always, *length, graphed)
        uncut = Run.new(work / f"{kind}-uncut", recorded)
        with findings.about(f"{kind}, recorded and eager") as figures:
            eager = Run.new(work / f"{kind}-eager", eagerly)
            for run in (eager, uncut):
                _end(run.start(place(device)))
            figures.append(_apart(eager, uncut))
        with findings.about(f"{kind}, cut at {CUT}") as figures:
            cut = Run.new(work / f"{kind}-cut", recorded)
            cut.start(place(device), stop_at(CUT))
            _end(cut.resume(place(device)))
            figures.append(_bit_for_bit(uncut, cut))
        with findings.about(f"{kind}, paused with off-load") as figures:
            paused = Run.new(work / f"{kind}-paused", recorded)
            freed: list[int] = []
            _end(paused.start(place(device), _pausing(freed)))
            if not freed:
                raise Wrong("it never paused")
            figures.append(f"gave back {freed[0] / 2**20:.0f} MB; {_bit_for_bit(uncut, paused)}")
    return findings.end(f"{STEPS} steps each")


def _end(outcome: Any) -> None:
    if outcome.state != "finished":
        raise Wrong(f"{outcome.state}: {outcome.reason}")


def _apart(eager: Run, recorded: Run) -> str:
    """Say how far apart the final weights and the losses of two runs are.

    Raises:
        Wrong: farther than rounding explains.
    """
    one, other = eager.final()["model"], recorded.final()["model"]
    if not differences([one, eager.losses], [other, recorded.losses]):
        return "bit for bit the same"
    weights = max(
        float((tensor.double() - other[name].double()).abs().max()) for name, tensor in one.items()
    )
    pairs = zip(eager.losses, recorded.losses, strict=True)
    losses = max(abs(a - b) / max(abs(a), 1e-6) for a, b in pairs)
    text = f"weights up to {weights:.2g} apart, losses up to {losses:.2g} of them"
    if not (weights <= WEIGHT_BOUND and losses <= LOSS_BOUND):
        raise Wrong(text)
    return text


def _bit_for_bit(one: Run, other: Run) -> str:
    found = differences(one.lines(), other.lines(), "metrics")
    found += differences(one.final(), other.final(), "checkpoint")
    if found:
        raise Wrong(f"not bit for bit: {summed_up(found)}")
    return "bit for bit"


def _pausing(freed: list[int]) -> Callable[[Event], Sequence[Command]]:
    asked: list[int] = []

    def react(event: Event) -> Sequence[Command]:
        if isinstance(event, StepsTaken) and event.step >= PAUSED and not asked:
            asked.append(event.step)
            return (Pause(offload=True),)
        if isinstance(event, StateChanged) and event.state == "paused":
            freed.append(event.freed_bytes)
            return (Resume(),)
        return ()

    return react


class Trained:
    """A wide network on a device, with the state of AdamW after some steps."""

    def __init__(self, millions: int, device: torch.device) -> None:
        self.device = device
        layers = [nn.Linear(WIDTH, WIDTH) for _ in range(max(1, millions * 10**6 // WIDTH**2))]
        model = nn.Sequential(*layers).to(device)
        self.state = State(model, build_optimizer(AdamWSection(type="adamw"), model), device)
        self._inputs = torch.randn(2048 if device.type == "cuda" else 16, WIDTH, device=device)
        self._steps = 0

    def step(self) -> None:
        state = self.state
        state.clear_gradients()
        state.backward(F.mse_loss(state.model(self._inputs), self._inputs))
        state.set_lr(1e-4)
        self._steps += 1
        state.update(self._steps)

    def plain(self) -> dict[str, Tensor]:
        """Copy what a snapshot copies, as programs usually do."""
        state = self.state
        copies = {name: tensor.to("cpu", copy=True) for name, tensor in self._weights().items()}
        for number, entry in state.optimizer.state_dict()["state"].items():
            for key, value in entry.items():
                copies[f"{number}.{key}"] = value.to("cpu", copy=True)
        return copies

    def _weights(self) -> dict[str, Tensor]:
        return dict(self.state.model.state_dict())

    def settle(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def saves(device: str, work: Path) -> int:
    """Copies of a snapshot equal plain ones although steps follow at once; the time of both."""
    findings = Findings()
    trained = Trained(MILLIONS[device], place(device))
    for _ in range(3):
        trained.step()
    with findings.about("the copies although steps follow") as figures:
        for _ in range(3):
            trained.settle()
            wanted = trained.plain()
            snapshot = trained.state.snapshot()
            trained.step()
            trained.step()
            snapshot.await_copies()
            entries = snapshot.optimizer["state"].values()
            means = [value for entry in entries for value in entry.values()]
            found = [*snapshot.model.values(), *means]
            if len(found) != len(wanted):
                raise Wrong(f"{len(found)} tensors, and {len(wanted)} plainly")
            pairs = zip(wanted.items(), found, strict=True)
            if wrong := [name for (name, one), other in pairs if not one.equal(other)]:
                raise Wrong(f"{len(wrong)} of {len(wanted)} are others: {wrong[0]}")
            trained.step()
        figures.append(f"{len(wanted)} tensors, three times")
    with findings.about("what they take") as figures:
        figures.append(_times(trained))
    return findings.end(f"{MILLIONS[device]} M parameters")


def _times(trained: Trained) -> str:
    """Milliseconds of a step alone, of one after a snapshot, and of one after plain copies."""

    def after(copy: Callable[[], Any]) -> float:
        times_s = []
        for _ in range(6):
            trained.settle()
            begin_s = time.perf_counter()
            kept = copy()
            trained.step()
            trained.settle()
            times_s.append(time.perf_counter() - begin_s)
            del kept
        # The first one takes memory that later ones use again.
        return statistics.median(times_s[1:]) * 1e3

    alone = after(lambda: None)
    beside = after(trained.state.snapshot)
    plainly = after(trained.plain)
    return (
        f"a step {alone:.1f} ms; {beside - alone:.1f} ms more after a snapshot, "
        f"{plainly - alone:.1f} ms more after plain copies"
    )
