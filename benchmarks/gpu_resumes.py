"""The parts of the GPU check in which a training is cut, paused, or moved to another device."""

from __future__ import annotations

import math
import random
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from gpu_findings import Findings, Wrong, in_a_line, needs_a_gpu
from gpu_processes import PROGRAM, log, run_command, side_by_side
from gpu_runs import (
    EACH_STEP,
    KINDS,
    QUIET,
    Run,
    differences,
    experiment,
    place,
    stop_at,
    summed_up,
)

from tui_trainer.runs.commands import Command, Pause, Resume
from tui_trainer.runs.events import Event, StateChanged, StepsTaken
from tui_trainer.training.evaluation import evaluate

MB = 2**20
STEPS, CUT = 50, 31
"""How long such a run is, and where it is cut."""


def resume(device: str, work: Path) -> int:
    """Runs in deterministic mode that were cut in the middle of an epoch, resumed in another
    process, against uncut ones: metrics.jsonl and the last checkpoint bit for bit.
    """
    findings = Findings()
    roles = (("uncut", "cut"), ("resumed",))
    for together in roles:
        for role, (_, text) in side_by_side(partial(_role, device=device, work=work), together):
            log(role, text)
            for line in text.splitlines():
                if line.startswith("* "):
                    findings.tell(line[2:])
    for kind in KINDS:
        with findings.about(kind) as figures:
            uncut, cut = (_opened(work / f"{kind}-{name}", kind) for name in ("uncut", "cut"))
            lines, content = uncut.lines(), uncut.final()
            if content["progress"]["step"] != STEPS or not (work / f"{kind}-cut.done").exists():
                raise Wrong("it did not get to its end; see above")
            metrics = differences(lines, cut.lines(), "metrics")
            weights = differences(content["model"], cut.final()["model"], "model")
            rest = differences(content, cut.final())
            if metrics or weights or rest:
                found = [summed_up(part) for part in (metrics, weights, rest) if part]
                raise Wrong("not bit for bit: " + "; ".join(found))
            where = (work / f"{kind}-cut.done").read_text()
            figures.append(f"bit for bit, {len(lines)} lines and {_count(content['model'])}; ")
            figures[-1] += where
    return findings.end(f"{STEPS} steps, cut at {CUT}")


def _role(role: str, device: str, work: Path) -> tuple[int, str]:
    options = ("resume", "--role", role, "--device", device, "--runs", str(work))
    return run_command([sys.executable, "-u", PROGRAM, *options], limit_s=60)


def train_role(role: str, device: str, work: Path) -> int:
    """Train all kinds as one role of `resume`, in this process; a failure of one is told."""
    wrong = 0
    for kind in KINDS:
        try:
            folder = work / f"{kind}-{'uncut' if role == 'uncut' else 'cut'}"
            if role == "resumed":
                run = _opened(folder, kind)
                at = run.final()["progress"]
                outcome = run.resume(place(device))
                told = f"cut at step {at['step']} in batch {at['batch']} of epoch {at['epoch'] + 1}"
                if at["batch"] == 0:
                    raise Wrong(f"{told}, which is a border between epochs")
                (work / f"{kind}-cut.done").write_text(told)
            else:
                run = Run.new(folder, _opened(folder, kind).experiment)
                # No part of a training draws from these, but a checkpoint has their state.
                random.seed(0)
                np.random.seed(0)
                react = stop_at(CUT) if role == "cut" else lambda event: ()
                outcome = run.start(place(device), react)
            wanted = "stopped" if role == "cut" else "finished"
            if outcome.state != wanted:
                raise Wrong(f"{outcome.state}: {outcome.reason}")
        except Exception as error:
            wrong = 1
            traceback.print_exc()
            print(f"* {kind} {role}: FAILED: {in_a_line(error)}")
    return wrong


def _opened(folder: Path, kind: str) -> Run:
    """The run of a kind, which may be there already."""
    from tui_trainer.runs.directory import RunDirectory

    preset, *overrides = KINDS[kind]
    always = (*EACH_STEP, *QUIET, "training.deterministic=true", "training.threads=2")
    length = (f"training.max_steps={STEPS}", "training.validate_every_steps=20")
    return Run(experiment(preset, *overrides, *always, *length), RunDirectory(folder))


def pause(device: str, work: Path) -> int:
    """A pause with off-load: what memory the device gets back, and that no number changes."""
    findings = Findings()
    layers = "[2048, 2048, 2048]" if device == "cuda" else "[256, 128]"
    size = (f"model.layers={layers}", "training.ema_decay=0.9", "training.max_steps=12")
    wanted = experiment("digits-mlp", *size, *EACH_STEP, *QUIET, "training.deterministic=true")
    held: list[str] = []

    def note(when: str) -> None:
        if device == "cuda":
            torch.cuda.synchronize()
            free, _ = torch.cuda.mem_get_info()
            allocated, reserved = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
            numbers = [f"{bytes_ / MB:.1f}" for bytes_ in (allocated, reserved, free)]
            held.append(f"{when}: {numbers[0]} allocated, {numbers[1]} reserved, {numbers[2]} free")
            findings.tell(f"MB {held[-1]}")

    def react(event: Event) -> Sequence[Command]:
        if isinstance(event, StepsTaken) and event.step == 5 and not paused:
            paused.append("asked")
            note("before the pause")
            return (Pause(offload=True),)
        if isinstance(event, StateChanged) and event.state == "paused":
            paused.append(event.reason)
            freed.append(event.freed_bytes)
            note("during the pause")
            return (Resume(),)
        if isinstance(event, StepsTaken) and event.step == 8:
            note("after the pause")
        return ()

    paused: list[str] = []
    freed: list[int] = []
    with findings.about("pause") as figures:
        run = Run.new(work / "paused", wanted)
        run.start(place(device), react)
        if not freed:
            raise Wrong("it never paused")
        figures.append(paused[-1])
        if device == "cuda" and freed[0] < 10 * MB:
            raise Wrong(f"it gave back only {freed[0] / MB:.1f} MB")
    with findings.about("the same as without a pause") as figures:
        uncut = Run.new(work / "uncut", wanted)
        uncut.start(place(device))
        found = differences(uncut.lines(), run.lines(), "metrics")
        found += differences(uncut.final(), run.final(), "checkpoint")
        if found:
            raise Wrong(summed_up(found))
        figures.append("bit for bit")
    gave = f"gave back {freed[0] / MB:.0f} MB" if freed else ""
    return findings.end(gave if device == "cuda" else "memory needs a GPU")


def crossing(device: str, work: Path) -> int:
    """Checkpoints of the GPU that go on on the CPU, and the other way round; both measure alike."""
    if device == "cpu":
        return needs_a_gpu()
    findings = Findings()
    both = ("cuda", "cpu")
    kinds = {**KINDS, "muon": ("digits-mlp", "optimizer=muon", "training.precision=fp16")}
    for kind, (preset, *overrides) in kinds.items():
        wanted = experiment(preset, *overrides, *EACH_STEP, *QUIET, "training.max_steps=16")
        for start, end in (both, both[::-1]):
            with findings.about(f"{kind} from {start} to {end}") as figures:
                run = Run.new(work / f"{kind}-{start}", wanted)
                run.start(place(start), stop_at(9))
                _check_on_host(run.final(), "content")
                outcome = run.resume(place(end))
                if outcome.state != "finished":
                    raise Wrong(f"{outcome.state}: {outcome.reason}")
                losses = [
                    evaluate(run.directory, wanted, place(name), "val", "last").metrics["loss"]
                    for name in both
                ]
                figures.append(f"val loss {losses[0]:.6f} on cuda, {losses[1]:.6f} on cpu")
                if not math.isclose(*losses, rel_tol=1e-2):
                    raise Wrong(figures[-1])
    return findings.end()


def _check_on_host(content: object, key: str) -> None:
    """Raise Wrong when a tensor of a checkpoint is not on the CPU."""
    if isinstance(content, torch.Tensor) and content.device.type != "cpu":
        raise Wrong(f"{key} of the checkpoint is on {content.device}")
    if isinstance(content, dict):
        for name, value in content.items():
            _check_on_host(value, f"{key}.{name}")


def _count(weights: dict[str, torch.Tensor]) -> str:
    return f"{sum(tensor.numel() for tensor in weights.values()):,} weights"
