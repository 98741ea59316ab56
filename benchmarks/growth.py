"""Growth with the length of a run: of watching, drawing, listing, logs, resuming and memory.

A run of the digits is trained for one epoch. Then copies of it are made longer: the lines, events,
curves, status and checkpoint of the further steps go through the functions with which a training
writes them, with numbers that are made up; each epoch of 20 steps is validated. Each measurement is
made of all lengths in turns, in CPU time, and the last column is what the longest takes to what the
shortest takes. To make ten million steps takes some minutes.

    python benchmarks/growth.py [--steps 1000 100000 10000000] [--rounds 5] [--write]
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from results import machine, table, write_section

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.event_records import event_of
from tui_trainer.runs.events import (
    Event,
    RunEnded,
    RunStarted,
    StepsTaken,
    ValidationEnded,
    to_dict,
)
from tui_trainer.runs.files import Files
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.journal import Journal, encode
from tui_trainer.runs.manifests import checkpoint_files
from tui_trainer.runs.recording import Recording, write_recording
from tui_trainer.runs.status import read_status, write_status
from tui_trainer.runs.tail import records_from
from tui_trainer.sessions.run_reader import RunReader, read_run
from tui_trainer.sessions.watcher import logged_events
from tui_trainer.training.checkpoints import choose_checkpoint, write_checkpoint
from tui_trainer.training.progress import Progress
from tui_trainer.training.recorder import is_logged, line_of
from tui_trainer.training.step_buffer import MeasuredStep, StepRecord
from tui_trainer.ui.plots.figure import draw
from tui_trainer.ui.plots.frame import rows
from tui_trainer.ui.plots.panels import View, panels_of
from tui_trainer.ui.plots.picture import picture

TITLE = "What grows with the length of a run (`growth.py`)"
STEPS_PER_S = 500.0
AT_ONCE = 200
"""Steps whose numbers are reported together; ten epochs."""
SIZE = (60, 16)


def program(folder: Path, *words: str) -> float:
    """Run the command line, and return the seconds of CPU time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "tui_trainer", *words],
        env={**os.environ, "TUI_TRAINER_RUNS_DIR": str(folder)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trained(folder: Path) -> RunDirectory:
    """Train one epoch."""
    words = ("train", "digits-mlp", "training.epochs=1", "--no-ui", "--name", "one")
    program(folder, *words)
    return RunDirectory(next(folder.iterdir()))


class LongRun:
    """Makes a run longer."""

    def __init__(self, run: RunDirectory, steps: int) -> None:
        self.run = run
        records, _ = records_from(run.events, 0)
        events = [event for record in records if (event := event_of(record)) is not None]
        (started,) = [event for event in events if isinstance(event, RunStarted)]
        (self._ended,) = [event for event in events if isinstance(event, RunEnded)]
        status = read_status(run.status)
        assert status is not None
        self._view = status
        self._per_epoch = started.steps_per_epoch
        self._metrics = dict(next(e for e in events if isinstance(e, ValidationEnded)).metrics)
        self._steps = steps - steps % self._per_epoch
        run.events.unlink()
        run.metrics.unlink()
        self._events = Journal(run.events)
        self._lines = Journal(run.metrics)
        self._recording = Recording()
        self._put([replace(started, total_steps=self._steps)])

    def grow(self) -> None:
        """Write all steps, the last status, the curves and a checkpoint of the last step."""
        for first in range(1, self._steps + 1, AT_ONCE):
            last = min(first + AT_ONCE - 1, self._steps)
            steps = [self._step(number) for number in range(first, last + 1)]
            self._put(list(self._reported(steps)))
        elapsed_s, epoch = self._steps / STEPS_PER_S, self._steps // self._per_epoch
        self._save(elapsed_s, epoch)
        end = replace(
            self._ended,
            step=self._steps,
            elapsed_s=elapsed_s,
            epoch=epoch,
            run_dir=str(self.run.path),
        )
        self._put([end])
        self._view.name, self._view.run_dir = self.run.path.name, str(self.run.path)
        write_recording(self.run, self._recording)
        write_status(self.run.status, self._view)

    def _step(self, number: int) -> MeasuredStep:
        record = StepRecord(
            step=number,
            epoch=(number - 1) // self._per_epoch + 1,
            batch=(number - 1) % self._per_epoch,
            lr=1e-3,
            elapsed_s=number / STEPS_PER_S,
        )
        noise = (number * 2654435761 % 2**32) / 2**32
        return MeasuredStep(record, (1 + noise) / math.log(number + 2), 0.1 + noise)

    def _reported(self, steps: Sequence[MeasuredStep]) -> Iterator[Event]:
        """Yield the events of steps and of the validations between them, and write the lines."""
        lines = [line_of(step, 32_000.0) for step in steps if is_logged(step.record.step, None)]
        by_step = {line["step"]: line for line in lines}
        newest = steps[-1].record
        yield StepsTaken(
            step=newest.step,
            epoch=newest.epoch,
            elapsed_s=newest.elapsed_s,
            losses=tuple(step.loss for step in steps),
            grad_norms=tuple(step.grad_norm for step in steps),
            lrs=tuple(step.record.lr for step in steps),
            samples_per_s=32_000.0,
            waiting_share=0.0,
        )
        for step in steps:
            if step.record.step % self._per_epoch:
                continue
            at = step.record
            metrics = {**self._metrics, "loss": step.loss}
            yield ValidationEnded(
                step=at.step,
                epoch=at.epoch,
                elapsed_s=at.elapsed_s,
                metrics=metrics,
                duration_s=0.001,
                improved=False,
                stale=at.epoch,
            )
            plain = {"step": at.step, "epoch": at.epoch, "elapsed_s": at.elapsed_s}
            more = {f"val/{name}": value for name, value in metrics.items()}
            by_step[at.step] = {**by_step.get(at.step, plain), **more}
        self._lines.append_bytes(encode([by_step[step] for step in sorted(by_step)]))

    def _put(self, events: Sequence[Event]) -> None:
        for event in events:
            self._view.apply(event)
        self._events.append([to_dict(event) for event in logged_events(events)])
        self._recording.add(self.run, events, self._events.length)

    def _save(self, elapsed_s: float, epoch: int) -> None:
        """Write the checkpoint of the trained run again, as one of the last step."""
        directory = self.run.checkpoints
        checkpoint, _ = choose_checkpoint(directory, "last", "")
        for name in checkpoint_files(directory):
            (directory / name).unlink()
        for manifest in directory.glob("*.json"):
            manifest.unlink()
        then = checkpoint.data.progress
        progress = Progress.from_dict(
            {
                **then.to_dict(),
                "step": self._steps,
                "epoch": epoch,
                "elapsed_s": elapsed_s,
                "validated_step": self._steps,
                "metrics_bytes": self._lines.length,
                "held_line": None,
            }
        )
        data = replace(checkpoint.data, progress=progress, best=checkpoint.data.state.measured)
        write_checkpoint(directory, data, saved_at="2026-01-01T00:00:00Z", files=Files())


def made(base: RunDirectory, folder: Path, steps: int) -> RunDirectory:
    """Return a copy of a run, in a folder of its own, that is so many steps long."""
    path = folder / f"{steps}" / f"run-{steps}"
    shutil.copytree(base.path, path)
    run = RunDirectory(path)
    LongRun(run, steps).grow()
    return run


def cpu_ms(work: Callable[[], object]) -> float:
    begin_s = time.thread_time()
    work()
    return (time.thread_time() - begin_s) * 1e3


def redrawn(run: RunDirectory) -> float:
    """Milliseconds to draw the plots of the run screen once."""
    history = read_run(run).tracked.history
    panels = panels_of(history.names)[:5]

    def work() -> None:
        for spec in panels:
            shown = picture(history, spec, View(), *SIZE, "braille")
            assert shown is not None
            rows(shown.drawing, draw(shown.drawing), shown.around, *SIZE)

    work()
    return cpu_ms(work)


def looked_at(run: RunDirectory) -> float:
    """Milliseconds of a viewer's look when nothing is new."""
    reader = RunReader(run)
    reader.poll()
    return cpu_ms(lambda: [reader.poll() for _ in range(20)]) / 20


PEAK = """
import re, sys
from pathlib import Path
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.sessions.run_reader import read_run
read_run(RunDirectory(Path(sys.argv[1])))
print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def memory_mb(run: RunDirectory) -> float:
    """The peak of a process that shows the run (Linux)."""
    command = [sys.executable, "-c", PEAK, str(run.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def resumed(run: RunDirectory) -> float:
    """Seconds to resume a copy of the run for one step."""
    copy = run.path.with_name("copy")
    shutil.copytree(run.path, copy)
    try:
        step = choose_step(run) + 1
        limits = (f"training.max_steps={step}", "training.epochs=null")
        return program(copy.parent, "resume", "copy", *limits, "--no-ui")
    finally:
        shutil.rmtree(copy)


def choose_step(run: RunDirectory) -> int:
    status = read_status(run.status)
    assert status is not None
    return status.step


MEASURED: dict[str, Callable[[RunDirectory], float]] = {
    "attach: read the run, ms": lambda run: cpu_ms(lambda: read_run(run)),
    "a look when nothing is new, ms": looked_at,
    "redraw: five plots, ms": redrawn,
    "list: its folder, ms": lambda run: cpu_ms(lambda: list_runs(run.path.parent)),
    "`logs -n 20`, the whole command, s": lambda run: program(
        run.path.parent, "logs", run.path.name, "-n", "20"
    ),
    "`resume` for a step, the whole command, s": resumed,
    "memory of a process that shows it, MB": memory_mb,
    "history.bin, kB": lambda run: run.history.stat().st_size / 1e3,
    "events.jsonl, MB": lambda run: run.events.stat().st_size / 1e6,
    "metrics.jsonl, MB": lambda run: run.metrics.stat().st_size / 1e6,
}


def measure(runs: Sequence[RunDirectory], rounds: int) -> Iterator[tuple[str, ...]]:
    for name, work in MEASURED.items():
        values: list[list[float]] = [[] for _ in runs]
        for round_ in range(rounds + 1):
            for own, run in zip(values, runs, strict=True):
                value = work(run)
                # The first round warms up what is read and imported once.
                if round_:
                    own.append(value)
        medians = [statistics.median(own) for own in values]
        shown = [f"{value:,.3g}" if value < 1000 else f"{value:,.0f}" for value in medians]
        yield name, *shown, f"{medians[-1] / medians[0]:.2f}"
        print(name, *shown, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 100_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = trained(folder / "base")
        runs = []
        for steps in arguments.steps:
            begin_s = time.monotonic()
            runs.append(made(base, folder, steps))
            print(f"{steps:,} steps made in {time.monotonic() - begin_s:.0f} s", file=sys.stderr)
        header = ("CPU time", *(f"{steps:,} steps" for steps in arguments.steps), "ratio")
        text = f"{machine()} Medians of {arguments.rounds} rounds.\n\n"
        text += table(header, measure(runs, arguments.rounds))
    print(text)
    if arguments.write:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
