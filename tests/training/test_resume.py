"""A resumed run equals the uncut one, bit for bit, wherever it was cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.harness import (
    React,
    Run,
    at_step,
    both,
    edit_of_lr,
    same,
    small_experiment,
    write_images,
)
from tui_trainer.config.experiment import Experiment
from tui_trainer.config.overrides import edited
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop, Validate
from tui_trainer.runs.events import (
    Event,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    ValidationStarted,
)
from tui_trainer.runs.manifests import read_manifests

STEPS = 12


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


@pytest.fixture(scope="module")
def uncut(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Run:
    run = Run.new(tmp_path_factory.mktemp("uncut") / "run", small_experiment(data))
    outcome = run.start(edit_of_lr())
    assert (outcome.state, outcome.step) == ("finished", STEPS)
    return run


def test_contents_are_the_same_only_bit_for_bit() -> None:
    content = {"step": 1, "loss": float("nan"), "moments": [torch.tensor([0.5, 1.0]), None]}
    assert same(content, {**content, "moments": [torch.tensor([0.5, 1.0]), None]})
    for moment in (torch.tensor([0.5, 2.0]), torch.tensor([0.5, 1.0]).double(), [0.5, 1.0], 0.5):
        assert not same(content, {**content, "moments": [moment, None]})
    assert not same(torch.tensor(1.0), 1.0)
    changes: list[dict[str, Any]] = [{"step": 2}, {"loss": 0.5}, {"moments": []}, {"more": 1}]
    for change in changes:
        assert not same(content, {**content, **change})
    assert not same(content, {"step": 1})


def assert_equal(run: Run, uncut: Run) -> None:
    lines = run.lines()
    assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
    assert lines == uncut.lines()
    assert same(run.final(), uncut.final())


def in_validation(number: int) -> React:
    """Stop in the middle of the n-th validation, from 1."""
    seen = 0

    def react(event: Event) -> Sequence[Command]:
        nonlocal seen
        if isinstance(event, ValidationStarted):
            seen += 1
            if seen == number:
                return (Stop(),)
        return ()

    return react


@pytest.mark.parametrize("step", range(1, STEPS))
def test_fault_12_cut_at_a_step_equals_the_uncut_run(
    tmp_path: Path, data: Path, uncut: Run, step: int
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(both(edit_of_lr(), at_step(step, Stop())))
    assert (outcome.state, outcome.step) == ("stopped", step)
    # Edits that were recorded are replayed; those that the cut prevented are made now.
    late = edit_of_lr() if step < 5 else at_step(9, *edits_of_step_9()) if step < 9 else None
    outcome = run.resume(late or (lambda event: ()))
    assert (outcome.state, outcome.step) == ("finished", STEPS)
    assert_equal(run, uncut)


def edits_of_step_9() -> list[Command]:
    return [Set(key="optimizer.weight_decay", value=0.1)]


@pytest.mark.parametrize(("first", "second"), [(4, 5), (7, 8), (3, 6)])
def test_fault_12_cut_twice_in_an_epoch_and_at_its_end(
    tmp_path: Path, data: Path, uncut: Run, first: int, second: int
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    run.start(both(edit_of_lr(), at_step(first, Stop())))
    run.resume(both(edit_of_lr() if first < 5 else lambda e: (), at_step(second, Stop())))
    rest = edit_of_lr() if second < 5 else at_step(9, *edits_of_step_9())
    assert run.resume(rest).step == STEPS
    assert_equal(run, uncut)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fault_12_cut_in_the_middle_of_a_validation(
    tmp_path: Path, data: Path, uncut: Run, number: int
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    outcome = run.start(both(edit_of_lr(), in_validation(number)))
    assert outcome.state == "stopped"
    assert "val/loss" not in run.lines()[-1] or run.lines()[-1]["step"] < outcome.step
    rest = edit_of_lr() if outcome.step < 5 else at_step(9, *edits_of_step_9())
    assert run.resume(rest).step == STEPS
    assert_equal(run, uncut)


def test_resume_from_an_earlier_step_sets_the_later_aside_and_replays_edits(
    tmp_path: Path, data: Path, uncut: Run
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    run.start(edit_of_lr())
    whole = run.lines()
    assert run.resume(which="4").state == "finished"
    assert run.lines() == whole == uncut.lines()
    aside = run.directory.discarded / "1"
    assert len((aside / "metrics.jsonl").read_text().splitlines()) == STEPS - 4 + 1
    assert list(aside.glob("step-*.pt"))
    assert same(run.final()["model"], uncut.final()["model"])


def test_dropped_edits_are_not_replayed(tmp_path: Path, data: Path) -> None:
    quiet = Run.new(tmp_path / "quiet", small_experiment(data))
    quiet.start()
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    run.start(edit_of_lr())
    assert run.lines() != quiet.lines()
    run.resume(which="4", drop_edits=True)
    assert run.lines() == quiet.lines()


def test_a_run_that_is_paused_saved_and_validated_equals_the_quiet_one(
    tmp_path: Path, data: Path, uncut: Run
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))

    def go_on(event: Event) -> Sequence[Command]:
        paused = isinstance(event, StateChanged) and event.state == "paused"
        return (Validate(), Save(), Resume()) if paused else ()

    outcome = run.start(
        both(
            edit_of_lr(),
            go_on,
            at_step(2, Save()),
            at_step(3, Validate()),
            at_step(4, Pause(), Validate()),
            at_step(7, Validate(), Save(), Pause(offload=True)),
            at_step(11, Validate()),
        )
    )
    assert outcome.state == "finished"
    assert_equal(run, uncut)


def test_a_pause_in_the_middle_of_a_validation_changes_nothing(
    tmp_path: Path, data: Path, uncut: Run
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))

    def pause(event: Event) -> Sequence[Command]:
        if isinstance(event, ValidationStarted):
            return (Pause(),)
        if isinstance(event, StateChanged) and event.state == "paused":
            return (Resume(),)
        return ()

    assert run.start(both(edit_of_lr(), pause)).state == "finished"
    assert_equal(run, uncut)


def test_early_stopping_counts_the_same_after_a_cut(tmp_path: Path, data: Path) -> None:
    impatient = small_experiment(
        data, early_stopping={"patience": 2, "min_delta": 10.0}, training={"epochs": 9}
    )
    whole = Run.new(tmp_path / "whole", impatient)
    ended = whole.start()
    assert "no improvement in 2" in ended.reason
    cut = Run.new(tmp_path / "cut", impatient)
    cut.start(at_step(ended.step - 1, Stop()))
    assert cut.resume().step == ended.step
    assert cut.lines() == whole.lines()
    assert same(cut.final(), whole.final())


def test_resume_of_a_finished_run_with_more_epochs_equals_the_longer_run(
    tmp_path: Path, data: Path
) -> None:
    constant = {"schedule": {"type": "constant"}, "early_stopping": {"patience": None}}
    longer = Run.new(tmp_path / "longer", small_experiment(data, **constant))
    longer.start()
    run = Run.new(tmp_path / "run", small_experiment(data, **constant, training={"max_steps": 5}))
    assert run.start().step == 5
    run.experiment = small_experiment(data, **constant)
    assert run.resume().step == STEPS
    assert run.lines() == longer.lines()
    assert same(run.final(), longer.final())


def closing(data: Path, **sections: Any) -> Experiment:
    """6 steps, of which only the validation that closes the run sees the last two."""
    changes: dict[str, Any] = {
        "training": {"epochs": None, "max_steps": 6, "validate_every_steps": 4},
        "schedule": {"type": "constant"},
        "early_stopping": {"patience": None},
        "checkpoint": {"keep_last": 1},
    }
    for name, values in sections.items():
        changes[name] = {**changes.get(name, {}), **values}
    return small_experiment(data, **changes)


def spoiled(data: Path, steps: int, **sections: Any) -> Experiment:
    """The same run with a higher limit, and a weight decay that forgets what was learned."""
    training = {"max_steps": steps, "max_seconds": None, "validate_every_steps": 4}
    optimizer = {"lr": 1e-3, "weight_decay": 1e3}
    return closing(data, optimizer=optimizer, training=training, **sections)


def checkpoint_steps(run: Run) -> list[int]:
    return [manifest.step for manifest in read_manifests(run.directory.checkpoints)]


def test_the_best_of_a_closing_validation_stays_the_best_after_resumes(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", closing(data))
    first = run.start()
    assert first.best is not None
    assert first.best["step"] == 6
    for steps in (10, 14):
        run.experiment = spoiled(data, steps)
        later = run.resume()
        assert (later.step, later.best, later.test) == (steps, first.best, first.test)
        assert 6 in checkpoint_steps(run)


def test_the_best_of_a_closing_validation_is_on_the_disk_before_it_is_told(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", closing(data))
    marked: list[int | None] = []

    def look(event: Event) -> Sequence[Command]:
        if isinstance(event, ValidationEnded) and event.step == 6:
            marked.append(read_manifests(run.directory.checkpoints)[-1].best_step)
        return ()

    run.start(look)
    assert marked == [6]


@pytest.mark.parametrize("monitor", ["loss", "accuracy"])
def test_the_only_validation_of_a_run_that_ended_by_time_stays_the_best(
    tmp_path: Path, data: Path, monitor: str
) -> None:
    checkpoint = {"monitor": monitor}
    training = {"max_steps": None, "max_seconds": 0.2, "validate_every_steps": 100}
    run = Run.new(tmp_path / "run", closing(data, training=training, checkpoint=checkpoint))
    ticks = itertools.count()
    first = run.start(clock=lambda: next(ticks) * 1e-3)
    assert first.reason == "0.2 s have passed"
    assert first.best is not None
    assert (first.best["step"], first.best["metric"]) == (first.step, monitor)
    run.experiment = spoiled(data, first.step + 4, checkpoint=checkpoint)
    later = run.resume()
    assert (later.step, later.best, later.test) == (first.step + 4, first.best, first.test)


def test_a_run_that_is_stopped_in_its_test_ends_as_if_it_was_not(
    tmp_path: Path, data: Path
) -> None:
    # The threshold is reached by the closing validation, and is no reason to end before the limit.
    experiment = closing(data, early_stopping={"threshold": 100.0, "patience": None})
    experiment = edited(experiment, "training.validate_every_steps", 100)
    whole = Run.new(tmp_path / "whole", experiment)
    expected = whole.start()
    run = Run.new(tmp_path / "run", experiment)

    def stop(event: Event) -> Sequence[Command]:
        return (Stop(),) if isinstance(event, ValidationEnded) else ()

    assert run.start(stop).reason.startswith("6 steps are done; test skipped by you")
    again = run.resume()
    assert (again.state, again.reason) == ("finished", "6 steps are done")
    assert (again.best, again.test) == (expected.best, expected.test)
    assert run.lines() == whole.lines()


def test_a_closing_validation_changes_no_step_of_a_run_that_is_trained_on(
    tmp_path: Path, data: Path
) -> None:
    def limited(steps: int) -> Experiment:
        # Patience and plateau count the scheduled validations, each of which is a bad one.
        return closing(
            data,
            training={"max_steps": steps},
            schedule={"type": "plateau", "patience": 0, "threshold": 9.0},
            early_stopping={"patience": 3, "min_delta": 10.0, "threshold": 1e-9},
        )

    longer = Run.new(tmp_path / "longer", limited(STEPS))
    longer.start()
    run = Run.new(tmp_path / "run", limited(6))
    run.start()
    run.experiment = limited(STEPS)
    assert run.resume().step == STEPS
    assert run.lines() == longer.lines()
    resumed, uncut = run.final(), longer.final()
    for part in ("model", "optimizer", "rng"):
        assert same(resumed[part], uncut[part])
    for count in ("stale", "reference", "validated_step", "plateau", "last_metrics"):
        assert resumed["progress"][count] == uncut["progress"][count]


def test_going_back_after_a_divergence_keeps_the_best_of_a_closing_validation(
    tmp_path: Path, data: Path
) -> None:
    def limited(steps: int, lr: float, decay: float) -> Experiment:
        training = {"max_steps": steps, "on_nonfinite": "pause", "grad_clip_norm": None}
        optimizer = {"type": "sgd", "lr": lr, "weight_decay": decay}
        return closing(data, training=training, optimizer=optimizer)

    run = Run.new(tmp_path / "run", limited(6, 0.01, 0.0))
    first = run.start()
    assert first.best is not None
    assert first.best["step"] == 6
    pauses = []

    def mend(event: Event) -> Sequence[Command]:
        if not isinstance(event, StateChanged) or event.state != "paused":
            return ()
        pauses.append(event)
        return (Set(key="optimizer.lr", value=1e-9), Resume())

    run.experiment = limited(60, 1e4, 100.0)
    stopped = run.resume(both(mend, at_step(30, Stop())))
    assert (stopped.state, stopped.step, len(pauses)) == ("stopped", 30, 1)
    assert stopped.best is not None
    assert stopped.best["step"] == 6


def test_numbers_of_every_step_are_emitted_once(uncut: Run) -> None:
    taken = [event for event in uncut.events if isinstance(event, StepsTaken)]
    assert sum(len(event.losses) for event in taken) == STEPS
