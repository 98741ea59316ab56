"""Deleting runs: all of one, and never one that lives."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.runs.test_index import make_run
from tui_trainer.runs.index import list_runs
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.removal import delete_run
from tui_trainer.text.errors import BadInput, CannotWrite


@pytest.mark.parametrize("state", ["finished", "stopped", "failed", "running"])
def test_a_run_that_has_ended_is_deleted(tmp_path: Path, state: str) -> None:
    make_run(tmp_path, "one", 0, state=state)
    make_run(tmp_path, "other", 0)
    (summary,) = [run for run in list_runs(tmp_path) if run.name == "one"]
    delete_run(summary)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_a_live_run_is_never_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0, state="running")
    lock = RunLock.acquire(run.lock)
    (summary,) = list_runs(tmp_path)
    with pytest.raises(BadInput, match="stop it first, nothing was deleted"):
        delete_run(summary)
    lock.release()
    assert run.config.exists()


def test_a_run_that_was_resumed_since_the_list_was_made_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0)
    (summary,) = list_runs(tmp_path)
    lock = RunLock.acquire(run.lock)
    with pytest.raises(BadInput, match="is writing this run"):
        delete_run(summary)
    lock.release()
    assert run.config.exists()


def test_a_run_of_another_host_that_may_live_is_not_deleted(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0, state="running", host="elsewhere")
    (summary,) = list_runs(tmp_path)
    with pytest.raises(BadInput, match="nothing was deleted"):
        delete_run(summary)
    assert run.config.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    run = make_run(tmp_path / "elsewhere", "one", 0)
    (summary,) = list_runs(tmp_path / "elsewhere")
    moved = tmp_path / "kept"
    run.path.rename(moved)
    run.path.symlink_to(moved)
    with pytest.raises(BadInput, match="nothing was deleted"):
        delete_run(summary)
    assert (moved / "config.yaml").exists()


def test_a_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", 0)
    (summary,) = list_runs(tmp_path)
    shutil.rmtree(run.path)
    with pytest.raises((BadInput, CannotWrite)):
        delete_run(summary)


@pytest.mark.parametrize("name", ["lock", "status.json", "events.jsonl", "control"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_run_of_odd_files_can_be_deleted_and_nothing_behind_its_links(
    tmp_path: Path, name: str, kind: str
) -> None:
    run = make_run(tmp_path / "runs", "evil", 0, state="finished")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "thesis").write_text("mine")
    place = run.path / name
    if place.is_dir():
        place.rmdir()
    place.unlink(missing_ok=True)
    if kind == "link":
        place.symlink_to(outside)
    else:
        os.mkfifo(place)

    delete_run(list_runs(tmp_path / "runs")[0])

    assert not run.path.exists()
    assert (outside / "thesis").read_text() == "mine"
