"""`logs -f` goes on through what happens to a run, and says how it ended."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tui_trainer.config.errors import ExitCode
from tui_trainer.headless.logs import print_logs
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import Notice, to_dict
from tui_trainer.runs.journal import encode
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import Status, write_status


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "night-1122-0300")
    make_skeleton(run)
    return run


def say(run: RunDirectory, *texts: str) -> None:
    with run.events.open("ab") as file:
        file.write(encode([to_dict(Notice(1, text)) for text in texts]))


def beat(run: RunDirectory, state: str = "running") -> None:
    write_status(
        run.status,
        Status(
            name=run.path.name,
            state=state,
            step=1,
            epoch=1,
            pid=os.getpid(),
            host=socket.gethostname(),
            heartbeat=1,
            generation=0,
            device="cpu",
        ),
    )


def looks(*happenings: Callable[[], object]) -> Callable[[float], object]:
    """A sleep in which one thing happens after the other, and in the end an interrupt."""
    waiting = list(happenings)

    def sleep(seconds: float) -> None:
        assert waiting, "nothing more happens, and the end was not seen"
        if len(waiting) > 1:
            waiting.pop(0)()
        else:
            waiting[0]()

    return sleep


def test_a_run_that_was_killed_is_told_of(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "so far so good")
    beat(run)
    assert print_logs(run, follow=True, sleep=looks(lambda: None)) == ExitCode.OK
    said = capsys.readouterr().out.splitlines()
    assert "so far so good" in said[0]
    assert "crashed: its process is gone" in said[-1]
    assert "tui-trainer resume night-1122-0300" in said[-1]


def test_a_deleted_directory_is_told_of(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "so far so good")
    beat(run)
    lock = RunLock.acquire(run.lock)
    print_logs(run, follow=True, sleep=looks(lambda: shutil.rmtree(run.path)))
    assert "the directory of the run is gone" in capsys.readouterr().out.splitlines()[-1]
    lock.release()


def test_files_that_were_made_anew_are_read_from_their_beginning(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    say(run, "one", "two", "three")
    beat(run)
    lock = RunLock.acquire(run.lock)

    def make_anew() -> None:
        run.events.unlink()
        say(run, "anew")

    print_logs(run, follow=True, sleep=looks(make_anew, lambda: beat(run, "finished")))
    assert capsys.readouterr().out.splitlines()[-1].endswith("anew")
    lock.release()
