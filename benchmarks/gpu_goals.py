"""The part `goals` of the GPU check: what a step may cost, held against its goal.

Ours against another loop on the same model, format and batches, in turns in one process, as in
gpu_steps.py. A goal that is missed makes the part fail. The digits are trained with recorded steps,
against the loop that reads the loss at each step; the others compiled, against the bare compiled
step: `torch.compile` of the model, fused AdamW, and nothing read. MFU is the share of what the card
can do at most in bf16 without sparsity: 6 operations per parameter and token, and 12 x layers x
width x length for attention (Chowdhery et al., arXiv:2204.02311).

On a CPU nothing is compiled or recorded, models are small, and there are no goals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gpu_steps
import numpy as np
import torch
from gpu_findings import Findings, Wrong
from gpu_runs import SMALL_TEXT, Run, experiment
from torch import Tensor

from tui_trainer.training.task import Task

PEAK_BF16 = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}
"""Operations per second, by a part of the card's name, from the makers' data sheets."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The most time a step may take, as a multiple of a step of the loop it is compared with."""

    of: str
    """The loop: `plain`, or `reading` if it reads each loss."""
    at_most: float
    overrides: tuple[str, ...]
    """The experiment: a preset, and its overrides."""
    flops: Callable[[int], float] | None = None
    """Operations of a step, of a model with so many parameters."""
    loop: type[gpu_steps.PlainLoop] = gpu_steps.PlainLoop


class CompiledLoop(gpu_steps.PlainLoop):
    """The bare compiled step."""

    def __init__(self, task: Task, batches: list[tuple[Tensor, Tensor]]) -> None:
        super().__init__(task, batches)
        parameters = self._model.parameters()
        if task.device.type == "cuda":
            self._optimizer = torch.optim.AdamW(parameters, lr=1e-3, fused=True)
            self._run = torch.compile(self._model, dynamic=False)


def goals(device: str, work: Path) -> int:
    """The goals of a step on one card."""
    findings = Findings()
    on_gpu = device == "cuda"
    rounds, seconds = (5, 0.8) if on_gpu else (1, 0.2)
    if not on_gpu:
        torch.set_num_threads(1)
    ratios = []
    for name, goal in _goals(work, on_gpu=on_gpu).items():
        with findings.about(name) as figures:
            preset, *overrides = goal.overrides
            wanted = experiment(preset, *overrides, *gpu_steps.ENDLESS)
            run = Run.new(work / name, wanted)
            parameters, ways = gpu_steps.compare(run, device, rounds, seconds, goal.loop)
            ours, other = ways["ours"], ways[goal.of]
            ratio = ours.step_us / other.step_us
            ratios.append(f"{name} {ratio:.3f}")
            figures.append(
                f"{ours.step_us:.0f} us per step, {other.step_us:.0f} of the other loop: "
                f"{ratio:.3f}, goal {goal.at_most}; idle {ours.idle}, the other {other.idle}; "
                f"{parameters:,} parameters"
            )
            if goal.flops is not None and on_gpu:
                figures.append(_mfu(goal.flops(parameters), ours.step_us))
            if on_gpu and ratio > goal.at_most:
                raise Wrong("; ".join(["the goal is missed", *figures]))
    return findings.end(", ".join(ratios))


def _goals(work: Path, *, on_gpu: bool) -> dict[str, Goal]:
    compiled = ("training.compile=true",) if on_gpu else ()
    mixed = ("training.precision=bf16",) if on_gpu else ()
    width, depth, batch, pictures = (64, 18, 256, 8192) if on_gpu else (8, 10, 32, 256)
    layers, columns, length, rows = (12, 768, 1024, 16) if on_gpu else (2, 32, 64, 4)
    gpt = (
        *("stdlib-gpt", SMALL_TEXT, f"dataset.sequence_length={length}", f"model.layers={layers}"),
        *(f"model.width={columns}", "model.heads=" + ("12" if on_gpu else "4")),
        *(f"training.batch_size={rows}", "training.grad_clip_norm=null", *mixed, *compiled),
    )

    def flops(parameters: int) -> float:
        return (6 * parameters + 12 * layers * columns * length) * rows * length

    return {
        "digits-mlp, recorded": Goal(
            "reading",
            1 / 5,
            (
                *("digits-mlp", *gpu_steps.PLAIN_DIGITS),
                f"training.cuda_graphs={'true' if on_gpu else 'false'}",
            ),
        ),
        "resnet-18 of 32x32": Goal(
            "plain",
            1.02,
            (
                *("digits-cnn", f"dataset={{type: arrays, path: {_pictures(work, pictures)}}}"),
                f"model={{type: resnet, width: {width}, depth: {depth}, stages: 4}}",
                *(f"training.batch_size={batch}", *mixed, *compiled),
            ),
            loop=CompiledLoop,
        ),
        "gpt-2 small of bytes": Goal("plain", 1.01, gpt, flops, CompiledLoop),
    }


def _pictures(work: Path, count: int) -> Path:
    """Write pictures of the shape of CIFAR, which nothing can be learned from."""
    dice = np.random.default_rng(0)
    path = work / "pictures.npz"
    np.savez(
        path,
        x=dice.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8),
        y=np.arange(count, dtype=np.int64) % 10,
    )
    return path


def _mfu(flops: float, step_us: float) -> str:
    card = torch.cuda.get_device_name()
    peak = next((peak for name, peak in PEAK_BF16.items() if name in card), None)
    per_s = flops / (step_us / 1e6)
    share = "unknown for this card" if peak is None else f"{per_s / peak:.0%}"
    return f"{per_s / 1e12:.0f} TFLOP/s, MFU {share}"
