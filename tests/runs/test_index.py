"""The list of runs is quick and shows every run, the broken ones too."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tui_trainer
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.index import list_runs, newest_live
from tui_trainer.runs.lock import RunLock
from tui_trainer.text.errors import BadInput

MANY = 1000
BOUND_S = 2.0


def make_run(runs_dir: Path, name: str, age_s: int, **status: object) -> RunDirectory:
    run = RunDirectory(runs_dir / name)
    make_skeleton(run)
    run.config.write_text("seed: 1\n")
    os.utime(run.config, (1_700_000_000 - age_s,) * 2)
    plain = {"name": name, "state": "finished", "host": socket.gethostname(), **status}
    run.status.write_text(json.dumps(plain))
    return run


def test_a_thousand_runs_are_listed_at_once(tmp_path: Path) -> None:
    for number in range(MANY):
        state = ("finished", "running", "failed")[number % 3]
        make_run(tmp_path, f"run-{number}", number, state=state)

    begin_s = time.process_time()
    listed = list_runs(tmp_path)
    used_s = time.process_time() - begin_s

    assert [summary.name for summary in listed] == [f"run-{number}" for number in range(MANY)]
    assert listed[1].state == "crashed"
    assert used_s < BOUND_S


def test_live_runs_come_first_and_then_the_newest(tmp_path: Path) -> None:
    make_run(tmp_path, "new", 0)
    make_run(tmp_path, "old", 50)
    live = make_run(tmp_path, "live", 100, state="running")
    lock = RunLock.acquire(live.lock)

    listed = list_runs(tmp_path)

    assert [(summary.name, summary.is_live) for summary in listed] == [
        ("live", True),
        ("new", False),
        ("old", False),
    ]
    lock.release()
    assert [summary.state for summary in list_runs(tmp_path)] == ["finished", "finished", "crashed"]


def test_broken_runs_are_listed_as_unreadable(tmp_path: Path) -> None:
    make_run(tmp_path, "good", 0)
    broken = {
        "missing": None,
        "empty": "",
        "torn": '{"name": "x", "sta',
        "list": "[]",
        "state-list": '{"name": "x", "state": []}',
        "deep": "[" * 100_000,
        "no-utf8": "\udcff",
    }
    for age_s, (name, text) in enumerate(broken.items(), start=1):
        run = make_run(tmp_path, name, age_s)
        run.status.unlink()
        if text is not None:
            run.status.write_bytes(text.encode(errors="surrogateescape"))
    make_run(tmp_path, "folder", 99).status.unlink()
    (tmp_path / "folder" / "status.json").mkdir()

    listed = list_runs(tmp_path)

    assert [(summary.name, summary.state) for summary in listed] == [
        ("good", "finished"),
        *((name, "unreadable") for name in (*broken, "folder")),
    ]
    assert all(summary.status is None and not summary.is_live for summary in listed[1:])


def test_a_summary_as_plain_data_has_name_path_and_the_concluded_state(tmp_path: Path) -> None:
    make_run(tmp_path, "killed", 0, state="running", step=7)
    make_run(tmp_path, "unreadable", 1).status.unlink()

    killed, unreadable = [summary.to_dict() for summary in list_runs(tmp_path)]

    assert (killed["name"], killed["state"], killed["step"]) == ("killed", "crashed", 7)
    assert unreadable == {
        "name": "unreadable",
        "path": str(tmp_path / "unreadable"),
        "state": "unreadable",
        "progress": None,
    }
    json.dumps([killed, unreadable], allow_nan=False)


@pytest.mark.parametrize(
    ("silent_s", "state"), [(1, "running"), (60, "lost?"), (600, "crashed")], ids=str
)
def test_a_run_on_another_host_is_judged_by_how_long_its_status_stands(
    tmp_path: Path, silent_s: int, state: str
) -> None:
    run = make_run(tmp_path, "far", 0, state="running", host="elsewhere")
    then = time.time() - silent_s
    os.utime(run.status, (then, then))
    assert [summary.state for summary in list_runs(tmp_path)] == [state]


def test_the_newest_live_run_is_the_one_to_attach_to(tmp_path: Path) -> None:
    make_run(tmp_path, "new", 0)
    for age_s, name in ((10, "live"), (20, "older")):
        make_run(tmp_path, name, age_s, state="running", host="elsewhere")
    assert newest_live(tmp_path).path == tmp_path / "live"
    for name in ("live", "older"):
        make_run(tmp_path, name, 30, state="stopped")
    with pytest.raises(BadInput, match=r"no live run .*; the newest is new, finished"):
        newest_live(tmp_path)


def test_no_folder_is_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "gone") == []


def test_listing_imports_neither_torch_nor_yaml(tmp_path: Path) -> None:
    make_run(tmp_path, "x", 0)
    code = (
        "import sys; from pathlib import Path; from tui_trainer.runs.index import list_runs; "
        "assert len(list_runs(Path(sys.argv[1]))) == 1; "
        "print([name for name in ('torch', 'yaml', 'textual') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(tui_trainer.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    assert done.stdout.strip() == "[]"
