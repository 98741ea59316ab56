"""The table of the runs: what is in it, which of them, in which order."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.runs.test_index import make_run
from tui_trainer.cli.runs import print_runs
from tui_trainer.runs.lock import RunLock
from tui_trainer.text.errors import BadInput


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    now = datetime.now(timezone.utc)
    for number, (name, state, loss) in enumerate(
        [("cnn", "finished", 0.5), ("mlp", "stopped", 0.25), ("gru", "running", 0.75)]
    ):
        make_run(
            tmp_path,
            name,
            number,
            state=state,
            step=100 * (number + 1),
            total_steps=400,
            epoch=number,
            best={"loss": loss, "accuracy": 1 - loss},
            device="cuda:0",
            pid=40 + number,
            updated_at=(now - timedelta(hours=number)).isoformat(),
        )
    make_run(tmp_path, "torn", 9).status.write_text("{")
    return tmp_path


def names(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:]]


def test_a_row_has_state_progress_best_age_device_and_pid(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = RunLock.acquire(runs_dir / "gru" / "lock")
    print_runs(runs_dir)
    lock.release()
    header, live, *others = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["name", "state", "progress"]
    assert live.split() == [
        *("gru", "running", "75", "%", "2", "300", "0.7500", "25.00", "%", "2h", "cuda:0", "42")
    ]
    assert [line.split()[0] for line in others] == ["cnn", "mlp", "torn"]
    assert others[0].split()[-1] == "-", "a dead process has no number"


def test_a_run_that_is_starting_has_no_numbers_yet(
    runs_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(runs_dir, "new", 10, state="starting", total_steps=460, step=0, epoch=0)
    lock = RunLock.acquire(run.lock)
    print_runs(runs_dir, states="starting")
    lock.release()
    _, row = capsys.readouterr().out.splitlines()
    assert row.split()[:7] == ["new", "starting", "-", "-", "-", "-", "-"]


class Window(io.TextIOWrapper):
    """A terminal that keeps what is written to it."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding).splitlines()


@pytest.mark.parametrize(
    ("encoding", "no_colour", "finished", "stopped"),
    [
        ("utf-8", "", "\x1b[32m✓ finished\x1b[0m", "\x1b[33m■ stopped\x1b[0m"),
        ("utf-8", "1", "✓ finished", "■ stopped"),
        ("ascii", "", "\x1b[32m+ finished\x1b[0m", "\x1b[33m# stopped\x1b[0m"),
    ],
)
def test_on_a_terminal_a_state_has_a_sign_and_a_colour_unless_the_user_wants_none(
    runs_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str,
    no_colour: str,
    finished: str,
    stopped: str,
) -> None:
    window = Window(encoding)
    monkeypatch.setenv("NO_COLOR", no_colour)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", window)
    print_runs(runs_dir, states="finished,stopped")
    monkeypatch.undo()
    header, first, second = window.rows
    assert (finished in first, stopped in second) == (True, True)
    columns = [header.index("progress"), first.index("25 %"), second.index("50 %")]
    unseen = len(finished) - len("✓ finished")
    assert columns[1:] == [columns[0] + unseen + 4] * 2, "the columns stay below their titles"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("best", ["mlp", "cnn", "gru", "torn"]),
        ("step", ["gru", "mlp", "cnn", "torn"]),
        ("name", ["cnn", "gru", "mlp", "torn"]),
        ("progress", ["gru", "mlp", "cnn", "torn"]),
        ("age", ["torn", "cnn", "mlp", "gru"]),
    ],
)
def test_the_order_can_be_chosen(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], order: str, expected: list[str]
) -> None:
    print_runs(runs_dir, order=order)
    assert names(capsys.readouterr().out) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("crashed", ["gru"]),
        ("stopped, finished", ["cnn", "mlp"]),
        ("ended", ["cnn", "mlp", "gru", "torn"]),
        ("unreadable", ["torn"]),
    ],
)
def test_some_states_can_be_chosen(
    runs_dir: Path, capsys: pytest.CaptureFixture[str], states: str, expected: list[str]
) -> None:
    print_runs(runs_dir, states=states)
    assert names(capsys.readouterr().out) == expected
    print_runs(runs_dir, states=states, as_json=True)
    assert [run["name"] for run in json.loads(capsys.readouterr().out)] == expected


def test_no_run_is_said_to_be_none(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_runs(runs_dir, states="live")
    assert capsys.readouterr().out == f"no runs that are live in {runs_dir}\n"


def test_what_is_no_state_and_no_order_is_refused(runs_dir: Path) -> None:
    with pytest.raises(BadInput, match="did you mean 'finished'"):
        print_runs(runs_dir, states="finishd")
    with pytest.raises(BadInput, match="--sort: no column 'size'"):
        print_runs(runs_dir, order="size")
