"""On a GPU: the same training, exact resume in deterministic mode, memory given back in a pause.

The same for steps that are recorded as graphs; and what a step must not do, which is wait.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, at_step, both, same, small_experiment, write_images
from tui_trainer.runs.commands import Command, Pause, Resume, Set, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.events import Event, StateChanged
from tui_trainer.runs.files import Files
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.training.start import begin, load_state, process_settings
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.training import Training
from tui_trainer.training.writer import Writer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use"),
]


class CudaRun(Run):
    device = torch.device("cuda")


@pytest.fixture
def run(tmp_path: Path) -> CudaRun:
    data = write_images(tmp_path / "images.csv")
    experiment = small_experiment(data, training={"deterministic": True})
    made = Run.new(tmp_path / "run", experiment)
    return CudaRun(made.experiment, made.directory, made.events)


def another(run: CudaRun, folder: Path) -> CudaRun:
    made = Run.new(folder, run.experiment)
    return CudaRun(made.experiment, made.directory, made.events)


@pytest.mark.parametrize("step", [1, 3, 4, 7, 11])
def test_a_cut_run_equals_the_uncut_one(run: CudaRun, tmp_path: Path, step: int) -> None:
    uncut = another(run, tmp_path / "uncut")
    uncut.start()
    run.start(at_step(step, Stop()))
    run.resume()
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_a_pause_that_gives_memory_back_changes_nothing(run: CudaRun, tmp_path: Path) -> None:
    uncut = another(run, tmp_path / "uncut")
    uncut.start()

    def go_on(event: Event) -> Sequence[Command]:
        paused = isinstance(event, StateChanged) and event.state == "paused"
        return (Resume(),) if paused else at_step_5(event)

    at_step_5 = at_step(5, Pause(offload=True))
    run.start(go_on)
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


def test_a_checkpoint_of_the_gpu_goes_on_on_the_cpu(run: CudaRun) -> None:
    run.start(at_step(5, Stop()))
    on_cpu = Run(run.experiment, run.directory, [])
    assert on_cpu.resume().state == "finished"


def with_graphs(run: CudaRun, folder: Path, *, graphs: bool = True, **sections: Any) -> CudaRun:
    """The run of a model with statistics, dropout and a mean; each epoch has a smaller last batch.

    The mean and the dropout are what a graph would get wrong first.
    """
    training = {
        "deterministic": True,
        "grad_accumulation": 1,
        "ema_decay": 0.9,
        "cuda_graphs": graphs,
        **sections.pop("training", {}),
    }
    experiment = small_experiment(
        Path(run.experiment.dataset.path),
        model={"type": "cnn", "channels": [4, 4], "dropout": 0.2},
        training=training,
        **sections,
    )
    return another(CudaRun(experiment, run.directory, []), folder)


def test_recorded_steps_end_close_to_eager_ones(run: CudaRun, tmp_path: Path) -> None:
    graphed = with_graphs(run, tmp_path / "graphed")
    eager = with_graphs(run, tmp_path / "eager", graphs=False)
    assert graphed.start().step == eager.start().step == 20
    weights = graphed.final()["model"]
    for name, wanted in eager.final()["model"].items():
        torch.testing.assert_close(weights[name], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("step", [1, 4, 5, 9])
def test_a_cut_run_of_recorded_steps_equals_the_uncut_one(
    run: CudaRun, tmp_path: Path, step: int
) -> None:
    edit = Set(key="optimizer.weight_decay", value=0.1)
    uncut = with_graphs(run, tmp_path / "uncut")
    uncut.start(at_step(7, edit))
    cut = with_graphs(run, tmp_path / "cut")
    cut.start(both(at_step(step, Stop()), at_step(7, edit)))
    cut.resume(at_step(7, edit) if step < 7 else lambda event: ())
    assert cut.lines() == uncut.lines()
    assert same(cut.final(), uncut.final())


def test_recorded_steps_go_on_after_a_pause_that_gives_memory_back(
    run: CudaRun, tmp_path: Path
) -> None:
    uncut = with_graphs(run, tmp_path / "uncut")
    uncut.start()
    at_step_6 = at_step(6, Pause(offload=True))

    def go_on(event: Event) -> Sequence[Command]:
        paused = isinstance(event, StateChanged) and event.state == "paused"
        return (Resume(),) if paused else at_step_6(event)

    paused = with_graphs(run, tmp_path / "paused")
    paused.start(go_on)
    assert paused.lines() == uncut.lines()
    assert same(paused.final(), uncut.final())


def test_saves_beside_the_steps_change_nothing(run: CudaRun, tmp_path: Path) -> None:
    quiet = with_graphs(run, tmp_path / "quiet", graphs=False)
    saving = with_graphs(run, tmp_path / "saving", graphs=False, checkpoint={"every_steps": 1})
    quiet.start()
    saving.start()
    assert len(read_manifests(saving.directory.checkpoints)) == 20
    assert same(saving.final(), quiet.final())


def test_garbage_is_collected_between_steps_alone(run: CudaRun) -> None:
    seen = set()

    def clock() -> float:
        # Asked in each step, and between them.
        seen.add(gc.isenabled())
        return time.monotonic()

    run.start(clock=clock)
    assert seen == {True, False}
    assert gc.isenabled()


@pytest.mark.parametrize("form", ["eager", "graphs", "copied ahead"])
def test_no_step_and_no_copy_of_the_state_waits_for_the_device(
    run: CudaRun, tmp_path: Path, form: str
) -> None:
    resident = "never" if form == "copied ahead" else "always"
    loader = {"device_resident": resident}
    chosen = with_graphs(run, tmp_path / "chosen", graphs=form == "graphs", loader=loader)

    def without_waiting(training: Training) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            training.state.snapshot()
            for _ in range(7):
                training.stepper.take()
        finally:
            torch.cuda.set_sync_debug_mode("default")

    # More than an epoch before, in which a graph is recorded, which waits.
    drive(chosen, 7, without_waiting)


def drive(run: Run, steps: int, then: Callable[[Training], None]) -> None:
    """Take some steps without the borders between them, and then do something."""
    task, files, directory = run.task(), Files(), run.directory
    start, control = FromScratch(), Control()
    with (
        process_settings(task.experiment.training),
        task.feed.workers(),
        Writer(directory.checkpoints, Journal(directory.metrics, files), files) as writer,
    ):
        state = load_state(task, start)
        clock, emit = time.monotonic, run.events.append
        training = begin(task, start, state, control, emit, directory, writer, clock)
        for _ in range(steps):
            training.stepper.take()
        then(training)
