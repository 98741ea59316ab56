"""The watcher: what it says by itself."""

from __future__ import annotations

import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import pytest

from tests.runs.test_recording import PER_EPOCH, append, make_run, metrics_line
from tui_trainer.machine.usage import GpuUsage, Usage, UsageMeter, usage_of
from tui_trainer.runs.commands import Save
from tui_trainer.runs.directory import create_run, make_skeleton
from tui_trainer.runs.events import (
    Notice,
    RunStarted,
    StateChanged,
    StepsTaken,
    ValidationEnded,
    ValidationStarted,
    to_dict,
)
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.mailbox import send
from tui_trainer.runs.recording import open_recording, read_recording, whole_recording
from tui_trainer.runs.status import read_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.startup import Startup
from tui_trainer.sessions.watcher import CurveKeeper, Watcher


class FakeMeter(UsageMeter):
    """Says what a test makes it say of a GPU."""

    def __init__(self, gpu: GpuUsage | None) -> None:
        super().__init__()
        self.gpu = gpu

    def read(self) -> Usage:
        return Usage(10**9, 1.0, 1.0, 10**9, self.gpu)


def never(startup: Startup) -> NoReturn:
    raise AssertionError("the session is not started")


def test_the_files_say_who_asked_when_and_what_is_used(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    session.usage = FakeMeter(None).read()
    watcher = Watcher(session, run, lock, RunView(), FakeMeter(None))
    watcher.start()
    session.send(Save())
    session.send(Save(origin="SIGUSR1"))
    watcher.finish()
    lock.release()
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["command_accepted"] * 2
    here = f"{socket.gethostname()}/{os.getpid()}"
    assert lines[0]["origin"].startswith("app (")
    assert here in lines[0]["origin"]
    assert lines[1]["origin"] == "SIGUSR1"
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in lines)
    status = read_status(run.status)
    assert status is not None
    assert usage_of(status.process.usage) == session.usage
    assert read_recording(run) is not None


def test_a_file_that_is_no_command_is_told_of_and_put_aside(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run")
    run.control.chmod(0o755)
    make_skeleton(run)
    assert run.control.stat().st_mode & 0o777 == 0o700
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    (run.control / "00000001-ab.json").write_text('{"command": "format-disk"}')
    (run.control / "00000002-ab.json").write_text(" " * 70_000)
    watcher = Watcher(session, run, lock, RunView(), FakeMeter(None))
    watcher.start()
    until_s = time.monotonic() + 60
    while not session.events(0)[0] and time.monotonic() < until_s:
        session.wait(0.05)
    watcher.finish()
    lock.release()
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [line["event"] for line in lines] == ["notice", "notice"]
    assert "no command 'format-disk'" in lines[0]["text"]
    assert "too many for a command" in lines[1]["text"]
    assert session.control.take() is None
    assert len(list((run.control / "rejected").iterdir())) == 2


def test_a_look_that_fails_is_told_once_and_mail_is_taken_all_the_same(tmp_path: Path) -> None:
    class Broken(FakeMeter):
        def read(self) -> Usage:
            raise ValueError("no such unit")

    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    watcher = Watcher(session, run, lock, RunView(), Broken(None))
    watcher.start()
    asked: list[object] = []
    until_s = time.monotonic() + 60
    while len(asked) < 2 and time.monotonic() < until_s:
        send(run.control, Save(origin="ctl"))
        while (command := session.control.take()) is None and time.monotonic() < until_s:
            session.wait(0.05)
        asked.append(command)
        os.utime(run.control, (0, 0))
        while run.control.stat().st_mtime == 0 and time.monotonic() < until_s:
            session.wait(0.05)
    watcher.finish()
    lock.release()
    assert all(isinstance(command, Save) for command in asked)
    notices = [event for event in session.events(0)[0] if isinstance(event, Notice)]
    assert [event.level for event in notices] == ["error"]
    assert "ValueError: no such unit" in notices[0].text


def test_names_in_the_mailbox_are_asked_for_anew_where_a_file_system_keeps_them(
    tmp_path: Path,
) -> None:
    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    watcher = Watcher(LocalSession(never), run, lock, RunView(), FakeMeter(None))
    changed_s = []
    watcher.start()
    for _ in range(2):
        os.utime(run.control, (0, 0))
        until_s = time.monotonic() + 60
        while run.control.stat().st_mtime == 0 and time.monotonic() < until_s:
            os.sched_yield()
        changed_s.append(run.control.stat().st_mtime)
    watcher.finish()
    lock.release()
    assert all(changed_s)


def test_the_curves_are_kept_near_the_end_of_the_lines(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", 3000)
    now_s = 0.0
    keeper = CurveKeeper(run, lambda: now_s)
    length = run.events.stat().st_size
    keeper.look(length)
    assert not run.history.exists(), "not at every look"
    now_s = 11.0
    keeper.look(length)
    covered = read_recording(run)
    assert covered is not None
    assert covered.history.newest == 3000
    append(run.metrics, metrics_line(3001))
    keeper.add([steps(3001)])
    now_s = 22.0
    keeper.look(length)
    assert read_recording(run).history.newest == 3000, "nor for a line"  # type: ignore[union-attr]
    keeper.write(length)
    assert read_recording(run).history.newest == 3001  # type: ignore[union-attr]


def steps(last: int, count: int = 1) -> StepsTaken:
    """Steps with the numbers of `metrics_line`."""
    losses = tuple(1 / step for step in range(last - count + 1, last + 1))
    return StepsTaken(last, 1, last / 100, losses, (0.5,) * count, (1e-3,) * count, 100.0, 0.0)


def test_the_curves_of_events_are_those_of_the_lines_and_readers_go_on_from_there(
    tmp_path: Path,
) -> None:
    run = make_run(tmp_path / "run", 0)
    run.metrics.unlink()
    keeper = CurveKeeper(run)
    start = RunStarted(0, 0, "r", "cpu", 1, 1, PER_EPOCH, None, 1)
    middle = ValidationEnded(400, 1, 4.0, {"loss": 0.5}, 0.1, True, 0)
    keeper.add([start, steps(400, 400), middle, middle, steps(800, 400)])
    # The line of step 800 is there before the validation that belongs to it was told.
    lines = [metrics_line(step) for step in range(1, 801)]
    append(run.metrics, *lines[:-1], {**lines[-1], "val/loss": 0.25})
    append(run.events, to_dict(middle))
    keeper.write(run.events.stat().st_size)
    append(run.metrics, metrics_line(801))
    append(run.events, to_dict(ValidationEnded(800, 1, 8.0, {"loss": 0.25}, 0.1, True, 0)))
    assert read_recording(run, 1) is not None
    for history in (open_recording(run, 1).history, whole_recording(run).history):
        curves = {
            name: history.curve(name, x="step", window="all", columns=9999, smoothing=0.0)
            for name in ("train/loss", "val/loss")
        }
        assert list(curves["train/loss"].xs) == list(range(1, 802))
        assert list(curves["train/loss"].means) == [1 / step for step in range(1, 802)]
        assert list(curves["val/loss"].xs) == [400, 800]
        assert list(curves["val/loss"].means) == [0.5, 0.25]


@pytest.mark.parametrize("missed", [0, 7])
def test_events_that_are_no_longer_kept_are_read_from_the_files(
    tmp_path: Path, missed: int
) -> None:
    run = make_run(tmp_path / "run", 0)
    run.metrics.unlink()
    keeper = CurveKeeper(run)
    keeper.add([RunStarted(0, 0, "r", "cpu", 1, 1, PER_EPOCH, None, 1), steps(100, 100)])
    append(run.metrics, *(metrics_line(step) for step in range(1, 501)))
    keeper.add([steps(600, 150)], missed=missed)
    keeper.write(run.events.stat().st_size)
    recording = read_recording(run)
    assert recording is not None
    curve = recording.history.curve("lr", x="step", window="all", columns=9999, smoothing=0.0)
    known = range(1, 501) if missed else range(1, 101)
    assert list(curve.xs) == sorted({*known, *range(451, 601)})


def told(tmp_path: Path, gpu: GpuUsage | None, freed_bytes: int) -> list[str]:
    """The notices after a pause that gave so much back."""
    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    watcher = Watcher(session, run, lock, RunView(), FakeMeter(gpu))
    watcher.start()
    session.emit(StateChanged(300, "paused", "saved at step 300", freed_bytes))
    watcher.finish()
    lock.release()
    events, _ = session.events(0)
    return [event.text for event in events if isinstance(event, Notice)]


def test_after_giving_memory_back_it_says_what_stays_with_the_cuda_context(tmp_path: Path) -> None:
    gpu = GpuUsage("H100", 0, 9_000_000_000, 80_000_000_000, own_bytes=310_000_000)
    assert told(tmp_path, gpu, 1_200_000_000) == [
        "310 MB of GPU memory stay with the CUDA context until the run ends"
    ]


@pytest.mark.parametrize(
    ("gpu", "freed_bytes"),
    [
        (None, 1_200_000_000),
        (GpuUsage("H100", 0, 9_000_000_000, 80_000_000_000), 1_200_000_000),
        (GpuUsage("H100", 0, 9_000_000_000, 80_000_000_000, own_bytes=310_000_000), 0),
    ],
)
def test_what_is_not_known_or_not_asked_for_is_not_said(
    tmp_path: Path, gpu: GpuUsage | None, freed_bytes: int
) -> None:
    assert told(tmp_path, gpu, freed_bytes) == []


def test_of_a_validation_that_is_over_only_the_end_is_written(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    watcher = Watcher(session, run, lock, RunView(), FakeMeter(None))
    for step in (10, 20):
        session.emit(ValidationStarted(step, 1))
        session.emit(ValidationEnded(step, 1, 0.5, {"loss": 0.5}, 0.1, True, 0))
    session.emit(ValidationStarted(30, 1))
    watcher.start()
    watcher.finish()
    lock.release()
    lines = [json.loads(line) for line in run.events.read_text().splitlines()]
    assert [(line["event"], line["step"]) for line in lines] == [
        ("validation_ended", 10),
        ("validation_ended", 20),
        ("validation_started", 30),
    ]
