"""The start of a run: its stages, what becomes known in them, and how it is cancelled."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tests.integration.processes import LIMIT_S
from tui_trainer.config.overrides import parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.commands import Pause, Save, Stop
from tui_trainer.runs.config_file import read_config
from tui_trainer.runs.describe import describe
from tui_trainer.runs.directory import RunDirectory, create_run, make_skeleton
from tui_trainer.runs.events import (
    CommandApplied,
    Event,
    FactFound,
    RunEnded,
    RunStarted,
    StageStarted,
    StateChanged,
    StepsTaken,
)
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.names import free_name
from tui_trainer.runs.paths import remove_tree
from tui_trainer.runs.status import read_status, write_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.prepared_run import PreparedRun
from tui_trainer.sessions.requested_run import prepare
from tui_trainer.sessions.requests import NewRun
from tui_trainer.sessions.startup import StartCancelled, Startup
from tui_trainer.text.errors import BadInput, CheckpointUnusable, ConfigError, Problem

LIBRARY = PresetLibrary([builtin_dir()])
SETTINGS = ["training.epochs=1", "training.max_steps=3", "optimizer.lr=0.5"]


def penguins() -> NewRun:
    return NewRun(LIBRARY.experiment("penguins-mlp", parse_overrides(SETTINGS)), "birds")


def trained(session: LocalSession) -> LocalSession:
    session.start()
    session.join()
    return session


class StuckStart:
    """A start that stays in its second stage until `go` is set."""

    def __init__(self, runs_dir: Path) -> None:
        self.run = create_run(runs_dir, "stuck")
        self.is_in_stage = threading.Event()
        self.go = threading.Event()
        self.reached: list[str] = []
        self.session = LocalSession(self._prepare)
        self.session.start()
        assert self.is_in_stage.wait(LIMIT_S)

    def _prepare(self, startup: Startup) -> PreparedRun:
        startup.name(self.run, penguins().experiment)
        startup.claim(lambda: self.run)
        startup.show(self.run, RunLock.acquire(self.run.lock))
        startup.enter("read the data")
        self.is_in_stage.set()
        assert self.go.wait(LIMIT_S)
        startup.enter("build the model")
        self.reached.append("build the model")
        raise AssertionError("it was to be cancelled")

    def end(self) -> None:
        self.go.set()
        self.session.join()


def test_a_start_tells_its_stages_and_what_it_finds_before_the_first_numbers(
    tmp_path: Path,
) -> None:
    session = trained(LocalSession(partial(prepare, penguins(), tmp_path, ["test"], LIBRARY)))
    events, _ = session.events(0)
    stages = [event.stage for event in events if isinstance(event, StageStarted)]
    assert stages[-3:] == ["read the data", "build the model", "first step"]
    facts = {(event.topic, event.text) for event in events if isinstance(event, FactFound)}
    experiment = LIBRARY.experiment("penguins-mlp")
    epochs, lr = experiment.training.epochs, experiment.optimizer.lr
    assert {text for topic, text in facts if topic == "changes"} == {
        f"training.epochs {epochs} -> 1",
        "training.max_steps none -> 3",
        f"optimizer.lr {lr} -> 0.5",
    }
    started = next(event for event in events if isinstance(event, RunStarted))
    assert ("model", f"mlp, {started.parameters:,} parameters") in facts
    (sizes,) = [text for topic, text in facts if topic == "data"]
    assert sizes.startswith(f"{started.samples:,} samples to train on, ")
    first = next(event for event in events if isinstance(event, StateChanged | StepsTaken))
    assert isinstance(first, StateChanged)
    assert (first.state, first.step) == ("running", 1), "it runs once a step is taken"
    last_fact = max(events.index(event) for event in events if isinstance(event, FactFound))
    assert last_fact < events.index(first)


def test_every_change_is_told_whole() -> None:
    words = [*SETTINGS, "training.batch_size=16", "optimizer.weight_decay=0", "model.dropout=0.25"]
    words += ["early_stopping.patience=9", "checkpoint.keep_last=5", "logging.every_steps=10"]
    words += [f"model.layers=[{', '.join(['8'] * 60)}]"]
    texts: list[str] = []

    def take(event: Event) -> None:
        assert isinstance(event, FactFound)
        texts.append(event.text)

    experiment = LIBRARY.experiment("penguins-mlp", parse_overrides(words))
    Startup(take).tell_changes(LIBRARY, "penguins-mlp", experiment)
    assert len(texts) > 8
    assert any(text.count("8") >= 60 for text in texts)


def test_a_starting_run_can_be_watched_and_has_no_numbers_that_nobody_knows(
    tmp_path: Path,
) -> None:
    start = StuckStart(tmp_path)
    status = read_status(start.run.status)
    assert status is not None
    assert (status.name, status.state) == (start.run.path.name, "starting")
    unknown = (status.steps_per_epoch, status.total_steps, status.model.parameters, status.eta_s)
    assert unknown == (None, None, None, None)
    start.session.refresh()
    assert start.session.view.name == start.run.path.name
    assert start.session.view.stage == "read the data"
    assert start.session.experiment == penguins().experiment
    start.session.send(Stop())
    start.end()


def test_what_others_see_of_a_start_can_be_resumed_whenever_it_is_killed(tmp_path: Path) -> None:
    seen: list[Path] = []

    def see(run: RunDirectory, lock: RunLock) -> NoReturn:
        seen.append(run.path)
        assert read_config(run) == penguins().experiment
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(penguins(), tmp_path, ["test"], LIBRARY, Startup(claimed=see))
    assert seen
    assert not seen[0].exists(), "a start that only fails leaves nothing"


@pytest.mark.parametrize("moment", ["before the directory", "in between", "while it is shown"])
def test_whoever_undoes_a_start_and_ends_at_once_leaves_nothing(
    tmp_path: Path, moment: str
) -> None:
    """A signal may come at any moment of the thread that makes the directory."""
    undone = threading.Event()

    def undo() -> None:
        startup.cancel()
        startup.undo()
        undone.set()

    def claimed(run: RunDirectory, lock: RunLock) -> None:
        # Shown for as long as this lasts: it is not removed before that.
        other.start()
        assert not undone.wait(0.2)
        assert run.path.exists()

    other = threading.Thread(target=undo)
    startup = Startup(claimed=claimed)
    if moment == "before the directory":
        undo()
        with pytest.raises(StartCancelled):
            startup.claim(lambda: create_run(tmp_path, "birds"))
    else:
        run = startup.claim(lambda: create_run(tmp_path, "birds"))
        lock = RunLock.acquire(run.lock)
        if moment == "in between":
            undo()
            with pytest.raises(StartCancelled):
                startup.show(run, lock)
            assert not other.is_alive()
        else:
            startup.show(run, lock)
            other.join(LIMIT_S)
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_still_writes_while_it_is_removed_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    startup = Startup()
    run = startup.claim(lambda: create_run(tmp_path, "birds"))
    late = iter(["config.yaml", "splits"])

    def remove_while_written(path: Path) -> None:
        if name := next(late, ""):
            (path / name).write_text("late", encoding="utf-8")
            raise OSError("the directory is not empty")
        remove_tree(path)

    monkeypatch.setattr("tui_trainer.sessions.startup.remove_tree", remove_while_written)
    startup.cancel()
    assert startup.undo()
    assert not run.path.exists()


def test_who_takes_the_name_of_an_undone_start_keeps_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove_for_another(path: Path) -> None:
        remove_tree(path)
        make_skeleton(RunDirectory.at(path))
        removed.append(path)

    removed: list[Path] = []
    monkeypatch.setattr("tui_trainer.sessions.startup.remove_tree", remove_for_another)
    startup = Startup()
    run = startup.claim(lambda: create_run(tmp_path, "birds"))
    startup.cancel()
    assert startup.undo()
    assert removed == [run.path]


def test_a_stop_ends_a_start_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    start = StuckStart(tmp_path)
    session = start.session
    session.send(Pause())
    session.send(Stop())
    events, _ = session.events(0)
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.reason == (
        "stopped by you while reading the data; nothing was trained, and no run is left behind"
    )
    assert (ended.state, ended.exit_code, ended.run_dir) == ("stopped", 0, None)
    answers = [(e.command, e.refused) for e in events if isinstance(e, CommandApplied)]
    assert answers == [("stop", ""), ("pause", "the run has ended")]
    assert session.is_cancelled
    was_over = session.ended
    assert not was_over, "its thread is still in the stage"
    session.undo_start()
    assert list(tmp_path.iterdir()) == []
    session.send(Save())
    start.end()
    assert session.ended
    assert start.reached == [], "no further stage begins"
    assert session.events(0)[0][-1] is ended
    assert session.exit_code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
def test_the_end_of_a_resume_that_has_not_begun_says_where_the_run_is(
    tmp_path: Path, fails: bool
) -> None:
    run = create_run(tmp_path, "old")
    write_status(run.status, RunView("old", "stopped", step=40, epoch=5, elapsed_s=1.5))

    def prepare_old(startup: Startup) -> NoReturn:
        startup.name(run, penguins().experiment)
        startup.enter("read the checkpoint")
        if fails:
            raise CheckpointUnusable("damaged")
        session.send(Stop())
        startup.enter("read the data")
        raise AssertionError("it was to be cancelled")

    session = LocalSession(prepare_old)
    events = trained(session).events(0)[0]
    assert {event.step for event in events} == {40}, "no event says 0 of what is at step 40"
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    stage = "while reading the checkpoint"
    left = f"nothing was trained; {run.path.name} is as it was"
    assert ended.reason == (f"damaged ({stage})" if fails else f"stopped by you {stage}; {left}")
    assert (ended.epoch, ended.elapsed_s, ended.run_dir) == (5, 1.5, str(run.path))
    assert not ended.has_begun
    assert describe(ended) == [f"{ended.state}: {ended.reason}"] if fails else [ended.reason]
    assert run.checkpoints.exists()


def test_a_signal_in_a_start_is_in_the_exit_status(tmp_path: Path) -> None:
    start = StuckStart(tmp_path)
    start.session.send(Stop(origin="SIGTERM", signal=15))
    start.end()
    assert start.session.exit_code == 143


def test_a_committed_start_is_stopped_by_its_training() -> None:
    startup = Startup()
    startup.commit()
    assert not startup.cancel()
    assert not startup.is_cancelled
    assert not startup.undo()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (lambda: BadInput("a.csv: no such file"), "a.csv: no such file (while reading the data)"),
        (lambda: ConfigError([Problem("no such layer", "training.freeze")]), "training.freeze: no"),
        (lambda: ValueError("odd"), "ValueError: odd (while reading the data)"),
    ],
)
def test_a_failed_start_says_its_stage_unless_a_setting_is_to_blame(
    error: Callable[[], Exception], told: str
) -> None:
    def fail(startup: Startup) -> NoReturn:
        startup.enter("read the data")
        raise error()

    ended = trained(LocalSession(fail)).events(0)[0][-1]
    assert isinstance(ended, RunEnded)
    assert ended.reason.startswith(told)
    assert ended.run_dir is None
    assert not ended.has_begun


def test_a_run_has_the_name_that_was_shown_for_it_before(tmp_path: Path) -> None:
    first, second = penguins(), penguins()
    stem = f"birds-{first.asked_at:%m%d-%H%M}"
    assert free_name(tmp_path, "birds", first.asked_at) == stem
    create_run(tmp_path, "birds", first.asked_at)
    assert free_name(tmp_path, "birds", first.asked_at) == f"{stem}-2"
    session = trained(LocalSession(partial(prepare, first, tmp_path, ["test"], LIBRARY)))
    ended = session.events(0)[0][-1]
    assert isinstance(ended, RunEnded)
    assert ended.run_dir is not None
    assert Path(ended.run_dir).name == f"{stem}-2"
    assert second == first, "the time is no part of the request"
