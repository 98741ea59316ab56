"""Provenance holds what was found out, null for what was not, and every start of a run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import tui_trainer
from tui_trainer.runs.provenance import PACKAGES, collect, write_provenance


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    done = subprocess.run(
        ["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_facts_are_plain_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    facts = collect(["tui-trainer", "train"], device="cpu", threads=2, extra={"data": "ab"})

    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["argv"] == ["tui-trainer", "train"]
    assert facts["cwd"] == str(tmp_path)
    assert facts["host"] == socket.gethostname()
    assert (facts["device"], facts["threads"], facts["data"]) == ("cpu", 2, "ab")
    assert set(facts["versions"]) == set(PACKAGES)
    assert facts["versions"]["torch"]
    assert facts["python"].startswith("3.")


def test_commit_and_changes_of_the_repository_around_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    # A repository around the temporary folder is none of this test's.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert collect([], device="cpu", threads=1)["git"] is None

    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    (tmp_path / "untracked").write_text("")
    assert collect([], device="cpu", threads=1)["git"] == {"commit": commit, "dirty": False}

    (tmp_path / "file").write_text("2")
    assert collect([], device="cpu", threads=1)["git"] == {"commit": commit, "dirty": True}


def test_without_git_there_is_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert collect([], device="cpu", threads=1)["git"] is None


def test_fault_32_a_working_directory_that_is_gone_is_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    facts = collect([], device="cpu", threads=1)

    assert (facts["cwd"], facts["git"]) == (None, None)


def test_each_start_is_kept_the_newest_at_the_top(tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    for start in (1, 2, 3):
        write_provenance(path, {"start": start})

    assert json.loads(path.read_bytes()) == {
        "start": 3,
        "earlier": [{"start": 1}, {"start": 2}],
    }
    assert os.listdir(tmp_path) == ["provenance.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"earlier": 3}', '{"earlier": null}', "[" * 100_000]
)
def test_a_broken_file_stops_no_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "provenance.json"
    path.write_text(text)

    write_provenance(path, {"start": 1})

    assert json.loads(path.read_bytes())["start"] == 1


def test_torch_is_not_imported_for_its_version() -> None:
    code = (
        "import sys; from tui_trainer.runs.provenance import collect; "
        "assert collect([], device='cpu', threads=1)['versions']['torch']; "
        "print('torch' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(tui_trainer.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "before",
    [
        '{"earlier": 3}',
        '{"earlier": [3], "threads": 1%s}' % ("0" * 400),
        '{"a": ' + "[" * 900 + "]" * 900 + "}",
        '{"a": "%s"}' % ("a" * 10**6),
        "[" * 200_000,
    ],
    ids=lambda before: before[:30],
)
def test_fault_56_what_is_out_of_bounds_is_not_kept(tmp_path: Path, before: str) -> None:
    path = tmp_path / "provenance.json"
    path.write_text(before)

    write_provenance(path, {"device": "cpu"})

    assert json.loads(path.read_text()).get("earlier", [3]) == [3]


def test_of_earlier_starts_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "provenance.json"
    path.write_text(json.dumps({"number": 200, "earlier": [{"number": n} for n in range(200)]}))

    write_provenance(path, {"number": 201})

    kept = json.loads(path.read_text())["earlier"]
    assert [facts["number"] for facts in kept] == list(range(101, 201))
