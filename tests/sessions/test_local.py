"""A session in this process: its last event is the last, and what it keeps is bounded."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from tui_trainer.config.overrides import edited, parse_overrides
from tui_trainer.config.presets import PresetLibrary, builtin_dir
from tui_trainer.runs.commands import Save, Stop, new_id
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.edits import Edit, read_edits, record_edit
from tui_trainer.runs.events import Event, MeasurementAdvanced, Notice, RunEnded, StepsTaken
from tui_trainer.runs.history import Curve
from tui_trainer.runs.journal import read_records
from tui_trainer.runs.manifests import read_manifests
from tui_trainer.sessions.first_view import view_of
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.new_run import prepare_new
from tui_trainer.sessions.requests import ResumeRun
from tui_trainer.sessions.resume import prepare_resume
from tui_trainer.sessions.startup import Startup
from tui_trainer.text.errors import BadInput


def full_disk(startup: Startup) -> NoReturn:
    raise OSError(28, "No space left on device", "metrics.jsonl")


def steps_taken(step: int, count: int) -> StepsTaken:
    numbers = (0.5,) * count
    return StepsTaken(step, 7, 90.0, numbers, numbers, numbers, 1.0, 0.0)


def test_a_disk_that_refuses_a_file_is_no_bug_and_ends_in_3() -> None:
    session = LocalSession(full_disk)
    session.start()
    session.join()
    events, _ = session.events(0)
    assert session.exit_code == 3
    assert not session.traceback
    assert isinstance(events[-1], RunEnded)
    assert "No space left" in events[-1].reason


def test_nothing_follows_the_end() -> None:
    session = LocalSession(full_disk)
    session.start()
    session.join()
    session.send(Save())
    assert isinstance(session.events(0)[0][-1], RunEnded)
    assert session.control.take() is None


def test_the_times_of_a_log_only_grow_whichever_thread_is_faster() -> None:
    session = LocalSession(full_disk)
    first, second = Notice(1, "first"), Notice(1, "second")
    session.emit(second)
    session.emit(first)
    events, _ = session.events(0)
    assert events == [second, first]
    assert events[0].at_s <= events[1].at_s


def test_a_failed_run_ends_with_the_time_and_epoch_it_had() -> None:
    def prepare(startup: Startup) -> NoReturn:
        session.emit(steps_taken(40, 1))
        full_disk(startup)

    session = LocalSession(prepare)
    session.start()
    session.join()
    ended = session.events(0)[0][-1]
    assert isinstance(ended, RunEnded)
    assert (ended.step, ended.epoch, ended.elapsed_s) == (40, 7, 90.0)


def test_a_refresh_is_what_brings_the_picture_up_to_date() -> None:
    session = LocalSession(full_disk)
    session.emit(steps_taken(40, 3))
    assert session.view.step == 0
    assert session.refresh()
    assert session.view.step == 40
    assert "train/loss" in session.history.names
    assert not session.refresh()


def test_a_resumed_run_shows_what_it_was_before(tmp_path: Path) -> None:
    experiment = PresetLibrary([builtin_dir()]).experiment("penguins-mlp")
    experiment = edited(experiment, "training.epochs", 3)
    whole = LocalSession(partial(prepare_new, experiment, tmp_path, "r", ["test"]))
    whole.start()
    whole.join()
    whole.refresh()
    (path,) = tmp_path.iterdir()
    assert whole.view.run_dir == str(path)

    prepared = prepare_resume(RunDirectory(path), ResumeRun(path), ["test"])
    prepared.lock.release()
    known, before = view_of(prepared), whole.view
    assert (known.scores.best, known.scores.best_step) == (
        before.scores.best,
        before.scores.best_step,
    )
    assert known.scores.stale == before.scores.stale
    assert (known.saved.step, known.step, known.epoch) == (before.step, before.step, 3)
    assert known.scores.validation == before.scores.validation
    assert known.elapsed_s > 0

    more = tuple(parse_overrides(["training.epochs=4"]))
    resumed = LocalSession(
        partial(prepare_resume, RunDirectory(path), ResumeRun(path, more), ["test"])
    )
    resumed.start()
    resumed.join()
    assert list(resumed.history.names) == []
    resumed.refresh()
    curve = curve_of(resumed)
    assert curve.xs[0] == 1
    assert curve.xs[-1] == resumed.view.step > whole.view.step
    earlier = curve_of(whole)
    assert curve.means[: len(earlier.means)] == pytest.approx(earlier.means)
    assert len(curve_of(resumed, "val/loss").xs) == 4
    assert resumed.view.scores.best is not None
    assert resumed.experiment is not None
    assert resumed.experiment.training.epochs == 4
    edits = [m for m in resumed.history.marks(x="step", window="all") if m.kind == "edit"]
    assert [(mark.step, mark.text) for mark in edits] == [
        (whole.view.step, "training.epochs 3 -> 4")
    ]
    assert whole.earlier is None
    assert resumed.earlier is not None
    entries = [entry.text for entry in resumed.earlier.read().entries]
    assert [text.partition(":")[0] for text in entries if "val loss" in text] == [
        *("epoch 1", "epoch 2", "epoch 3")
    ]
    assert entries[-1] == "finished: 3 epochs are done"


def test_a_resume_shows_and_keeps_the_best_of_the_closing_validation(tmp_path: Path) -> None:
    limits = ["training.max_steps=6", "training.validate_every_steps=4", "schedule=constant"]
    experiment = PresetLibrary([builtin_dir()]).experiment(
        "penguins-mlp", parse_overrides([*limits, "checkpoint.keep_last=1"])
    )
    whole = trained(LocalSession(partial(prepare_new, experiment, tmp_path, "r", ["test"])))
    whole.refresh()
    assert whole.view.scores.best_step == 6
    (run,) = map(RunDirectory, tmp_path.iterdir())

    # Without a higher limit there is nothing to do, and with one every later step is worse.
    for changes in ([], ["training.max_steps=12", "optimizer.weight_decay=100"]):
        prepared = prepare_resume(run, asked(run, *changes), ["test"])
        prepared.lock.release()
        assert view_of(prepared).scores.best_step == 6
        assert view_of(prepared).scores.best == whole.view.scores.best
        resumed = trained(LocalSession(partial(prepare_resume, run, asked(run), ["test"])))
        resumed.refresh()
        assert resumed.view.scores.best == whole.view.scores.best
        assert resumed.view.scores.best_step == 6
    assert resumed.view.step == 12
    assert {6, 12} == {manifest.step for manifest in read_manifests(run.checkpoints)}


def asked(run: RunDirectory, *words: str) -> ResumeRun:
    return ResumeRun(run.path, tuple(parse_overrides(words)))


def trained(session: LocalSession) -> LocalSession:
    session.start()
    session.join()
    assert session.exit_code == 0, session.events(0)[0][-1]
    return session


def test_an_override_of_a_resume_wins_over_later_edits_of_the_same_setting(tmp_path: Path) -> None:
    settings = ["training.epochs=4", "checkpoint.every_epochs=1", "checkpoint.keep_last=9"]
    experiment = PresetLibrary([builtin_dir()]).experiment(
        "penguins-mlp", parse_overrides([*settings, "schedule=constant"])
    )
    trained(LocalSession(partial(prepare_new, experiment, tmp_path, "r", ["test"])))
    (run,) = map(RunDirectory, tmp_path.iterdir())
    first, *_, last = (manifest.step for manifest in read_manifests(run.checkpoints))
    lr, decay = "optimizer.lr", "optimizer.weight_decay"
    for key, new in ((lr, 0.5), (decay, 0.25)):
        record_edit(run.edits, Edit(new_id(), first + 1, key, 0.01, new, "ctl"))

    over = replace(asked(run, f"{lr}=0.125"), which=str(first))
    resume = partial(prepare_resume, run, over, ["test"])
    session = trained(LocalSession(resume))
    assert [(edit.key, edit.new) for edit in read_edits(run.edits)] == [(lr, 0.125), (decay, 0.25)]
    lines = [record for _, record in read_records(run.metrics)]
    assert {line["lr"] for line in lines[first:]} == {0.125}
    notices = [event.text for event in session.events(0)[0] if isinstance(event, Notice)]
    assert f"{lr} is set by this resume: its edit to 0.5 at step {first + 1} is not repeated" in (
        notices
    )
    # For good: a resume from a later step does not bring the edit back.
    prepared = prepare_resume(run, asked(run, "training.epochs=5"), ["test"])
    prepared.lock.release()
    assert prepared.step == last
    assert prepared.in_force.optimizer.lr == 0.125


def test_what_a_run_settles_by_itself_is_no_setting_of_its_experiment(tmp_path: Path) -> None:
    given = parse_overrides(["training.epochs=1"])
    experiment = PresetLibrary([builtin_dir()]).experiment("penguins-mlp", given)
    session = trained(LocalSession(partial(prepare_new, experiment, tmp_path, "r", ["test"])))
    session.refresh()
    assert session.settings is not None
    assert session.settings.threads is not None
    assert session.experiment == experiment
    (run,) = map(RunDirectory, tmp_path.iterdir())
    longer = asked(run, "training.epochs=2")
    resumed = trained(LocalSession(partial(prepare_resume, run, longer, ["test"])))
    resumed.refresh()
    assert resumed.experiment is not None
    assert resumed.experiment.training.threads is None
    assert resumed.experiment.training.epochs == 2


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("training.threads=abc", "training.threads='abc': should be a whole number"),
        ("loader.num_workers=-1", "loader.num_workers=-1: should be at least 0"),
    ],
)
def test_where_a_resume_runs_is_checked_and_told_in_one_line(
    tmp_path: Path, word: str, told: str
) -> None:
    experiment = PresetLibrary([builtin_dir()]).experiment(
        "penguins-mlp", parse_overrides(["training.epochs=1"])
    )
    trained(LocalSession(partial(prepare_new, experiment, tmp_path, "r", ["test"])))
    (run,) = map(RunDirectory, tmp_path.iterdir())
    with pytest.raises(BadInput) as caught:
        prepare_resume(run, asked(run, "training.epochs=2", word), ["test"])
    assert str(caught.value) == told


def curve_of(session: LocalSession, name: str = "train/loss") -> Curve:
    return session.history.curve(name, x="step", window="all", columns=10_000, smoothing=0.0)


class StoppedInBaselines(LocalSession):
    """A session that is stopped after the first of its two baselines."""

    def emit(self, event: Event) -> None:
        super().emit(event)
        if isinstance(event, MeasurementAdvanced) and event.part == "baseline majority class":
            self.send(Stop())


def end_of(session: LocalSession) -> RunEnded:
    (end,) = [event for event in trained(session).events(0)[0] if isinstance(event, RunEnded)]
    return end


def test_a_resume_makes_up_for_skipped_baselines_and_the_next_shows_them(tmp_path: Path) -> None:
    short = parse_overrides(["training.max_steps=6"])
    experiment = PresetLibrary([builtin_dir()]).experiment("penguins-mlp", short)
    cut = end_of(StoppedInBaselines(partial(prepare_new, experiment, tmp_path, "r", ["test"])))
    assert (cut.state, list(cut.baseline or {})) == ("finished", ["majority_class"])
    assert cut.test is not None
    (run,) = map(RunDirectory, tmp_path.iterdir())

    resumed = end_of(LocalSession(partial(prepare_resume, run, asked(run), ["test"])))
    assert (resumed.reason, resumed.step, resumed.test) == ("6 steps are done", 6, cut.test)
    assert list(resumed.baseline or {}) == ["majority_class", "nearest_neighbour"]

    again = end_of(LocalSession(partial(prepare_resume, run, asked(run), ["test"])))
    assert again.reason.startswith("nothing to do: 6 steps are done; to train on: ")
    assert (again.test, again.baseline) == (resumed.test, resumed.baseline)
    assert (again.confusion, again.classes) == (resumed.confusion, resumed.classes)
    assert again.classes == ("Adelie", "Chinstrap", "Gentoo")
