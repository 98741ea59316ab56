"""What happens at a step border when commands, edits and bad states meet there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.harness import Run, at_step, both, small_experiment, write_images
from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop
from tui_trainer.runs.control import Control
from tui_trainer.runs.events import (
    CheckpointSaved,
    CommandApplied,
    Event,
    StateChanged,
    ValidationEnded,
    ValidationStarted,
)
from tui_trainer.runs.manifests import manifest_path, read_manifests
from tui_trainer.runs.view import RunView
from tui_trainer.training import loop
from tui_trainer.training.checkpoints import choose_checkpoint, read_checkpoint
from tui_trainer.training.loop import train
from tui_trainer.training.losses import Criterion
from tui_trainer.training.next_border import NextBorder, next_border
from tui_trainer.training.start_point import FromScratch
from tui_trainer.training.training import Training


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("data") / "images.csv")


def exploding(data: Path, **sections: Any) -> Any:
    return small_experiment(
        data,
        **{
            "model": {"type": "linear"},
            "optimizer": {"type": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 100.0},
            "schedule": {"type": "constant"},
            "early_stopping": {"patience": None},
            "training": {"grad_clip_norm": None, "epochs": None, "max_steps": 60},
            **sections,
        },
    )


def paused(event: Event) -> bool:
    return isinstance(event, StateChanged) and event.state == "paused"


def test_fault_12_an_edit_in_a_paused_validation_is_replayed_where_it_was_made(
    tmp_path: Path, data: Path
) -> None:
    experiment = small_experiment(
        data,
        early_stopping={"patience": 2},
        checkpoint={"every_steps": 2},
        schedule={"type": "constant"},
    )
    run = Run.new(tmp_path / "run", experiment)
    validations = 0

    def react(event: Event) -> Sequence[Command]:
        nonlocal validations
        if isinstance(event, ValidationStarted):
            validations += 1
            return (Pause(),) if validations == 2 else ()
        edit = Set(key="early_stopping.min_delta", value=100.0)
        return (edit, Resume()) if paused(event) else ()

    first = run.start(react)
    lines = run.lines()
    second = run.resume(which="4")
    assert (second.step, second.reason) == (first.step, first.reason)
    assert run.lines() == lines


def test_fault_15_weights_that_the_last_update_blew_up_are_not_saved(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", exploding(data, checkpoint={"every_steps": 1}))
    outcome = run.start(at_step(6, Set(key="optimizer.lr", value=1e4)))
    assert (outcome.state, outcome.exit_code) == ("failed", 1)
    for manifest in read_manifests(run.directory.checkpoints):
        weights = read_checkpoint(run.directory.checkpoints, manifest).data.state.model
        assert all(tensor.isfinite().all() for tensor in weights.values()), manifest.file


def test_fault_15_a_mend_is_not_undone_by_the_edit_that_broke_the_run(
    tmp_path: Path, data: Path
) -> None:
    settings = {"epochs": None, "max_steps": 60, "grad_clip_norm": None, "on_nonfinite": "pause"}
    run = Run.new(
        tmp_path / "run", exploding(data, training=settings, checkpoint={"every_steps": 5})
    )
    pauses = 0

    def mend(event: Event) -> Sequence[Command]:
        nonlocal pauses
        if not paused(event):
            return ()
        pauses += 1
        return (Set(key="optimizer.lr", value=1e-5), Resume()) if pauses == 1 else (Stop(),)

    outcome = run.start(both(at_step(7, Set(key="optimizer.lr", value=1e4)), mend))
    assert (outcome.state, outcome.step, pauses) == ("finished", 60, 1)


def test_an_edit_of_the_last_good_state_is_asked_about_if_it_ends_the_run(
    tmp_path: Path, data: Path
) -> None:
    settings = {"epochs": None, "max_steps": 60, "grad_clip_norm": None, "on_nonfinite": "pause"}
    experiment = exploding(data, training=settings, checkpoint={"every_steps": 5})
    run = Run.new(tmp_path / "run", experiment)
    ends_it = Set(key="training.max_steps", value=5)

    def answer(event: Event) -> Sequence[Command]:
        return (ends_it, Stop()) if paused(event) else ()

    run.start(both(at_step(7, Set(key="optimizer.lr", value=1e4)), answer))
    (refused,) = [it for it in run.events if isinstance(it, CommandApplied) and it.refused]
    assert (refused.id, refused.can_force) == (ends_it.id, True)
    # It diverges at step 11, and the newest checkpoint is that of step 10.
    assert refused.refused == "10 steps are done: this ends the run now"


def test_fault_15_a_closing_validation_that_is_nan_is_not_the_best(
    tmp_path: Path, data: Path
) -> None:
    settings = {"max_steps": 2, "epochs": None}
    run = Run.new(tmp_path / "run", small_experiment(data, training=settings))
    task = run.task()
    assert task.criterion is not None
    blind = Criterion(task.criterion.train, lambda outputs, _: outputs.sum() * float("nan"))
    outcome = train(
        replace(task, criterion=blind), FromScratch(), Control(), run.events.append, run.directory
    )
    assert (outcome.state, outcome.exit_code, outcome.best) == ("failed", 1, None)
    assert read_manifests(run.directory.checkpoints)[-1].best_step is None


def test_fault_32_a_save_does_not_hide_that_the_directory_is_gone(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))

    def delete(event: Event) -> Sequence[Command]:
        if isinstance(event, ValidationEnded) and event.step == 3:
            shutil.rmtree(run.directory.path)
            return (Save(),)
        return (Resume(),) if paused(event) else ()

    assert run.start(delete).state == "finished"
    assert any(paused(event) for event in run.events)
    assert run.directory.config.exists()
    assert run.directory.metrics.exists()


def test_every_command_is_answered_when_a_stop_interrupts_the_end(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))

    def react(event: Event) -> Sequence[Command]:
        last = isinstance(event, CheckpointSaved) and event.step == 12
        return (Set(key="optimizer.lr", value=1.0), Pause(), Stop(signal=15)) if last else ()

    assert run.start(react).state == "finished"
    answers = [event for event in run.events if isinstance(event, CommandApplied)]
    assert [(a.command, bool(a.refused)) for a in answers] == [
        ("set", True),
        ("pause", True),
        ("stop", False),
    ]


def test_a_save_that_meets_numbers_that_are_not_finite_is_answered(
    tmp_path: Path, data: Path
) -> None:
    logging = {"every_steps": 1, "every_seconds": 60.0}
    run = Run.new(tmp_path / "run", exploding(data, logging=logging))
    control = Control()
    ticks, edited_at = 0, 0

    def clock() -> float:
        nonlocal ticks
        ticks += 1
        # Far enough from the edit that the numbers of the steps since then are not finite.
        if edited_at and ticks == edited_at + 150:
            control.send(Save())
        return ticks * 1e-3

    def emit(event: Event) -> None:
        nonlocal edited_at
        run.events.append(event)
        if isinstance(event, ValidationEnded) and event.step == 6:
            edited_at = ticks
            control.send(Set(key="optimizer.lr", value=1e4))
            control.send(Set(key="training.validate_every_steps", value=1000))

    outcome = train(run.task(), FromScratch(), control, emit, run.directory, clock)
    assert outcome.exit_code == 1
    answers = [e for e in run.events if isinstance(e, CommandApplied) and e.command == "save"]
    assert len(answers) == 1
    assert "is nan" in answers[0].refused


def test_an_edit_that_contradicts_one_still_to_be_replayed_is_refused(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    run.start(
        both(
            at_step(5, Set(key="training.grad_clip_norm", value=None)),
            at_step(9, Set(key="training.grad_clip_value", value=1.0)),
        )
    )
    again = at_step(7, Set(key="training.grad_clip_norm", value=0.3))
    assert run.resume(again, which="4").state == "finished"
    answers = [event for event in run.events if isinstance(event, CommandApplied)]
    assert "not both" in answers[-1].refused


def test_fault_06_a_damaged_manifest_is_told_of_when_last_falls_back(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 4}))
    run.start()
    folder = run.directory.checkpoints
    newest = read_manifests(folder)[-1]
    path = manifest_path(folder, newest.file)
    path.write_bytes(path.read_bytes().replace(b'"sha256": "', b'"sha256": "f'))
    checkpoint, notes = choose_checkpoint(folder, "last", "small")
    assert checkpoint.manifest.step < newest.step
    assert newest.file in notes[0]


def test_fault_14_no_step_is_doubled_after_lines_were_taken_away(
    tmp_path: Path, data: Path
) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data, checkpoint={"every_steps": 2}))
    run.start(at_step(7, Stop()))
    run.directory.metrics.unlink()
    run.resume(at_step(11, Stop()))
    run.resume(which="8")
    assert [line["step"] for line in run.lines()] == list(range(7, 13))


def test_a_change_of_the_horizon_reaches_whoever_watches(tmp_path: Path, data: Path) -> None:
    run = Run.new(tmp_path / "run", small_experiment(data))
    assert run.start(at_step(6, Set(key="training.epochs", value=6))).step == 18
    view = RunView()
    for event in run.events:
        view.apply(event)
    assert view.total_steps == 18


@pytest.mark.parametrize(
    ("settings", "validated", "saved"),
    [
        ({}, [3, 6, 9, 12], [12]),
        ({"training": {"validate_every_steps": 1, "max_steps": 4}}, [1, 2, 3, 4], [4]),
        ({"training": {"validate_every_steps": 5, "max_steps": 11}}, [5, 10], [11]),
        ({"checkpoint": {"every_steps": 4}}, [3, 6, 9, 12], [4, 8, 12]),
        ({"checkpoint": {"every_epochs": 2}}, [3, 6, 9, 12], [6, 12]),
        ({"training": {"grad_accumulation": 1, "epochs": 2}}, [5, 10], [10]),
    ],
    ids=str,
)
def test_the_loop_stops_at_each_border_at_which_something_is_due(
    tmp_path: Path,
    data: Path,
    settings: dict[str, Any],
    validated: list[int],
    saved: list[int],
) -> None:
    """Numbers are read rarely, so that most borders have nothing to do."""
    experiment = small_experiment(
        data,
        logging={"every_steps": 1, "every_seconds": 60},
        early_stopping={"patience": None},
        **settings,
    )
    run = Run.new(tmp_path / "run", experiment)
    run.start()
    validations = [event.step for event in run.events if isinstance(event, ValidationEnded)]
    assert validations[: len(validated)] == validated
    checkpoints = [event for event in run.events if isinstance(event, CheckpointSaved)]
    # The best step is saved as well, before the first checkpoint after it.
    assert {event.step for event in checkpoints if not event.best} <= set(saved)
    assert set(saved) <= {event.step for event in checkpoints}


@pytest.mark.parametrize("key", ["training.max_seconds", "checkpoint.every_seconds"])
def test_the_loop_stops_at_borders_that_are_due_by_time(
    tmp_path: Path, data: Path, key: str
) -> None:
    """The clock goes on by 0.1 s each time it is read; an epoch has more steps than that."""
    section, _, name = key.partition(".")
    experiment = small_experiment(
        data,
        **{
            "logging": {"every_steps": 1, "every_seconds": 60},
            "early_stopping": {"patience": None},
            "training": {"batch_size": 1, "grad_accumulation": 1, "epochs": 1, "max_steps": 40},
            section: {name: 6},
        },
    )
    run = Run.new(tmp_path / "run", experiment)
    seconds = iter(range(100_000))
    outcome = run.start(clock=lambda: next(seconds) / 10)
    steps = [event.step for event in run.events if isinstance(event, CheckpointSaved)]
    assert 1 < steps[0] < 40
    assert (outcome.step < 40) == (key == "training.max_seconds")


def test_there_is_a_border_at_least_each_five_seconds(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cycles, which may hold memory of a GPU, are collected at borders alone."""
    waits_s: list[float] = []

    def noted(training: Training) -> NextBorder:
        border = next_border(training)
        waits_s.append(border.elapsed_s - training.shared.watch.elapsed_s())
        return border

    monkeypatch.setattr(loop, "next_border", noted)
    experiment = small_experiment(data, logging={"every_steps": 1, "every_seconds": 60})
    Run.new(tmp_path / "run", experiment).start()
    assert 4 < max(waits_s) <= 5
