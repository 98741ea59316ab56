"""The parts of the GPU check that try settings: optimizers, number formats, compiled models."""

from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path

from gpu_findings import Findings, Wrong, needs_a_gpu
from gpu_processes import PROGRAM, last_line, log, run_command, side_by_side
from gpu_runs import (
    EACH_STEP,
    KINDS,
    QUIET,
    SMALL_TEXT,
    Run,
    differences,
    experiment,
    place,
    summed_up,
)

from tui_trainer.runs.events import Notice


def options(device: str, work: Path) -> int:
    """Settings and optimizers with code of their own on a GPU, each for a few steps."""
    findings = Findings()
    digits, cnn, text = ("digits-mlp",), ("digits-cnn",), ("stdlib-gpt", SMALL_TEXT)
    wanted: dict[str, tuple[str, ...]] = {
        # cuBLAS is asked at its first use whether it is deterministic, so these come first.
        "resnet, deterministic": (*cnn, "model=resnet", "training.deterministic=true"),
        "more metrics, deterministic": (
            *digits,
            "training.metrics=[f1, auroc, top3_accuracy]",
            "training.deterministic=true",
        ),
        "channels last and a mean": (*cnn, "training.channels_last=true", "training.ema_decay=0.9"),
        "resnet, channels last": (*cnn, "model=resnet", "training.channels_last=true"),
        "mixup, noise, clipping": (
            *digits,
            "dataset.mixup=0.4",
            "dataset.noise=0.1",
            "training.grad_clip_value=0.1",
        ),
        "flip, crop, cutout": (
            *cnn,
            "dataset.flip_horizontal=true",
            "dataset.crop_padding=1",
            "dataset.cutout_pixels=2",
        ),
        "more metrics": (*digits, "training.metrics=[f1, auroc, top3_accuracy]"),
        "gru with a mean": ("vowels-gru", "training.ema_decay=0.9"),
        "texts by convolutions": ("stdlib-packages",),
        "lstm with a carry": ("stdlib-lstm", SMALL_TEXT),
        "blocks computed again": (*text, "training.gradient_checkpointing=true"),
        "attention dropout, rotary": (
            *text,
            "model.attention_dropout=0.1",
            "model.position=rotary",
        ),
        "a focal loss, balanced": (*digits, "loss={type: focal, class_weights: balanced}"),
        "a regression": ("auto-mpg-mlp", "loss={type: huber}"),
    }
    for name in ("sgd", "adam", "rmsprop", "adagrad", "nadam", "radam", "adafactor", "muon"):
        wanted[f"optimizer {name}"] = (*digits, f"optimizer={name}")
    if device == "cpu":
        wanted = {name: wanted[name] for name in ("channels last and a mean", "optimizer muon")}
    _compare_deliveries(findings, device, work)
    for number, (name, (preset, *overrides)) in enumerate(wanted.items()):
        with findings.about(name) as figures:
            length = ("training.max_steps=25", "training.validate_every_steps=12")
            run = Run.new(work / str(number), experiment(preset, *overrides, *QUIET, *length))
            figures.append(_finished(run, device))
    return findings.end()


def _compare_deliveries(findings: Findings, device: str, work: Path) -> None:
    """Batches out of memory of the device, copied ahead, and of workers must be the same bits."""
    losses: dict[str, list[float]] = {}
    ways = {
        "on the device": (),
        "copied ahead": ("loader.device_resident=never",),
        "of two workers": ("loader.num_workers=2",),
    }
    for name, overrides in ways.items():
        with findings.about(f"batches {name}") as figures:
            always = ("training.max_steps=25", "training.deterministic=true", *EACH_STEP, *QUIET)
            wanted = experiment("digits-cnn", *overrides, *always)
            run = Run.new(work / name.replace(" ", "-"), wanted)
            figures.append(_finished(run, device))
            losses[name] = run.losses
            if found := differences(losses["on the device"], run.losses, "loss"):
                raise Wrong(f"not those on the device: {summed_up(found)}")


def precisions(device: str, work: Path) -> int:
    """The number formats on each kind of model against fp32: losses finite and close to it."""
    findings = Findings()
    steps = 60 if device == "cuda" else 12
    formats = ("fp32", "tf32", "bf16", "fp16") if device == "cuda" else ("fp32", "bf16", "fp16")
    kinds = {name: KINDS[name] for name in (KINDS if device == "cuda" else ("mlp", "gru"))}
    for kind, (preset, *overrides) in kinds.items():
        base = math.nan
        for number_format in formats:
            with findings.about(f"{kind} {number_format}") as figures:
                precision = f"training.precision={number_format}"
                length = (f"training.max_steps={steps}", "training.validate_every_steps=30")
                wanted = experiment(preset, *overrides, precision, *length, *EACH_STEP, *QUIET)
                run = Run.new(work / f"{kind}-{number_format}", wanted)
                figures.append(_finished(run, device))
                last = sum(run.losses[-10:]) / 10
                base = last if number_format == "fp32" else base
                figures.append(f"loss {last:.4f}")
                notes = [event.text for event in run.events if isinstance(event, Notice)]
                if overflowed := [note for note in notes if "overflow" in note]:
                    figures.append(f"{len(overflowed)} notes of overflows")
                if not last < 1.5 * base + 0.1:
                    raise Wrong(f"loss {last:.4f}, and {base:.4f} in fp32")
    with findings.about("deterministic after the others, in one process") as figures:
        deterministic = ("training.deterministic=true", "training.max_steps=5")
        run = Run.new(work / "deterministic", experiment("digits-mlp", *deterministic, *QUIET))
        figures.append(_finished(run, device))
    return findings.end(f"{steps} steps each")


def compile_(device: str, work: Path) -> int:
    """`training.compile` on each kind, side by side: losses as without, and what a step takes."""
    findings = Findings()
    if device == "cpu" and not shutil.which("g++"):
        return needs_a_gpu("a C++ compiler")
    kinds = ["mlp", "mlp+step"]
    if device == "cuda":
        kinds += ["cnn", "cnn+step", "gru", "gpt", "gpt+step", "lstm"]
    # Each of the processes would start as many of its own as there are CPUs.
    environment = {"TORCHINDUCTOR_COMPILE_THREADS": "3"}

    def compiled(kind: str) -> tuple[int, str]:
        names = ("--kind", kind, "--role", "compile", "--device", device, "--runs", str(work))
        command = [sys.executable, "-u", PROGRAM, "compile", *names]
        limit_s = 85 if device == "cuda" else 150
        return run_command(command, limit_s=limit_s, environment=environment)

    for kind, (code, text) in side_by_side(compiled, kinds, most=8):
        log(kind, text)
        with findings.about(kind) as figures:
            figures += [line[2:] for line in text.splitlines() if line.startswith("= ")]
            if code:
                raise Wrong("; ".join([*figures, last_line(text)]))
    return findings.end()


def _finished(run: Run, device: str) -> str:
    """Train a run to its end; returns its metrics of the test."""
    outcome = run.start(place(device))
    if outcome.state != "finished" or outcome.test is None:
        raise Wrong(f"{outcome.state}: {outcome.reason}")
    if not all(map(math.isfinite, run.losses)):
        raise Wrong("a loss is not finite")
    shown = [f"{name} {value:.4g}" for name, value in list(outcome.test.items())[:5]]
    return "test " + ", ".join(shown)
