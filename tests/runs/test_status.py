"""A reader believes the status of a run unless lock, process or heartbeat contradict it."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields
from pathlib import Path

import pytest

from tests.runs.children import HOLD, HOLD_WITHOUT_FLOCK, child, kill, stopped
from tests.runs.views import a_view, changed
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import FINAL_STATES, SaveFailed
from tui_trainer.runs.host import boot_id
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import (
    CRASHED_AFTER_S,
    LOST_AFTER_S,
    conclude,
    read_status,
    write_status,
)
from tui_trainer.runs.step_numbers import StepNumbers
from tui_trainer.runs.view import FinalTest, Model, Process, RunView, Saved, Scores
from tui_trainer.text.errors import CannotWrite

HERE = a_view("digits", "running", step=7, host=socket.gethostname(), heartbeat=3)
ELSEWHERE = changed(HERE, host="elsewhere")
LIVE_STATES = ["starting", "running", "pausing", "paused", "stopping"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    made = RunDirectory(tmp_path / "digits")
    make_skeleton(made)
    return made


def test_a_status_is_read_as_it_was_written(run: RunDirectory) -> None:
    status = changed(
        HERE, validation={"loss": 0.5}, best={"accuracy": 1.0}, best_step=3, total_steps=9
    )

    write_status(run.status, status)

    read = read_status(run.status)
    assert read is not None
    assert read.process.updated_at.endswith("+00:00")
    assert changed(read, updated_at="") == status
    assert sorted(os.listdir(run.path)) == ["checkpoints", "control", "status.json"]


def test_the_file_keeps_its_length_for_readers_who_know_that_of_the_one_before(
    run: RunDirectory,
) -> None:
    lengths = set()
    for step in (7, 10**9):
        write_status(run.status, changed(HERE, step=step, elapsed_s=step / 7))
        lengths.add(run.status.stat().st_size)
        read = read_status(run.status)
        assert read is not None
        assert read.step == step
    assert len(lengths) == 1
    write_status(run.status, changed(HERE, message="x" * 2_000))
    assert read_status(run.status) is not None


def test_numbers_that_are_not_finite_are_null_in_the_file(run: RunDirectory) -> None:
    view = deepcopy(HERE)
    view.scores.validation, view.numbers.loss = {"loss": math.nan}, math.nan
    write_status(run.status, view)

    assert b"NaN" not in run.status.read_bytes()
    assert json.loads(run.status.read_bytes())["validation"] == {"loss": None}
    assert read_status(run.status) is not None


def test_keys_of_a_newer_version_are_passed_over(run: RunDirectory) -> None:
    run.status.write_text(json.dumps({"name": "x", "state": "running", "energy_kwh": [1]}))

    assert read_status(run.status) == a_view("x", "running")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "\0" * 100,
        "{}",
        '{"name": "x"}',
        '{"name": "x", "state": []}',
        '{"name": "x", "state": {}}',
        '{"name": "x", "state": null}',
        '{"name": 3, "state": "running"}',
        '{"name": "x", "state": "running", "step": "many"}',
        '{"name": "x", "state": "running", "host": 3}',
        '{"name": "x", "state": "running", "total_steps": "9"}',
        '{"name": "x", "state": "running", "validation": 3}',
        '{"name": "x", "state": "running", "best": {"loss": "low"}}',
        "[" * 100_000,
        '{"name": "x", "state": "running", "step": 1%s}' % ("0" * 400),
        '{"name": "x", "state": "running", "step": -1}',
        '{"name": "x", "state": "running", "step": true}',
        '{"name": "x", "state": "running", "pid": 4611686018427387904}',
        '{"name": "x", "state": "running", "total_steps": 1e999}',
        '{"name": "x", "state": "running", "elapsed_s": NaN}',
        '{"name": "x", "state": "running", "elapsed_s": null}',
        '{"name": "x", "state": "running", "loss": -Infinity}',
        '{"name": "x", "state": "running", "best": {"loss": 1%s}}' % ("0" * 400),
        '{"name": "x", "state": "running", "test": {"%s": 0.5}}' % ("a" * 100_000),
        '{"name": "x", "state": "running", "usage": {"gpu": [[[[[[1]]]]]]}}',
        '{"name": "x", "state": "running", "message": "%s"}' % ("a" * 100_000),
    ],
    ids=lambda text: text[:70],
)
def test_a_status_that_cannot_be_used_is_none(run: RunDirectory, text: str) -> None:
    run.status.write_text(text)

    assert read_status(run.status) is None


def test_a_status_that_is_not_there_is_none(run: RunDirectory) -> None:
    assert read_status(run.status) is None
    assert read_status(run.path) is None


def test_fault_32_a_status_that_cannot_be_written_is_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite):
        write_status(tmp_path / "gone" / "status.json", HERE)


@contextmanager
def held(run: RunDirectory) -> Iterator[None]:
    """The lock of a run, held by this process."""
    lock = RunLock.acquire(run.lock)
    yield
    lock.release()


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_an_end_is_an_end_whoever_holds_the_lock(run: RunDirectory, state: str) -> None:
    ended = changed(HERE, state=state)
    assert conclude(run, ended) == state
    assert conclude(run, changed(ended, host="elsewhere"), 10 * CRASHED_AFTER_S) == state

    with held(run):
        assert conclude(run, ended) == state


@pytest.mark.parametrize("state", LIVE_STATES)
def test_a_live_run_here_is_what_it_says_as_long_as_the_lock_is_held(
    run: RunDirectory, state: str
) -> None:
    status = changed(HERE, state=state)

    with held(run):
        assert conclude(run, status) == state
        assert conclude(run, status, 10 * CRASHED_AFTER_S) == state, "a slow disk is no crash"
    assert conclude(run, status) == "crashed"


def test_a_host_is_recognised_by_its_boot_after_it_was_renamed(run: RunDirectory) -> None:
    renamed = changed(ELSEWHERE, boot_id=boot_id())

    with held(run):
        assert conclude(run, renamed, 10 * CRASHED_AFTER_S) == "running"
    assert conclude(run, renamed) == "crashed"
    assert conclude(run, changed(ELSEWHERE, boot_id="another boot")) == "running"
    # Started again since, the same host has another boot id and its name.
    assert conclude(run, changed(HERE, boot_id="another boot")) == "crashed"


def test_fault_3_a_run_that_was_killed_is_crashed(run: RunDirectory) -> None:
    with child(HOLD, str(run.lock)) as process:
        assert conclude(run, HERE) == "running"

        kill(process)

        assert conclude(run, HERE) == "crashed"


@pytest.mark.parametrize("code", [HOLD, HOLD_WITHOUT_FLOCK], ids=["flock", "no flock"])
def test_fault_25_a_run_that_a_signal_has_stopped_is_suspended_and_not_crashed(
    run: RunDirectory, code: str
) -> None:
    with child(code, str(run.lock)) as process:
        with stopped(process):
            assert conclude(run, HERE) == "suspended"
            assert conclude(run, HERE, 10 * CRASHED_AFTER_S) == "suspended"

        assert process.poll() is None
        assert conclude(run, changed(HERE, state="stopped")) == "stopped"


def test_a_lock_that_was_never_made_is_a_crash(run: RunDirectory) -> None:
    assert conclude(run, HERE) == "crashed"


@pytest.mark.parametrize("state", LIVE_STATES)
def test_fault_29_a_run_on_another_host_is_judged_by_the_readers_own_clock(
    run: RunDirectory, state: str
) -> None:
    status = changed(ELSEWHERE, state=state)

    assert conclude(run, status) == state
    assert conclude(run, status, LOST_AFTER_S - 0.1) == state
    assert conclude(run, status, LOST_AFTER_S) == "lost?"
    assert conclude(run, status, CRASHED_AFTER_S - 0.1) == "lost?"
    assert conclude(run, status, CRASHED_AFTER_S) == "crashed"


@pytest.mark.parametrize("told", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "?"])
def test_fault_29_what_the_wall_clocks_say_changes_nothing(run: RunDirectory, told: str) -> None:
    run.status.write_text(json.dumps({"name": "x", "state": "running", "host": "elsewhere"}))
    os.utime(run.status, (0, 0))

    assert conclude(run, changed(ELSEWHERE, updated_at=told)) == "running"
    assert conclude(run, changed(ELSEWHERE, updated_at=told), LOST_AFTER_S) == "lost?"
    with held(run):
        os.utime(run.lock, (0, 0))
        assert conclude(run, changed(HERE, updated_at=told)) == "running"


def test_fault_29_no_wall_clock_is_asked(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> float:
        raise AssertionError("the wall clock was asked")

    monkeypatch.setattr(time, "time", asked)

    with held(run):
        assert conclude(run, HERE) == "running"
    assert conclude(run, HERE) == "crashed"
    assert conclude(run, ELSEWHERE, LOST_AFTER_S) == "lost?"


def test_no_part_of_a_view_is_a_heap_of_fields() -> None:
    for part in (RunView, Scores, Model, FinalTest, Saved, Process, StepNumbers):
        assert len(fields(part)) <= 20


DOCUMENTED = (
    *("name", "state", "step", "epoch", "pid", "host", "heartbeat", "generation", "device"),
    *("total_steps", "elapsed_s", "validation", "best", "best_step", "test", "saved_step"),
    *("message", "loss", "samples_per_s", "waiting_share", "usage", "updated_at"),
)
"""The keys of version 0.1, which people read with jq."""


def test_the_keys_of_the_first_version_stay_where_they_were() -> None:
    assert set(DOCUMENTED) <= HERE.to_dict().keys()


@pytest.mark.parametrize("name", ["finished", "stopped"])
def test_a_status_of_the_first_version_is_read_with_all_its_values(name: str) -> None:
    path = Path(__file__).parents[1] / "fixtures" / "run-0.1" / name / "status.json"
    plain = json.loads(path.read_text())
    read = read_status(path)
    assert read is not None
    assert {key: read.to_dict()[key] for key in DOCUMENTED} == plain
    assert read.reason == plain["message"]


def test_a_save_that_failed_is_the_message_of_a_run_without_another_reason(
    run: RunDirectory,
) -> None:
    view = deepcopy(HERE)
    view.apply(SaveFailed(9, "the disk is full"))
    write_status(run.status, view)
    assert json.loads(run.status.read_bytes())["message"] == "the disk is full"
    read = read_status(run.status)
    assert read is not None
    assert (read.reason, read.saved.failure) == ("", "the disk is full")
