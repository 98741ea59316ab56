"""The parts of the GPU check, each run in a process of its own by gpu_check.py.

A line that begins with `* ` is a finding and is shown at once, one with `= ` is the figures of the
part's row; all else goes to the log alone. A part that is wrong exits with 1, one that has nothing
to do on this device with 3.

    python benchmarks/gpu_parts.py PART --device cpu|cuda --runs FOLDER
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import gpu_goals
import gpu_graphs
import gpu_steps
import numpy as np
import torch
from gpu_findings import Findings, Wrong, in_a_line, needs_a_gpu
from gpu_runs import (
    EACH_STEP,
    KINDS,
    QUIET,
    SMALL_TEXT,
    Run,
    differences,
    experiment,
    place,
    stop_at,
    summed_up,
)

from tui_trainer.runs.commands import Command, Pause, Resume
from tui_trainer.runs.events import Event, Notice, StateChanged, StepsTaken
from tui_trainer.training.evaluation import evaluate

ROOT = Path(__file__).resolve().parents[1]
MB = 2**20


def main() -> int:
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder of what is trained")
    parser.add_argument("--kind", default="", help="of what a part does in several processes")
    parser.add_argument("--role", default="", help="what of it this process does")
    arguments = parser.parse_args()
    if arguments.role == "compile":
        return gpu_steps.compile_one(arguments.kind, arguments.device, arguments.runs)
    if arguments.role:
        return _train_role(arguments.role, arguments.device, arguments.runs)
    work = arguments.runs / arguments.part
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    part: Callable[[str, Path], int] = PARTS[arguments.part]
    return part(arguments.device, work)


def devices(device: str, work: Path) -> int:
    """Print what `doctor` says of the machine, and which device `auto` takes."""
    code, text = _command("doctor", limit_s=30)
    print(text)
    wanted = ("gpus", "torch ", "cuda:", "auto")
    for line in text.splitlines():
        if line.strip().startswith(wanted):
            print(f"* {line.strip()}")
    if code:
        print(f"= doctor ended with {code}")
        return 1
    chosen = next((line for line in text.splitlines() if line.strip().startswith("auto")), "")
    print(f"= {' '.join(chosen.split())}")
    return 0 if device in chosen else 1


def first(device: str, work: Path) -> int:
    """The real commands on digits-mlp: train, evaluate, resume on the CPU and back."""
    findings = Findings()
    runs = ["--runs-dir", str(work)]
    steps, more = (300, 340) if device == "cuda" else (40, 60)

    def say(name: str, *arguments: str) -> None:
        with findings.about(name) as figures:
            code, text = _command(*arguments, limit_s=40)
            _log(name, text)
            if code:
                raise Wrong(f"exit status {code}: {_last_line(text)}")
            if measured := [line for line in text.splitlines() if "loss" in line]:
                figures.append(measured[-1].strip()[:90])

    train = ("train", "digits-mlp", "--no-ui", "--name", "digits", *runs, "--device", device)
    say("train", *train, f"training.max_steps={steps}", "schedule=constant")
    if not findings.wrong:
        resume = ("resume", "digits", "--no-ui", *runs, "--device")
        say(f"evaluate on {device}", "evaluate", "digits", *runs, "--device", device)
        say("resume on the cpu", *resume, "cpu", f"training.max_steps={more}")
        say(f"resume on {device}", *resume, device, f"training.max_steps={more + 20}")
        say("evaluate on the cpu", "evaluate", "digits", *runs, "--device", "cpu")
    return findings.end()


def tests(device: str, work: Path) -> int:
    """The tests that are marked `gpu`."""
    if device == "cpu":
        return needs_a_gpu()
    marked = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if "mark.gpu" in path.read_text()
    ]
    # Whatever other plugins are installed there may warn, and a warning is an error here.
    plugins = ("-p", "pytest_timeout", "-p", "no:cacheprovider")
    options = ("-m", "gpu", "-q", "--tb=short", *plugins)
    command = [sys.executable, "-m", "pytest", *options, f"--basetemp={work / 'tmp'}", *marked]
    code, text = _output(command, limit_s=75, environment={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
    print(text)
    for line in text.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(f"* {line[:220]}")
    print(f"= {_last_line(text).strip('= ')}")
    return 1 if code else 0


DRAWN = {"digits-png-cnn": "digits_png.py", "emoji-resnet": "emoji.py"}
"""The programs beside the presets that make the pictures of some."""


def _drawn(findings: Findings, work: Path) -> dict[str, Path]:
    """Make the pictures of the presets that have some; says which cannot be made here."""
    made = {}
    for name, program in DRAWN.items():
        folder = work / "pictures" / name
        maker = str(ROOT / "presets" / "data" / program)
        code, text = _output([sys.executable, maker, str(folder)], limit_s=30)
        if code:
            findings.tell(f"{name}: left out, as its pictures cannot be made: {_last_line(text)}")
        else:
            made[name] = folder
    return made


def presets(device: str, work: Path) -> int:
    """Every experiment preset for a few hundred steps, through the real command."""
    names = sorted(path.stem for path in (ROOT / "presets" / "experiments").glob("*.yaml"))
    steps = 300 if device == "cuda" else 15
    findings = Findings()
    drawn = _drawn(findings, work)
    names = [name for name in names if name in drawn or name not in DRAWN]

    def train(name: str) -> tuple[int, str]:
        values = [f"training.max_steps={steps}"]
        if name in drawn:
            values.append(f"dataset.path={drawn[name]}")
        if device == "cpu" and name in ("stdlib-gpt", "stdlib-lstm"):
            values.append(SMALL_TEXT)
        runs = ("--runs-dir", str(work), "--name", name)
        return _command("train", name, "--no-ui", "--device", device, *runs, *values, limit_s=70)

    for name, (code, text) in _side_by_side(train, names):
        _log(name, text)
        with findings.about(name) as figures:
            found = [line for line in text.splitlines() if line.startswith(("test:", "finished"))]
            if code or len(found) < 2:
                raise Wrong(f"exit status {code}: {_last_line(text)}")
            status = next(work.glob(f"{name}-*/status.json"))
            where = json.loads(status.read_text())["device"]
            if not where.startswith(device):
                raise Wrong(f"it ran on {where}")
            figures += [line.split(":")[0] if "after" in line else line for line in found]
    return findings.end(f"{steps} steps each")


STEPS, CUT = 50, 31
"""How long such a run is, and where it is cut."""


def resume(device: str, work: Path) -> int:
    """Runs in deterministic mode that were cut in the middle of an epoch, resumed in another
    process, against uncut ones: metrics.jsonl and the last checkpoint bit for bit.
    """
    findings = Findings()
    roles = (("uncut", "cut"), ("resumed",))
    for together in roles:
        for role, (_, text) in _side_by_side(partial(_role, device=device, work=work), together):
            _log(role, text)
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
    return _output([sys.executable, "-u", __file__, *options], limit_s=60)


def _train_role(role: str, device: str, work: Path) -> int:
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
        command = [sys.executable, "-u", __file__, "compile", *names]
        limit_s = 85 if device == "cuda" else 150
        return _output(command, limit_s=limit_s, environment=environment)

    for kind, (code, text) in _side_by_side(compiled, kinds, most=8):
        _log(kind, text)
        with findings.about(kind) as figures:
            figures += [line[2:] for line in text.splitlines() if line.startswith("= ")]
            if code:
                raise Wrong("; ".join([*figures, _last_line(text)]))
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


def _check_on_host(content: object, key: str) -> None:
    """Raise Wrong when a tensor of a checkpoint is not on the CPU."""
    if isinstance(content, torch.Tensor) and content.device.type != "cpu":
        raise Wrong(f"{key} of the checkpoint is on {content.device}")
    if isinstance(content, dict):
        for name, value in content.items():
            _check_on_host(value, f"{key}.{name}")


def _count(weights: dict[str, torch.Tensor]) -> str:
    return f"{sum(tensor.numel() for tensor in weights.values()):,} weights"


def _side_by_side(
    work: Callable[[str], tuple[int, str]], names: Sequence[str], most: int = 4
) -> Iterator[tuple[str, tuple[int, str]]]:
    """Work that waits for processes, several at a time where there are CPUs for them."""
    at_once = max(1, min(most, (os.cpu_count() or 1) // 2))
    with ThreadPoolExecutor(at_once) as pool:
        yield from zip(names, pool.map(work, names), strict=True)


def _command(*arguments: str, limit_s: float) -> tuple[int, str]:
    """The exit status and the output of the real program."""
    return _output([sys.executable, "-m", "tui_trainer", *arguments], limit_s=limit_s)


def _output(
    command: Sequence[str], *, limit_s: float, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """The exit status and the output of a command; 124 when it was aborted at its limit."""
    # Not a pipe, which what the command has started would hold open after it.
    with tempfile.TemporaryFile("w+", errors="replace") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        over = ""
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            time.sleep(1)
            process.kill()
            over = f"\nkilled after {limit_s:.0f} s"
        code = process.wait()
        file.seek(0)
        text = f"$ {' '.join(command)}\n{file.read()}{over}"
    return 124 if over else code, text


def _log(name: str, text: str) -> None:
    """Put the output of another process into the log; indented, so that none of it is a finding."""
    print("\n".join([f"--- {name}", *(f"  {line}" for line in text.splitlines())]))


def _last_line(text: str) -> str:
    lines: Iterable[str] = (line.strip() for line in reversed(text.splitlines()))
    return next((line[:300] for line in lines if line), "no output")


PARTS: dict[str, Callable[[str, Path], int]] = {
    "devices": devices,
    "first": first,
    "tests": tests,
    "presets": presets,
    "resume": resume,
    "pause": pause,
    "crossing": crossing,
    "options": options,
    "precisions": precisions,
    "steps": gpu_steps.steps,
    "graphs": gpu_graphs.graphs,
    "saves": gpu_graphs.saves,
    "goals": gpu_goals.goals,
    "compile": compile_,
}

if __name__ == "__main__":
    sys.exit(main())
