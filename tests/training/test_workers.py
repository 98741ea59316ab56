"""A run with workers equals the one without, cut anywhere; and a lost batch loses nothing."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.training.harness import (
    Run,
    at_step,
    both,
    edit_of_lr,
    same,
    small_experiment,
    write_images,
)
from tests.training.test_resume import STEPS
from tui_trainer.runs.commands import Pause, Resume, Set, Stop, Validate
from tui_trainer.runs.events import Event, StateChanged, StepsTaken

pytestmark = pytest.mark.processes

WORKERS = {"num_workers": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Run:
    """Without workers."""
    run = Run.new(tmp_path_factory.mktemp("uncut") / "run", small_experiment(data))
    run.start(edit_of_lr())
    return run


def assert_equal(run: Run, uncut: Run) -> None:
    assert run.lines() == uncut.lines()
    assert same(run.final(), uncut.final())


@pytest.mark.parametrize("step", [1, 5, 6, 8])
def test_fault_12_a_run_with_workers_cut_at_a_step_equals_the_one_without(
    tmp_path: Path, data: Path, uncut: Run, step: int
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, loader=WORKERS))
    run.start(both(edit_of_lr(), at_step(step, Stop())))
    weight_decay = at_step(9, Set(key="optimizer.weight_decay", value=0.1))
    rest = edit_of_lr() if step < 5 else weight_decay
    outcome = run.resume(rest)
    assert (outcome.state, outcome.step) == ("finished", STEPS)
    assert_equal(run, uncut)


def test_a_run_with_workers_can_be_paused_and_validated(
    tmp_path: Path, data: Path, uncut: Run
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, loader=WORKERS))

    def go_on(event: Event) -> tuple[Resume, ...]:
        paused = isinstance(event, StateChanged) and event.state == "paused"
        return (Resume(),) if paused else ()

    outcome = run.start(
        both(edit_of_lr(), go_on, at_step(2, Validate()), at_step(4, Pause(offload=True)))
    )
    assert outcome.state == "finished"
    assert_equal(run, uncut)


def test_fault_19_killed_workers_lose_nothing(tmp_path: Path, data: Path, uncut: Run) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, loader=WORKERS))

    def kill(event: Event) -> tuple[()]:
        if isinstance(event, StepsTaken) and event.step == 7:
            for worker in multiprocessing.active_children():
                worker.kill()
        return ()

    outcome = run.start(both(edit_of_lr(), kill))
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    assert "was killed by SIGKILL: out of memory?" in outcome.reason
    command = run.directory.command("resume")
    assert f"step {outcome.step} is saved; {command}" in outcome.reason
    assert 7 <= outcome.step <= 9
    weight_decay = at_step(9, Set(key="optimizer.weight_decay", value=0.1))
    run.resume(weight_decay if outcome.step < 9 else lambda event: ())
    assert_equal(run, uncut)


def test_fault_19_workers_killed_by_a_stop_are_no_error(
    tmp_path: Path, data: Path, uncut: Run
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, loader=WORKERS))

    def stop(event: Event) -> tuple[Stop, ...]:
        if isinstance(event, StepsTaken) and event.step == 4:
            for worker in multiprocessing.active_children():
                worker.terminate()
            return (Stop(signal=15),)
        return ()

    outcome = run.start(both(edit_of_lr(), stop))
    assert (outcome.state, outcome.exit_code, outcome.step) == ("stopped", 143, 4)
    run.resume(edit_of_lr())
    assert_equal(run, uncut)
