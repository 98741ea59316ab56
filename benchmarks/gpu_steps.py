"""What a step takes on a device, and how much of it the GPU stands idle; and compiled models.

Our `train` against the loop that everybody writes, in turns in one process, on the same model,
the same number format and batches that are on the device already, without augmentation. Ours reads
losses and reports them meanwhile as it always does; a round of it is timed between two of its own
reports, each of which has waited for the device. The plain loop has torch's default AdamW for the
device, clips where ours does, and is timed between two `torch.cuda.synchronize()`; once with
`.item()` at every step, once without.

The idle share is 1 - (time in which at least one kernel, copy or fill ran) / (wall time), per step.
The first is the union of the intervals that torch.profiler recorded over some steps; the wall time
is that of the rounds without a profiler, because recording makes the host slower and leaves the
length of a kernel as it is.
"""

from __future__ import annotations

import math
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from gpu_runs import EACH_STEP, KINDS, QUIET, SMALL_TEXT, Run, experiment, place
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tui_trainer.runs.commands import Command, Stop
from tui_trainer.runs.events import Event, StepsTaken
from tui_trainer.training.forward import MIXED
from tui_trainer.training.start import process_settings
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.task import Task

ENDLESS = (
    "training.epochs=1000000",
    "training.max_steps=null",
    "training.validate_every_steps=1000000000",
    "training.drop_last=true",
    "schedule=constant",
    *QUIET,
)
PLAIN_DIGITS = ("dataset.shift_pixels=0", "dataset.rotate_degrees=0", "model.dropout=0")
GPT_OF_10M = (
    SMALL_TEXT,
    "dataset.sequence_length=256",
    "model.layers=6",
    "model.width=384",
    "model.heads=6",
    "training.batch_size=64",
)
GPT_FOR_A_CPU = (SMALL_TEXT, "dataset.sequence_length=64", "training.batch_size=8")


@dataclass
class Timed:
    """Microseconds per step of each round, and of kernels alone where a GPU tells."""

    rounds_us: list[float] = field(default_factory=list)
    busy_us: float | None = None
    why_unknown: str = ""

    @property
    def step_us(self) -> float:
        return statistics.median(self.rounds_us)

    @property
    def idle(self) -> str:
        if self.busy_us is None:
            return self.why_unknown
        return f"{max(0.0, 1 - self.busy_us / self.step_us):.0%}"


def steps(device: str, work: Path) -> int:
    """Step time and idle share of three models in the formats that suit them."""
    gpt = GPT_OF_10M if device == "cuda" else GPT_FOR_A_CPU
    wanted: dict[str, tuple[str, ...]] = {
        "digits-mlp": ("digits-mlp", *PLAIN_DIGITS),
        "digits-cnn": ("digits-cnn", *PLAIN_DIGITS),
    }
    for number_format in ("bf16", "tf32", "fp32") if device == "cuda" else ("fp32",):
        precision = f"training.precision={number_format}"
        wanted[f"gpt {number_format}"] = ("stdlib-gpt", *gpt, precision)
    rounds, seconds = (3, 0.6) if device == "cuda" else (2, 0.4)
    if device == "cpu":
        torch.set_num_threads(1)
    titles = ("us per step:", "ours", "plain", ".item()", "to plain", "to .item()", "idle: ours")
    print("* " + " ".join(f"{title:>11}" for title in (*titles, "plain", ".item()")))
    ratios, wrong = [], 0
    for name, (preset, *overrides) in wanted.items():
        run = Run.new(work / name.replace(" ", "-"), experiment(preset, *overrides, *ENDLESS))
        try:
            parameters, ways = compare(run, device, rounds, seconds)
        except Exception as error:
            wrong = 1
            traceback.print_exc()
            print(f"* {name}: FAILED: {type(error).__name__}: {str(error)[:240]}")
            continue
        ours, plain, reading = ways["ours"], ways["plain"], ways["reading"]
        ratios.append(f"{name} {ours.step_us / plain.step_us:.2f}")
        cells = [f"{timed.step_us:>11.0f}" for timed in (ours, plain, reading)]
        cells += [f"{ours.step_us / base.step_us:>11.2f}" for base in (plain, reading)]
        cells += [f"{timed.idle:>11}" for timed in (ours, plain, reading)]
        print(f"* {name:>11.11} {' '.join(cells)}  {parameters:,} parameters", flush=True)
    print(f"= ours to plain: {', '.join(ratios)}")
    return wrong


def compare(
    run: Run,
    device: str,
    rounds: int,
    seconds: float,
    other: type[PlainLoop] | None = None,
) -> tuple[int, dict[str, Timed]]:
    """Time ours, and another loop with and without reading its losses; returns the parameters too.

    The other loop is the one that everybody writes, unless another is given.
    """
    task = run.task(place(device))
    parameters = sum(parameter.numel() for parameter in task.model.parameters())
    batches = [(batch["input"], batch["target"]) for batch in _some(task, 20)]
    ways = {name: Timed() for name in ("ours", "plain", "reading")}
    plain = (other or PlainLoop)(task, batches)
    for round_ in range(rounds + 1):
        ours_us = _time_ours(run, task, seconds)
        count = max(4, math.ceil(seconds * 1e6 / ours_us))
        times = {
            "ours": ours_us,
            "plain": plain.time_us(count, reading=False),
            "reading": plain.time_us(count, reading=True),
        }
        # The first round warms up what is loaded and allocated once.
        for name, step_us in times.items() if round_ else ():
            ways[name].rounds_us.append(step_us)
    count = max(4, min(50, math.ceil(0.2e6 / ways["ours"].step_us)))
    busy: dict[str, Callable[[], float]] = {
        "ours": lambda: _busy_of_ours(run, _often_reporting(task), count),
        "plain": lambda: plain.busy_us(count, reading=False),
        "reading": lambda: plain.busy_us(count, reading=True),
    }
    for name, measure in busy.items():
        if device == "cpu":
            ways[name].why_unknown = "needs a GPU"
            continue
        try:
            ways[name].busy_us = measure()
        except Exception as error:
            print(f"* the profiler: {type(error).__name__}: {str(error)[:200]}")
            ways[name].why_unknown = "unknown"
    return parameters, ways


def _some(task: Task, most: int) -> Iterator[Any]:
    """The first full batches of an epoch."""
    size = task.experiment.training.batch_size
    for _, batch in zip(range(most), task.batches.epoch(0), strict=False):
        if len(batch["input"]) == size:
            yield batch


def _time_ours(run: Run, task: Task, seconds: float) -> float:
    """Microseconds per step of `train`, between its second report and one `seconds` later."""
    seen: list[tuple[float, int]] = []

    def react(event: Event) -> Sequence[Command]:
        if not isinstance(event, StepsTaken):
            return ()
        seen.append((time.perf_counter(), event.step))
        is_enough = len(seen) > 2 and seen[-1][0] - seen[1][0] >= seconds
        return (Stop(save=False),) if is_enough else ()

    run.train(task, FromScratch(), react)
    # A command is obeyed after the report that it answers, and another report may follow.
    begin, end = seen[1], next(one for one in seen[2:] if one[0] - seen[1][0] >= seconds)
    return (end[0] - begin[0]) / (end[1] - begin[1]) * 1e6


def _often_reporting(task: Task) -> Task:
    """The same task with reports close together, so that few steps lie between two of them."""
    often = task.experiment.logging.model_copy(update={"every_seconds": 0.02})
    return replace(task, experiment=replace(task.experiment, logging=often))


def _busy_of_ours(run: Run, task: Task, count: int) -> float:
    """Microseconds per step in which the GPU did something, of some steps of `train`."""
    recorder = Recorder()
    begun: list[int] = []
    ended: list[int] = []

    def react(event: Event) -> Sequence[Command]:
        if not isinstance(event, StepsTaken) or ended:
            return ()
        if not begun:
            begun.append(event.step)
            recorder.start()
        elif event.step - begun[0] >= count:
            recorder.stop()
            ended.append(event.step)
            return (Stop(save=False),)
        return ()

    run.train(task, FromScratch(), react)
    return recorder.busy_us() / (ended[0] - begun[0])


class PlainLoop:
    """The loop that everybody writes, on the model of a task."""

    def __init__(self, task: Task, batches: list[tuple[Tensor, Tensor]]) -> None:
        training = task.experiment.training
        self._task = task
        self._batches = batches
        self._model: nn.Module = deepcopy(task.model)
        self._run: Callable[[Tensor], Tensor] = self._model
        self._optimizer = torch.optim.AdamW(self._model.parameters(), lr=1e-3)
        self._clip = training.grad_clip_norm
        self._dtype = MIXED.get(training.precision)

    def time_us(self, count: int, *, reading: bool) -> float:
        """Microseconds per step over `count` steps."""
        with process_settings(self._task.experiment.training):
            self._take(3, reading=reading)
            _synchronize(self._task.device)
            begin_s = time.perf_counter()
            self._take(count, reading=reading)
            _synchronize(self._task.device)
            return (time.perf_counter() - begin_s) / count * 1e6

    def busy_us(self, count: int, *, reading: bool) -> float:
        """Microseconds per step in which the GPU did something."""
        recorder = Recorder()
        with process_settings(self._task.experiment.training):
            self._take(3, reading=reading)
            recorder.start()
            self._take(count, reading=reading)
            recorder.stop()
        return recorder.busy_us() / count

    def _take(self, count: int, *, reading: bool) -> None:
        optimizer = self._optimizer
        for step in range(count):
            inputs, targets = self._batches[step % len(self._batches)]
            optimizer.zero_grad()
            with self._autocast():
                outputs = self._run(inputs)
                loss = F.cross_entropy(outputs.flatten(0, -2), targets.flatten())
            loss.backward()  # type: ignore[no-untyped-call]
            if self._clip is not None:
                nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
            optimizer.step()
            if reading:
                loss.item()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._task.device.type, dtype=self._dtype)


class Recorder:
    """Records the work of the GPU from `start` to `stop`, with torch.profiler."""

    def __init__(self) -> None:
        self._profile = profile(activities=[ProfilerActivity.CUDA])

    def start(self) -> None:
        torch.cuda.synchronize()
        self._profile.start()

    def stop(self) -> None:
        torch.cuda.synchronize()
        self._profile.stop()

    def busy_us(self) -> float:
        """Microseconds in which at least one kernel, copy or fill ran.

        Raises:
            RuntimeError: the profiler saw none.
        """
        spans = sorted(
            (event.time_range.start, event.time_range.end)
            for event in self._profile.events() or ()  # type: ignore[no-untyped-call]
            if str(event.device_type).endswith("CUDA") and _is_work(event)
        )
        if not spans:
            raise RuntimeError("it recorded no kernel")
        busy, until = 0.0, -math.inf
        for start, end in spans:
            busy += max(0.0, end - max(start, until))
            until = max(until, end)
        return busy


def _is_work(event: Any) -> bool:
    """Whether an event is work of the GPU, and not a range of names around it."""
    named = ("Optimizer.", "ProfilerStep", "## ", "Activity Buffer", "Context Sync")
    return not getattr(event, "is_user_annotation", False) and not event.name.startswith(named)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def compile_one(kind: str, device: str, work: Path) -> int:
    """Train one kind compiled, to its end, and as it is; prints the time of a step in both.

    `KIND+step` compiles its step, and `KIND` its model.
    """
    name, _, setting = kind.partition("+")
    preset, *overrides = KINDS[name]
    count = 60 if device == "cuda" else 30
    length = (f"training.max_steps={count}", f"training.validate_every_steps={count}")
    losses: dict[str, list[float]] = {}
    rows: list[str] = []
    for name, value in (("eager", "false"), ("compiled", setting or "true")):
        wanted = experiment(
            preset, *overrides, *length, *EACH_STEP, *QUIET, f"training.compile={value}"
        )
        run = Run.new(work / f"{kind}-{name}", wanted)
        reported: list[float] = []

        def react(event: Event, reported: list[float] = reported) -> Sequence[Command]:
            if isinstance(event, StepsTaken):
                reported.append(time.perf_counter())
            return ()

        begin_s = time.perf_counter()
        outcome = run.start(place(device), react)
        if outcome.state != "finished":
            print(f"{name}: {outcome.state}: {outcome.reason}\n{outcome.details}")
            return 1
        losses[name] = run.losses
        steps_us = [(b - a) * 1e6 for a, b in pairwise(reported)]
        rows.append(
            f"{name} {statistics.median(steps_us[-20:]):.0f} us per step, first after "
            f"{reported[0] - begin_s:.1f} s, all {time.perf_counter() - begin_s:.1f} s"
        )
        print(f"= {rows[-1]}", flush=True)
    pairs = list(zip(losses["eager"], losses["compiled"], strict=True))
    print(f"= first losses {pairs[0][0]:.5f} and {pairs[0][1]:.5f}, last {pairs[-1]}")
    if not math.isclose(*pairs[0], rel_tol=3e-2) or not math.isfinite(pairs[-1][1]):
        print("the losses of the compiled model are others")
        return 1
    return 0
