"""Nothing is written into a run that another process has taken over."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tui_trainer.runs.files import write_atomically
from tui_trainer.runs.guard import FRESH_S, GuardedFiles
from tui_trainer.runs.journal import Journal
from tui_trainer.runs.lock import Holder, RunLock
from tui_trainer.text.errors import CannotWrite


def lose(lock: Path) -> None:
    lock.write_text(json.dumps(asdict(Holder(77, "other-host", 1.0))))


@pytest.fixture
def lock(tmp_path: Path) -> RunLock:
    return RunLock.acquire(tmp_path / "lock")


def test_files_are_written_while_the_lock_is_ours_and_not_after_it(
    tmp_path: Path, lock: RunLock
) -> None:
    write_atomically(tmp_path / "file", b"first", GuardedFiles(lock))
    lose(tmp_path / "lock")
    with pytest.raises(CannotWrite, match="process 77 on other-host has taken the run over"):
        write_atomically(tmp_path / "file", b"second", GuardedFiles(lock))
    assert (tmp_path / "file").read_bytes() == b"first"
    assert sorted(os.listdir(tmp_path)) == ["file", "lock"]


def test_lines_of_a_lost_run_stay_with_who_has_lost_it(tmp_path: Path, lock: RunLock) -> None:
    path = tmp_path / "metrics.jsonl"
    journal = Journal(path, GuardedFiles(lock))
    lose(tmp_path / "lock")
    threading.Event().wait(FRESH_S)
    with pytest.raises(OSError, match="has taken the run over") as caught:
        journal.append([{"step": 1}])
    assert caught.value.errno == errno.ESTALE
    assert path.read_bytes() == b""
    journal.close()


@pytest.mark.parametrize(
    "act",
    [
        lambda files, folder: files.unlink(folder / "lock"),
        lambda files, folder: files.replace(folder / "lock", folder / "other"),
        lambda files, folder: files.mkdir(folder / "new"),
        lambda files, folder: files.open_new(folder / "new"),
        lambda files, folder: files.open_append(folder / "new"),
        lambda files, folder: files.truncate(0, 0),
    ],
    ids=["unlink", "replace", "mkdir", "open_new", "open_append", "truncate"],
)
def test_no_call_touches_the_files_of_another(
    tmp_path: Path, lock: RunLock, act: Callable[[GuardedFiles, Path], object]
) -> None:
    lose(tmp_path / "lock")
    with pytest.raises(OSError, match="has taken the run over"):
        act(GuardedFiles(lock), tmp_path)
    assert os.listdir(tmp_path) == ["lock"]
