"""The test at the end of a run: its state and progress, and how it is skipped and made up for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import Run, same, small_experiment, write_images
from tui_trainer.data.base.split import BatchLost
from tui_trainer.problems.batch import Batch
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop, Validate
from tui_trainer.runs.events import (
    CommandApplied,
    Event,
    MeasurementAdvanced,
    RunEnded,
    StateChanged,
    StepsTaken,
    ValidationEnded,
)
from tui_trainer.training.ranks import SingleRank
from tui_trainer.training.task import Task, build

CLOSING = {"max_steps": 11, "epochs": None}
"""The last step is not that of a validation, so there is one before the test."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def ticking() -> Callable[[], float]:
    """A clock that is a second later whenever it is asked."""
    seconds = itertools.count()
    return lambda: float(next(seconds))


def in_part(part: str, *commands: Command) -> Callable[[Event], Sequence[Command]]:
    """Send commands at the first report of a part of the test."""
    waiting = list(commands)

    def react(event: Event) -> Sequence[Command]:
        if isinstance(event, MeasurementAdvanced) and event.part == part and waiting:
            sent = tuple(waiting)
            waiting.clear()
            return sent
        return ()

    return react


def test_each_part_of_the_test_is_reported_with_how_far_it_is(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training=CLOSING))
    run.start(clock=ticking())
    (testing,) = [e for e in run.events if isinstance(e, StateChanged) and e.state == "testing"]
    told = "15 samples, then 2 baselines; the last step is validated first"
    assert (testing.step, testing.reason) == (11, told)
    reports = [e for e in run.events if isinstance(e, MeasurementAdvanced)]
    found: dict[str, list[Any]] = {}
    for report in reports:
        assert (report.step, report.unit) == (11, "samples")
        found.setdefault(report.part, []).append((report.done, report.total, report.following))
    before, after = "then the test and 2 baselines", "then 2 baselines"
    assert found == {
        "validation split": [(done, 9, before) for done in (0, 0, 3, 6)],
        "test split": [(done, 15, after) for done in (0, 0, 3, 6, 9, 12)],
        "baseline majority class": [(0, None, "then 1 baseline")],
        "baseline nearest neighbour": [(0, None, ""), (0, 15, "")],
    }
    assert run.events.index(testing) < run.events.index(reports[0])


@pytest.mark.parametrize(
    ("part", "skipped", "measured", "baselines"),
    [
        (
            "validation split",
            "the validation of the last step and the test skipped by you; "
            "{resume} makes up for them",
            False,
            set(),
        ),
        ("test split", "test skipped by you; {evaluate} measures it", False, set()),
        (
            "baseline nearest neighbour",
            "baseline nearest neighbour skipped by you; "
            "{evaluate} --baselines computes all of them",
            True,
            {"majority_class"},
        ),
    ],
)
def test_a_stop_skips_the_rest_of_the_test_and_the_run_is_finished(
    tmp_path: Path, data: Path, part: str, skipped: str, measured: bool, baselines: set[str]
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training=CLOSING))
    ended = run.start(in_part(part, Stop(signal=15)), clock=ticking())
    assert (ended.state, ended.exit_code) == ("finished", 0)
    commands = {word: run.directory.command(word) for word in ("resume", "evaluate")}
    assert ended.reason == f"11 steps are done; {skipped.format(**commands)}"
    assert (ended.test is not None, set(ended.baseline or {})) == (measured, baselines)
    assert run.lines()[-1]["step"] == 11


def test_a_stop_while_the_last_step_is_saved_skips_the_test(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    at_test = [Stop(save=False)]
    ended = run.start(
        lambda e: at_test if isinstance(e, StateChanged) and e.state == "testing" else ()
    )
    assert (ended.state, ended.step, ended.test) == ("finished", 12, None)
    assert run.final()["progress"]["step"] == 12


def test_everything_else_is_refused_and_the_test_goes_on(tmp_path: Path, data: Path) -> None:
    whole = Run.new(tmp_path / "whole", small_experiment(data))
    expected = whole.start()
    run = Run.new(tmp_path / "run", small_experiment(data))
    commands = (
        *(Pause(), Pause(offload=True), Resume(), Save(), Validate()),
        Set(key="optimizer.lr", value=1.0),
    )
    ended = run.start(in_part("test split", *commands), clock=ticking())
    answers = [e for e in run.events if isinstance(e, CommandApplied)]
    reason = (
        "the run is testing: its 12 steps are all done and saved; stop skips the rest of the test"
    )
    assert [a.refused for a in answers] == [reason] * len(commands)
    assert (ended.state, ended.test, ended.baseline) == (
        "finished",
        expected.test,
        expected.baseline,
    )
    assert same(run.final(), whole.final())


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize(
    "part", ["validation split", "test split", "baseline nearest neighbour", "skip"]
)
def test_a_run_that_is_cut_off_in_its_test_is_only_tested_when_it_resumes(
    tmp_path: Path, data: Path, part: str
) -> None:
    experiment = small_experiment(data, training=CLOSING)
    whole = Run.new(tmp_path / "whole", experiment)
    expected = whole.start()
    run = Run.new(tmp_path / "run", experiment)

    def kill(event: Event) -> Sequence[Command]:
        if isinstance(event, MeasurementAdvanced) and event.part == part:
            raise Killed
        return ()

    if part == "skip":
        run.start(in_part("test split", Stop()))
    else:
        with pytest.raises(Killed):
            run.start(kill)
    run.events.clear()
    again = run.resume()
    assert replace(again, run_dir="", elapsed_s=0.0) == replace(expected, run_dir="", elapsed_s=0.0)
    assert not any(isinstance(event, StepsTaken) for event in run.events)
    assert run.lines() == whole.lines()
    assert not run.directory.discarded.exists()
    assert len(list(run.directory.checkpoints.glob("*.pt"))) == len(
        list(whole.directory.checkpoints.glob("*.pt"))
    )


class Hanging:
    """A test split whose batches are lost once the workers are killed."""

    def __init__(self, split: Any) -> None:
        self._split = split

    def __getattr__(self, name: str) -> Any:
        return getattr(self._split, name)

    def __len__(self) -> int:
        return len(self._split)

    def in_order(self, batch_size: int) -> Iterator[Batch]:
        yield next(self._split.in_order(batch_size))
        raise BatchLost("a worker was killed by signal 15")


class LosesBatches(Run):
    """A run with such a split."""

    def task(self, fitted: dict[str, Any] | None = None) -> Task:
        task = build(self.experiment, SingleRank(), torch.device("cpu"), fitted)
        # Without tensors there are no baselines.
        lost: Any = Hanging(task.dataset.test)
        return replace(task, dataset=replace(task.dataset, test=lost))


@pytest.mark.parametrize("stops", [True, False])
def test_workers_that_die_of_the_signal_that_stops_the_test_are_no_failure(
    tmp_path: Path, data: Path, stops: bool
) -> None:
    made = Run.new(tmp_path / "run", small_experiment(data))
    run = LosesBatches(made.experiment, made.directory, made.events)
    # The second report comes right before the batch that is lost.
    reports = itertools.count()

    def react(event: Event) -> Sequence[Command]:
        second = isinstance(event, MeasurementAdvanced) and next(reports) == 1
        return (Stop(origin="SIGTERM", signal=15),) if second and stops else ()

    ended = run.start(react, clock=ticking())
    if stops:
        assert ended.state == "finished"
        command = run.directory.command("evaluate")
        assert f"test skipped by SIGTERM; {command} measures it" in ended.reason
    else:
        assert ended.state == "failed"
        assert "a worker was killed by signal 15; step 12 is saved" in ended.reason


def test_the_best_of_a_validation_at_the_end_is_what_is_tested(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, training=CLOSING))
    ended = run.start()
    assert isinstance(ended, RunEnded)
    last = [e for e in run.events if isinstance(e, ValidationEnded)][-1]
    assert last.step == 11
    assert ended.best is not None
    assert (ended.best["step"] == 11) == last.improved
