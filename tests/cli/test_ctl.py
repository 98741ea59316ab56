"""`tui-trainer ctl`: what is sent, what is answered, and what is refused before it is sent."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.runs.views import a_view
from tui_trainer.cli.arguments import parse
from tui_trainer.cli.ctl import control
from tui_trainer.machine.usage import UsageMeter
from tui_trainer.runs.commands import Set, to_dict
from tui_trainer.runs.control import applied
from tui_trainer.runs.directory import RunDirectory, create_run
from tui_trainer.runs.lock import RunLock
from tui_trainer.runs.status import write_status
from tui_trainer.runs.view import RunView
from tui_trainer.sessions.local import LocalSession
from tui_trainer.sessions.startup import Startup
from tui_trainer.sessions.watcher import Watcher
from tui_trainer.text.errors import BadInput


def never(startup: Startup) -> NoReturn:
    raise AssertionError("the session is not started")


def tell(run: RunDirectory, state: str) -> None:
    write_status(
        run.status,
        a_view(name="run", state=state, pid=os.getpid(), host=socket.gethostname(), heartbeat=1),
    )


@contextmanager
def living(folder: Path, session: LocalSession | None = None) -> Iterator[RunDirectory]:
    """A run whose watcher takes the mail, and whose trainer carries nothing out."""
    run = create_run(folder, "run")
    lock = RunLock.acquire(run.lock)
    watcher = Watcher(session or LocalSession(never), run, lock, RunView(), UsageMeter())
    watcher.start()
    try:
        yield run
    finally:
        watcher.finish()
        lock.release()


def test_each_setting_is_answered_by_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(tmp_path) as run:
        control(run, "set", ["optimizer.lr=1e-4", "training.epochs=9"], timeout_s=0)
        control(run, "set", ["optimizer.lr=1e-4"], timeout_s=0, as_json=True)
    *lines, last = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "received" in line] == [
        "set optimizer.lr: received",
        "set training.epochs: received",
    ]
    assert json.loads(last) == {
        **{"command": "set", "key": "optimizer.lr"},
        **{"applied": False, "step": None, "refused": ""},
    }


@pytest.mark.parametrize(
    ("word", "settings", "choices", "told"),
    [
        ("stop", [], {"flags": ["offload"]}, "--offload belongs to pause"),
        ("pause", [], {"flags": ["discard"]}, "--discard belongs to stop"),
        ("save", [], {"timeout_s": -3.0}, "--timeout: should be at least 0 seconds"),
        ("save", [], {"timeout_s": float("nan")}, "--timeout: should be at least 0 seconds"),
        ("set", [f"optimizer.{'x' * 300}=1"], {}, "command set: key cannot be"),
        ("set", [f"optimizer.lr={'x' * 300}"], {}, "command set: value cannot be"),
    ],
)
def test_what_would_not_be_obeyed_is_refused_and_not_sent(
    tmp_path: Path, word: str, settings: list[str], choices: dict[str, Any], told: str
) -> None:
    with living(tmp_path) as run:
        with pytest.raises(BadInput, match=told):
            control(run, word, settings, **choices)
        events = run.events.read_text() if run.events.exists() else ""
    assert events == ""


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["pause"], {"command": "pause", "offload": False}),
        (["pause", "--offload"], {"command": "pause", "offload": True}),
        (["stop"], {"command": "stop", "save": True}),
        (["--discard", "stop"], {"command": "stop", "save": False}),
        (["validate"], {"command": "validate"}),
    ],
)
def test_a_command_is_sent_as_its_flags_say(
    tmp_path: Path, words: list[str], sent: dict[str, Any]
) -> None:
    arguments = parse(["ctl", "last", *words])
    session = LocalSession(never)
    # Before that, a stop would end the start.
    session._startup.commit()
    with living(tmp_path, session) as run:
        control(run, arguments.command, [], flags=arguments.flags, timeout_s=0)
        command = session.control.take()
    assert command is not None
    assert to_dict(command).items() >= sent.items()


def test_a_run_that_ends_before_it_sees_a_command_is_told_of_by_its_state(tmp_path: Path) -> None:
    run = create_run(tmp_path, "run")
    tell(run, "running")

    def end() -> None:
        while not any(path.suffix == ".json" for path in run.control.iterdir()):
            os.sched_yield()
        tell(run, "finished")

    lock = RunLock.acquire(run.lock)
    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(BadInput, match="is finished: it ended before it saw the command"):
        control(run, "pause", [])
    ending.join()
    lock.release()


def test_a_setting_may_be_named_by_its_last_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with living(tmp_path) as run:
        run.config.write_text("optimizer: {type: sgd, lr: 0.1}\ntraining: {epochs: 3}\n")
        control(run, "set", ["lr=1e-4", "epochs=9"], timeout_s=0)
        with pytest.raises(BadInput, match=r"set: learning_rate: .*did you mean 'optimizer\.lr'"):
            control(run, "set", ["learning_rate=1e-4"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "received" in line] == [
        "set optimizer.lr: received",
        "set training.epochs: received",
    ]


@contextmanager
def asking(folder: Path) -> Iterator[tuple[RunDirectory, list[Set]]]:
    """A live run that refuses a `set` until it is forced, and the commands that it got."""
    session = LocalSession(never)
    got: list[Set] = []
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            session.control.wait(0.05)
            command = session.control.take()
            if isinstance(command, Set):
                got.append(command)
                question = "" if command.force else "72 epochs are done: this ends the run now"
                session.emit(applied(command, 1656, question, can_force=bool(question)))

    answering = threading.Thread(target=answer)
    answering.start()
    try:
        with living(folder, session) as run:
            yield run, got
    finally:
        over.set()
        answering.join()


def test_an_edit_that_would_end_the_run_is_made_after_a_yes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = []

    def yes(question: str) -> bool:
        questions.append(question)
        return True

    with asking(tmp_path) as (run, got):
        assert control(run, "set", ["training.epochs=70"], confirm=yes) == 0
    assert questions == [
        "set training.epochs: 72 epochs are done: this ends the run now. Do it anyway?"
    ]
    assert [(command.value, command.force) for command in got] == [(70, False), (70, True)]
    assert got[0].id != got[1].id
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "set training.epochs: applied at step 1,656"


def test_without_a_yes_it_is_refused_and_the_flag_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with asking(tmp_path) as (run, got):
        assert control(run, "set", ["training.epochs=70"]) == 2
        assert control(run, "set", ["training.epochs=70"], as_json=True) == 2
    assert [command.force for command in got] == [False, False]
    captured = capsys.readouterr()
    assert captured.out.splitlines()[:-1] == ["set training.epochs: received"]
    assert captured.err.splitlines()[0] == (
        "tui-trainer: set training.epochs: refused: 72 epochs are done: this ends the run now; "
        "--force does it anyway"
    )
    assert json.loads(captured.out.splitlines()[-1])["can_force"] is True


def test_a_forced_edit_is_not_asked_about(tmp_path: Path) -> None:
    arguments = parse(["ctl", "last", "set", "training.epochs=70", "--force"])
    with asking(tmp_path) as (run, got):
        assert control(run, "set", arguments.overrides, flags=arguments.flags) == 0
    assert [command.force for command in got] == [True]


def test_an_older_run_can_read_an_edit_that_is_not_forced() -> None:
    plain = to_dict(Set(key="training.epochs", value=70))
    assert plain.keys() == {"command", "origin", "id", "key", "value"}
    assert to_dict(Set(key="training.epochs", value=70, force=True))["force"] is True
