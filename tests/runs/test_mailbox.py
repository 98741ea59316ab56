"""The mailbox obeys its owner's commands in order, and survives whatever else lies in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_trainer.runs.commands import Command, Pause, Resume, Save, Set, Stop, Validate
from tui_trainer.runs.directory import RunDirectory, make_skeleton
from tui_trainer.runs.events import CommandAccepted, CommandApplied, Notice, to_dict
from tui_trainer.runs.files import PREFIX
from tui_trainer.runs.journal import encode
from tui_trainer.runs.mailbox import MOST_A_LOOK, MOST_BYTES, MOST_REJECTED, Mailbox, send, wait_for
from tui_trainer.text.errors import CannotWrite

PAUSE = b'{"command": "pause"}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = RunDirectory(tmp_path / "run")
    make_skeleton(run)
    return run.control


def name_of(number: int = 1) -> str:
    return f"{number:08d}-ab12.json"


def put(folder: Path, data: bytes, number: int = 1) -> Path:
    path = folder / name_of(number)
    path.write_bytes(data)
    return path


def files_in(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name != "rejected")


def moved_aside(folder: Path) -> list[str]:
    """Return the names of the files in control/rejected, without the ids that make them unique."""
    return [name.partition("-")[2] for name in os.listdir(folder / "rejected")]


def test_every_command_arrives_as_it_was_sent_and_in_order(folder: Path) -> None:
    sent: list[Command] = [
        Pause(offload=True),
        Resume(origin="ctl"),
        Set(key="optimizer.lr", value=3e-4),
        Set(key="logging.note", value="ü\n\x1b"),
        Save(),
        Validate(),
        Stop(save=False, signal=15),
    ]
    for command in sent:
        send(folder, command)

    mail = Mailbox(folder).take()

    assert mail.commands == sent
    assert mail.rejected == []
    assert os.listdir(folder) == []
    assert Mailbox(folder).take().commands == []


def test_order_is_that_of_the_names_and_not_of_the_folder(folder: Path) -> None:
    for number in (3, 1, 10, 2):
        put(folder, b'{"command": "set", "key": "k", "value": %d}' % number, number)

    commands = Mailbox(folder).take().commands

    assert [c.value for c in commands if isinstance(c, Set)] == [1, 2, 3, 10]


def test_of_what_was_moved_aside_the_newest_are_kept(folder: Path) -> None:
    box = Mailbox(folder)
    for round_ in range(3):
        for number in range(MOST_REJECTED // 2 + 1):
            put(folder, b"nonsense", 1000 * round_ + number)
        assert len(box.take().rejected) == MOST_REJECTED // 2 + 1
    kept = moved_aside(folder)
    assert len(kept) == MOST_REJECTED
    numbers = sorted(int(name.partition("-")[0]) for name in kept)
    assert numbers[0] >= 1000
    assert numbers[-1] == 2000 + MOST_REJECTED // 2


def check_rejected(folder: Path, path: Path, reason: str = "") -> None:
    """Not obeyed, told once, moved aside, and what came with it is obeyed all the same."""
    put(folder, PAUSE, 999)
    box = Mailbox(folder)

    mail = box.take()

    assert [type(command) for command in mail.commands] == [Pause]
    assert len(mail.rejected) == 1
    assert path.name in mail.rejected[0]
    assert reason in mail.rejected[0]
    assert mail.rejected[0].isprintable()
    assert len(mail.rejected[0]) < 400
    assert files_in(folder) == []
    assert moved_aside(folder) == [path.name]
    again = box.take()
    assert (again.commands, again.rejected) == ([], [])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[]",
        b"3",
        b"null",
        b'"stop"',
        b"{}",
        b'{"command": null}',
        b'{"command": ["stop"]}',
        b'{"command": {"stop": 1}}',
        b'{"command": "stpo"}',
        b'{"command": "__class__"}',
        b'{"command": "\\u001b[31m\\n\\u202e"}',
        b'{"command": "set"}',
        b'{"command": "set", "key": "optimizer.lr"}',
        b'{"command": "set", "key": 3, "value": 1}',
        b'{"command": "set", "key": "k", "value": [1]}',
        b'{"command": "set", "key": "k", "value": {"a": 1}}',
        b'{"command": "set", "key": "' + b"k" * 201 + b'", "value": 1}',
        b'{"command": "pause", "offload": 1}',
        b'{"command": "pause", "offload": "yes"}',
        b'{"command": "pause", "shell": "rm -rf"}',
        b'{"command": "pause", "__class__": "x"}',
        b'{"command": "stop", "save": null}',
        b'{"command": "stop", "signal": "9"}',
        b'{"command": "stop", "signal": 1.5}',
        b'{"command": "stop", "signal": true}',
        b'{"command": "stop", "signal": -1}',
        b'{"command": "stop", "signal": 1' + b"0" * 30 + b"}",
        b'{"command": "pause", "id": 7}',
        b'{"command": "pause", "origin": {}}',
        b'{"command": "set", "key": "k", "value": 1' + b"0" * 10_000 + b"}",
        b"[" * 60_000,
        b'{"command":' * 6_000,
    ],
)
def test_what_is_no_command_is_moved_aside_told_and_never_obeyed(folder: Path, data: bytes) -> None:
    check_rejected(folder, put(folder, data))


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    check_rejected(folder, put(folder, PAUSE + b" " * MOST_BYTES), "too many")


def test_the_largest_file_that_is_allowed_is_read(folder: Path) -> None:
    put(folder, PAUSE.ljust(MOST_BYTES))

    assert len(Mailbox(folder).take().commands) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_not_obeyed(folder: Path) -> None:
    path = put(folder, PAUSE)
    os.chown(path, 65534, 65534)

    check_rejected(folder, path, "another user")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(folder: Path) -> None:
    path = put(folder, PAUSE)
    path.chmod(0)

    check_rejected(folder, path)


def test_fault_36_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(PAUSE)
    path = folder / name_of()
    path.symlink_to(outside)

    check_rejected(folder, path)

    assert outside.read_bytes() == PAUSE


def test_a_link_to_nowhere_is_moved_aside(folder: Path) -> None:
    path = folder / name_of()
    path.symlink_to(folder / "nowhere")

    check_rejected(folder, path)


def test_a_pipe_stops_nobody(folder: Path) -> None:
    path = folder / name_of()
    os.mkfifo(path)

    check_rejected(folder, path, "not a file")


def test_a_socket_is_moved_aside(folder: Path) -> None:
    path = folder / name_of()
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        # A socket's path may have 107 bytes, so it is made elsewhere and moved.
        listener.bind(f"{short}/s")
        if os.stat(short).st_dev != os.stat(folder).st_dev:
            pytest.skip("the temporary folders are on different file systems")
        os.rename(f"{short}/s", path)

        check_rejected(folder, path)


def test_a_folder_is_moved_aside(folder: Path) -> None:
    path = folder / name_of()
    path.mkdir()
    (path / "inside").write_text("x")

    check_rejected(folder, path)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_what_is_no_file_leaves_no_descriptor_open(folder: Path) -> None:
    box = Mailbox(folder)
    before = len(os.listdir("/proc/self/fd"))

    for number in range(5):
        (folder / name_of(number)).mkdir()
        box.take()

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "name", ["stop.json", "1-ab.json", "-rf.json", "\x1b[31m\n.json", "README", "00000001-ab.json~"]
)
def test_fault_37_a_name_that_is_none_of_ours_is_moved_aside_and_shown_harmless(
    folder: Path, name: str
) -> None:
    (folder / name).write_bytes(PAUSE)

    mail = Mailbox(folder).take()

    assert mail.commands == []
    assert len(mail.rejected) == 1
    assert mail.rejected[0].isprintable()
    assert moved_aside(folder) == [name]


def test_hidden_temporaries_are_left_alone(folder: Path) -> None:
    names = sorted([f".{name_of()}", ".tmp.json", f"{PREFIX}1-{name_of()}"])
    for name in names:
        (folder / name).write_bytes(PAUSE)

    mail = Mailbox(folder).take()

    assert (mail.commands, mail.rejected) == ([], [])
    assert sorted(os.listdir(folder)) == names


def test_the_same_name_can_be_rejected_more_than_once(folder: Path) -> None:
    for _ in range(3):
        put(folder, b"{")
        Mailbox(folder).take()

    assert moved_aside(folder) == [name_of()] * 3


def test_a_file_that_cannot_be_moved_aside_is_told_once(folder: Path) -> None:
    put(folder, b"{")
    (folder / "rejected").write_text("in the way")
    box = Mailbox(folder)

    assert len(box.take().rejected) == 1
    assert box.take().rejected == []
    assert box.take().commands == []


def test_fault_29_the_order_of_sending_needs_no_clock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked() -> int:
        raise AssertionError("the wall clock was asked")

    monkeypatch.setattr(time, "time_ns", asked)
    sent = [Set(key="k", value=number) for number in range(12)]
    for command in sent:
        send(folder, command)

    assert Mailbox(folder).take().commands == sent


def test_what_was_sent_to_an_earlier_life_is_thrown_away_and_told(folder: Path) -> None:
    send(folder, Stop())
    send(folder, Pause())
    box = Mailbox(folder)

    reports = box.clear()

    assert len(reports) == 2
    assert all("earlier start" in text for text in reports)
    send(folder, Save())
    assert [type(command) for command in box.take().commands] == [Save]


def test_a_folder_that_is_not_there_is_an_empty_one(tmp_path: Path) -> None:
    assert Mailbox(tmp_path / "gone").take().commands == []


def test_fault_31_sending_into_a_folder_that_is_not_there_is_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="gone"):
        send(tmp_path / "gone", Pause())


@given(data=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_bytes_raise(folder: Path, data: bytes) -> None:
    put(folder, data)

    mail = Mailbox(folder).take()

    assert len(mail.commands) + len(mail.rejected) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["id", "origin", "offload", "save", "signal", "key", "value", "x"])


@given(
    command=st.sampled_from(["pause", "resume", "stop", "save", "validate", "set", "x"]),
    fields=st.dictionaries(KEYS, JSON, max_size=4),
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_fields_raise(folder: Path, command: str, fields: dict[str, Any]) -> None:
    put(folder, json.dumps({**fields, "command": command}).encode())

    mail = Mailbox(folder).take()

    assert len(mail.commands) + len(mail.rejected) == 1
    assert all(text.isprintable() for text in mail.rejected)


def grow(run: RunDirectory, *batches: list[dict[str, Any]]) -> Callable[[float], None]:
    """A `sleep` in which the run writes the next of its events."""
    coming = iter(batches)

    def sleep(_: float) -> None:
        with run.events.open("ab") as file:
            file.write(encode(next(coming)))

    return sleep


def test_an_acknowledgement_is_waited_for_by_id_and_event(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    wanted = CommandApplied(7, "b", "save", "ctl")
    sleep = grow(
        run,
        [to_dict(CommandAccepted(7, "b", "save", "ctl"))],
        [to_dict(replace(wanted, id="a"))],
        [to_dict(Notice(7, "b")), to_dict(wanted)],
    )

    assert wait_for(run, "b", CommandApplied, 0, 60.0, sleep) == wanted


@pytest.mark.parametrize(
    "change",
    [{"step": None}, {"step": "7"}, {"step": 10**400}, {"step": -1}, {"refused": ["no"]}],
    ids=lambda change: f"{change!r:.30}",
)
def test_fault_56_a_line_that_is_no_event_is_no_acknowledgement(
    tmp_path: Path, change: dict[str, object]
) -> None:
    run = RunDirectory(tmp_path)
    applied = CommandApplied(7, "b", "save", "ctl")
    without_step = {key: value for key, value in to_dict(applied).items() if key != "step"}
    run.events.write_bytes(encode([without_step, {**to_dict(applied), **change}]))

    assert wait_for(run, "b", CommandApplied, 0, 0.0) is None

    with run.events.open("ab") as file:
        file.write(encode([to_dict(applied)]))

    assert wait_for(run, "b", CommandApplied, 0, 0.0) == applied


def test_an_acknowledgement_before_the_offset_does_not_count(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    old = CommandApplied(3, "a", "save", "ctl")
    run.events.write_bytes(encode([to_dict(old)]))

    assert wait_for(run, "a", CommandApplied, 0, 0.0) == old
    assert wait_for(run, "a", CommandApplied, len(encode([to_dict(old)])), 0.0) is None


def test_waiting_ends_when_the_time_is_over(tmp_path: Path) -> None:
    assert wait_for(RunDirectory(tmp_path), "a", CommandApplied, 0, 0.0) is None


def test_a_box_that_was_deleted_is_made_anew_for_its_owner_alone(folder: Path) -> None:
    box = Mailbox(folder)
    folder.rmdir()
    assert not box.take().commands
    assert folder.stat().st_mode & 0o777 == 0o700
    command = Pause()
    send(folder, command)
    assert [taken.id for taken in box.take().commands] == [command.id]


def test_a_box_of_a_run_that_is_gone_brings_nothing_back(folder: Path) -> None:
    box = Mailbox(folder)
    shutil.rmtree(folder.parent)
    assert not box.take().commands
    assert not folder.parent.exists()


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder with more files than are kept of what was moved aside."""
    made = tmp_path / "victim"
    made.mkdir()
    for number in range(MOST_REJECTED + 20):
        (made / f"thesis-{number}.txt").write_text("mine")
        (made / name_of(number)).write_bytes(PAUSE)
    return made


def test_fault_53_a_box_that_is_swapped_for_a_link_while_the_run_lives_is_left_alone(
    folder: Path, victim: Path
) -> None:
    box = Mailbox(folder)
    assert box.take().commands == []
    before = sorted(os.listdir(victim))
    folder.rename(folder.with_name("away"))
    folder.symlink_to(victim)

    mail = box.take()
    assert mail.commands == []
    assert len(mail.rejected) == 1
    assert "is a symbolic link" in mail.rejected[0]
    again = box.take()
    box.refresh()
    assert (again.commands, again.rejected, box.clear()) == ([], [], [])
    assert sorted(os.listdir(victim)) == before

    folder.unlink()
    folder.with_name("away").rename(folder)
    send(folder, Pause())
    assert [type(command) for command in box.take().commands] == [Pause]


def test_fault_53_nothing_is_moved_or_removed_behind_a_link_for_what_is_rejected(
    folder: Path, victim: Path
) -> None:
    before = sorted(os.listdir(victim))
    (folder / "rejected").symlink_to(victim)
    put(folder, b"nonsense")

    assert len(Mailbox(folder).take().rejected) == 1
    Mailbox(folder).clear()
    assert sorted(os.listdir(victim)) == before


def test_fault_53_what_has_no_name_of_ours_is_never_removed(folder: Path) -> None:
    (folder / "rejected").mkdir()
    for number in range(MOST_REJECTED + 20):
        (folder / "rejected" / f"thesis-{number}.txt").write_text("mine")
    put(folder, b"nonsense")

    Mailbox(folder).take()

    assert len(os.listdir(folder / "rejected")) == MOST_REJECTED + 21


def test_fault_53_a_command_is_not_sent_through_a_link(folder: Path, victim: Path) -> None:
    before = sorted(os.listdir(victim))
    folder.rmdir()
    folder.symlink_to(victim)

    with pytest.raises(CannotWrite, match="is a symbolic link"):
        send(folder, Stop())
    assert sorted(os.listdir(victim)) == before


def test_a_box_that_others_were_given_rights_to_is_its_owners_alone_again(folder: Path) -> None:
    folder.chmod(0o777)

    Mailbox(folder).take()

    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_flood_is_taken_a_part_at_a_time_and_told_once(folder: Path) -> None:
    for number in range(2 * MOST_A_LOOK + 5):
        put(folder, PAUSE, number)
    box = Mailbox(folder)

    looks = [box.take() for _ in range(4)]

    assert [len(mail.commands) for mail in looks] == [MOST_A_LOOK, MOST_A_LOOK, 5, 0]
    assert [len(mail.rejected) for mail in looks] == [1, 0, 0, 0]
    assert "1,000" in looks[0].rejected[0]


def test_a_flood_for_an_earlier_life_is_thrown_away_and_told_in_some_lines(folder: Path) -> None:
    for number in range(MOST_A_LOOK + 5):
        put(folder, PAUSE, number)

    reports = Mailbox(folder).clear()

    assert len(reports) == MOST_A_LOOK + 1
    assert "5 more" in reports[-1]
    assert files_in(folder) == []
