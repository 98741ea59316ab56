"""On a GPU: the same training, exact resume in deterministic mode, memory given back in a pause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.training.harness import Run, at_step, same, small_experiment, write_images
from tui_trainer.runs.commands import Command, Pause, Resume, Stop
from tui_trainer.runs.events import Event, StateChanged
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.task import Task, build

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use"),
]


class CudaRun(Run):
    def task(self, fitted: dict[str, object] | None = None) -> Task:
        return build(self.experiment, SingleRank(), torch.device("cuda"), fitted)


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
