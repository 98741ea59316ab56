"""Taking a run over from another host: not while it is heard of, by force while it may live."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.runs.test_index import make_run
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.host import boot_id
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.lock import Holder
from tui_trainer.runs.status import read_status, write_status
from tui_trainer.runs.takeover import fence, gone_host
from tui_trainer.text.errors import BadInput, CannotWrite


def silent(folder: Path, age_s: float, state: str = "running", host: str = "there") -> RunDirectory:
    """A run whose last word is some seconds old."""
    run = make_run(folder, "one", 0, state=state, host=host, pid=7)
    os.utime(run.status, (time.time() - age_s,) * 2)
    return run


@pytest.mark.parametrize("force", [False, True])
def test_a_run_that_is_heard_of_is_never_taken_over(tmp_path: Path, force: bool) -> None:
    with pytest.raises(BadInput, match=r"process 7 on there .*ctl \S*/one stop"):
        gone_host(silent(tmp_path, 10), force=force)


def test_a_run_that_may_live_is_taken_over_by_force_alone(tmp_path: Path) -> None:
    run = silent(tmp_path, 100)
    with pytest.raises(BadInput, match=r"process 7 on there has been silent .*--force"):
        gone_host(run)
    assert gone_host(run, force=True) == "there"


def test_a_run_that_has_been_silent_for_long_is_taken_over(tmp_path: Path) -> None:
    assert gone_host(silent(tmp_path, 400)) == "there"


@pytest.mark.parametrize(
    ("state", "host"), [("stopped", "there"), ("finished", "there"), ("running", "")]
)
def test_there_is_nobody_to_ask_of_an_ended_run_or_one_of_this_host(
    tmp_path: Path, state: str, host: str
) -> None:
    run = silent(tmp_path, 100, state, host or socket.gethostname())
    assert gone_host(run) == ""


def test_a_run_of_this_host_under_its_former_name_is_taken_over_at_once(tmp_path: Path) -> None:
    run = silent(tmp_path, 0)
    status = read_status(run.status)
    assert status is not None
    status.process.boot_id = boot_id()
    write_status(run.status, status)
    assert gone_host(run) == ""

    # Without flock, a process in another container is out of sight, and only silence tells.
    holder = Holder(7, "there", 1.0, f"{boot_id()}/1", "pid:[1]")
    run.lock.with_name("lock.exclusive").write_text(json.dumps(asdict(holder)))
    with pytest.raises(BadInput, match="process 7 on there is writing"):
        gone_host(run)


def test_a_run_without_a_status_has_no_host(tmp_path: Path) -> None:
    run = silent(tmp_path, 100)
    run.status.unlink()
    assert gone_host(run) == ""


def test_what_the_process_before_writes_late_gets_to_nobody(tmp_path: Path) -> None:
    run = silent(tmp_path, 100)
    journals = [Journal(path) for path in (run.metrics, run.events)]
    for journal in journals:
        journal.append([{"step": 1}])
    fence(run)
    for journal in journals:
        journal.append([{"step": 2}])
        journal.close()
    for path in (run.metrics, run.events):
        assert path.read_text().splitlines()[-1] == '{"step": 1}'
    assert not run.edits.exists()
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl", "edits.jsonl"])
def test_fault_53_what_a_link_leads_to_is_not_copied_into_a_run(tmp_path: Path, name: str) -> None:
    run = silent(tmp_path / "runs", 400)
    secret = tmp_path / "secret"
    secret.write_text("SECRET\n" * 300)
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(secret)

    with pytest.raises(CannotWrite, match=f"{name} is a symbolic link"):
        fence(run)
    assert (run.path / name).is_symlink()
    assert secret.read_text() == "SECRET\n" * 300
