"""The watcher: what it says by itself."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from tui_trainer.runs.directory import create_run
from tui_trainer.runs.events import Notice, StateChanged
from tui_trainer.runs.lock import RunLock
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.session import Latest
from tui_trainer.sessions.usage import GpuUsage, Usage, UsageMeter
from tui_trainer.sessions.watcher import Watcher


class FakeMeter(UsageMeter):
    """Says what a test makes it say of a GPU."""

    def __init__(self, gpu: GpuUsage | None) -> None:
        super().__init__()
        self.gpu = gpu

    def read(self) -> Usage:
        return Usage(10**9, 1.0, 1.0, 10**9, self.gpu)


def never() -> NoReturn:
    raise AssertionError("the session is not started")


def told(tmp_path: Path, gpu: GpuUsage | None, freed_bytes: int) -> list[str]:
    """The notices after a pause that gave so much back."""
    run = create_run(tmp_path, "run")
    lock = RunLock.acquire(run.lock)
    session = LocalSession(never)
    watcher = Watcher(session, run, lock, Latest(), FakeMeter(gpu))
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
