"""One writer a run; never refused because of a dead one. Processes here are real."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.runs.children import HOLD, HOLD_WITHOUT_FLOCK, child, kill
from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.lock import Holder, RunLock, _put_aside, is_held, read_holder
from tui_trainer.text.errors import BadInput, CannotWrite

ROOT = os.geteuid() == 0


def unsupported(number: int) -> Callable[[int, int], None]:
    def flock(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


NO_FLOCK = unsupported(errno.ENOLCK)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    run = tmp_path / "digits-1122-0304"
    run.mkdir()
    return run / "lock"


def dead_pid() -> int:
    """The number of a process that has just ended."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    os.waitpid(pid, 0)
    return pid


def test_a_lock_is_free_held_and_free_again(path: Path) -> None:
    assert not is_held(path)

    lock = RunLock.acquire(path)
    assert is_held(path)
    assert lock.note == ""

    lock.release()
    assert not is_held(path)
    lock.release()
    RunLock.acquire(path).release()


def test_the_file_tells_who_holds_the_lock(path: Path) -> None:
    lock = RunLock.acquire(path)

    holder = read_holder(path)

    assert holder is not None
    assert (holder.pid, holder.host) == (os.getpid(), socket.gethostname())
    lock.release()


def test_fault_30_a_second_process_is_refused_with_pid_and_host_of_the_first(path: Path) -> None:
    with child(HOLD, str(path)) as process:
        with pytest.raises(BadInput) as caught:
            RunLock.acquire(path)

        message = str(caught.value)
        assert str(process.pid) in message
        assert socket.gethostname() in message
        assert RunDirectory(path.parent).command("ctl", "stop") in message
        assert "\n" not in message
        assert is_held(path)
        holder = read_holder(path)
        assert holder is not None
        assert holder.pid == process.pid, "the refused one wrote into the lock"


def test_fault_30_a_holder_that_was_killed_blocks_nobody(path: Path) -> None:
    with child(HOLD, str(path)) as process:
        kill(process)

        assert not is_held(path)
        lock = RunLock.acquire(path)

    holder = read_holder(path)
    assert holder is not None
    assert holder.pid == os.getpid()
    lock.release()


def test_fault_30_in_one_process_a_second_lock_is_refused_too(path: Path) -> None:
    lock = RunLock.acquire(path)

    with pytest.raises(BadInput, match=str(os.getpid())):
        RunLock.acquire(path)

    assert is_held(path)
    lock.release()


def test_asking_who_holds_it_does_not_take_it(path: Path) -> None:
    lock = RunLock.acquire(path)
    for _ in range(20):
        assert is_held(path)
    lock.release()
    for _ in range(20):
        assert not is_held(path)
        RunLock.acquire(path).release()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS])
def test_without_flock_a_file_stands_in_and_the_user_is_told(path: Path, number: int) -> None:
    flock = unsupported(number)

    lock = RunLock.acquire(path, flock)

    assert "flock" in lock.note
    assert is_held(path, flock)
    with pytest.raises(BadInput, match=rf"process {os.getpid()} on "):
        RunLock.acquire(path, flock)
    lock.release()
    assert os.listdir(path.parent) == ["lock"]
    assert not is_held(path, flock)
    RunLock.acquire(path, flock).release()


def test_fault_30_without_flock_a_living_holder_is_respected_and_a_killed_one_is_not(
    path: Path,
) -> None:
    with child(HOLD_WITHOUT_FLOCK, str(path)) as process:
        with pytest.raises(BadInput, match=str(process.pid)):
            RunLock.acquire(path, NO_FLOCK)
        assert is_held(path, NO_FLOCK)

        kill(process)

        assert not is_held(path, NO_FLOCK)
        lock = RunLock.acquire(path, NO_FLOCK)
        assert is_held(path, NO_FLOCK)
        lock.release()


def exclusive(path: Path, **holder: object) -> Path:
    """A lock file that stands in for flock, as another process wrote it."""
    file = path.with_name("lock.exclusive")
    file.write_text(json.dumps({"pid": 1, "host": "", "started_at": 0.0, **holder}))
    return file


def test_fault_30_without_flock_a_holder_on_another_host_is_never_thought_dead(path: Path) -> None:
    file = exclusive(path, pid=dead_pid(), host="elsewhere")

    assert is_held(path, NO_FLOCK)
    with pytest.raises(BadInput, match="on elsewhere") as caught:
        RunLock.acquire(path, NO_FLOCK)

    assert str(file) in str(caught.value), "the file to remove by hand is not named"


def test_without_flock_the_file_of_a_host_that_is_gone_is_taken_over(path: Path) -> None:
    exclusive(path, pid=7, host="elsewhere")
    with pytest.raises(BadInput, match="on elsewhere"):
        RunLock.acquire(path, NO_FLOCK, gone="another")
    lock = RunLock.acquire(path, NO_FLOCK, gone="elsewhere")
    assert is_held(path, NO_FLOCK)
    lock.release()
    assert os.listdir(path.parent) == ["lock"]


def write_holder(path: Path, holder: Holder) -> None:
    path.with_name("lock.exclusive").write_text(json.dumps(asdict(holder)))


def test_without_flock_a_number_that_another_process_got_since_blocks_nobody(path: Path) -> None:
    lock = RunLock.acquire(path, NO_FLOCK)
    ours = read_holder(path)
    assert ours is not None
    assert ours.lives
    boot, _, tick = ours.birth.partition("/")
    assert int(tick) > 0
    for birth in (f"{boot}/{int(tick) - 1}", f"{'0' * len(boot)}/{tick}"):
        write_holder(path, replace(ours, birth=birth))
        assert not is_held(path, NO_FLOCK)
        RunLock.acquire(path, NO_FLOCK).release()
    lock.release()


def test_without_flock_a_dead_holder_is_known_under_another_host_name_but_not_in_a_container(
    path: Path,
) -> None:
    RunLock.acquire(path).release()
    ours = read_holder(path)
    assert ours is not None
    renamed = replace(ours, pid=dead_pid(), host="name-before")
    write_holder(path, renamed)
    assert not is_held(path, NO_FLOCK)
    RunLock.acquire(path, NO_FLOCK).release()

    for out_of_sight in (
        replace(renamed, namespace="pid:[1]"),
        replace(renamed, namespace=""),
        replace(renamed, birth="another-boot/1"),
    ):
        write_holder(path, out_of_sight)
        assert is_held(path, NO_FLOCK)
        with pytest.raises(BadInput, match="on name-before is writing"):
            RunLock.acquire(path, NO_FLOCK)


def test_without_flock_a_holder_of_an_older_version_is_known_by_its_number(path: Path) -> None:
    write_holder(path, Holder(os.getpid(), socket.gethostname(), 1.0))
    assert is_held(path, NO_FLOCK)
    with pytest.raises(BadInput, match=f"process {os.getpid()}"):
        RunLock.acquire(path, NO_FLOCK)


@pytest.mark.parametrize("flock", [fcntl.flock, NO_FLOCK], ids=["flock", "no flock"])
def test_who_has_lost_the_lock_learns_of_it_and_leaves_that_of_the_other(
    path: Path, flock: Callable[[int, int], None]
) -> None:
    lock = RunLock.acquire(path, flock)
    assert lock.taken_by() == ""
    file = path.with_name("lock.exclusive") if lock.note else path
    other = json.dumps(asdict(Holder(77, "other-host", 1.0)))
    file.unlink()
    assert lock.taken_by() == ""
    file.write_text(other)
    assert lock.taken_by() == "process 77 on other-host"
    lock.release()
    assert file.read_text() == other


def test_without_flock_who_comes_second_to_a_dead_holder_takes_nothing_over(path: Path) -> None:
    file = exclusive(path, pid=os.getpid(), host=socket.gethostname())
    text = file.read_bytes()
    _put_aside(file, Holder(dead_pid(), socket.gethostname(), 0.0))
    assert file.read_bytes() == text
    assert sorted(os.listdir(path.parent)) == ["lock.exclusive"]


def test_fault_37_what_the_lock_file_says_is_shown_harmless(path: Path) -> None:
    exclusive(path, pid=7, host="evil\x1b[31m\u202e")

    with pytest.raises(BadInput) as caught:
        RunLock.acquire(path, NO_FLOCK)

    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "7",
        '{"pid": 1}',
        '{"pid": "x", "host": "HOST", "started_at": 0}',
        '{"pid": 1, "host": 3, "started_at": 0}',
        '{"pid": -1, "host": "HOST", "started_at": 0}',
        '{"pid": 1, "host": "elsewhere", "started_at": 0, "birth": 7, "namespace": []}',
        '{"pid": 1' + "0" * 40 + ', "host": "HOST", "started_at": 0}',
        "[" * 100_000,
    ],
)
def test_a_lock_file_that_cannot_be_read_raises_nothing_strange(path: Path, text: str) -> None:
    written = text.replace("HOST", socket.gethostname())
    path.write_text(written)
    path.with_name("lock.exclusive").write_text(written)

    holder = read_holder(path)
    held = is_held(path, NO_FLOCK)

    assert holder is None or isinstance(holder, Holder)
    if held:
        with pytest.raises(BadInput):
            RunLock.acquire(path, NO_FLOCK)
    else:
        RunLock.acquire(path, NO_FLOCK).release()


@pytest.mark.parametrize("number", [errno.EIO, errno.EBADF])
def test_fault_2_a_lock_that_cannot_be_taken_for_another_reason_is_cannot_write(
    path: Path, number: int
) -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0

    with pytest.raises(CannotWrite, match="lock"):
        RunLock.acquire(path, unsupported(number))

    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


def test_fault_31_a_lock_in_a_directory_that_is_not_there_is_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="lock"):
        RunLock.acquire(tmp_path / "gone" / "lock")

    assert not is_held(tmp_path / "gone" / "lock")


def test_fault_36_a_link_is_not_written_through(path: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("theirs")
    path.symlink_to(outside)

    with pytest.raises(CannotWrite, match="lock"):
        RunLock.acquire(path)

    assert outside.read_text() == "theirs"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES])
def test_both_answers_of_a_network_file_system_mean_that_it_is_held(
    path: Path, number: int
) -> None:
    path.write_text("")

    assert is_held(path, unsupported(number))
    with pytest.raises(BadInput, match="another process"):
        RunLock.acquire(path, unsupported(number))


def test_fault_32_a_lock_whose_file_was_deleted_is_taken_again(path: Path) -> None:
    lock = RunLock.acquire(path)
    lock.renew()
    assert is_held(path)

    path.unlink()
    assert not is_held(path)
    lock.renew()

    assert is_held(path)
    lock.release()
    assert not is_held(path)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fault_30_a_forked_child_does_not_keep_the_lock(path: Path) -> None:
    read_end, write_end = os.pipe()
    ready, tell_ready = os.pipe()
    lock = RunLock.acquire(path)
    pid = os.fork()
    if pid == 0:
        # It lives until the parent closes its end of the pipe.
        os.close(write_end)
        os.write(tell_ready, b"1")
        os.read(read_end, 1)
        os._exit(0)
    os.close(read_end)
    os.read(ready, 1)
    os.close(ready)
    os.close(tell_ready)

    lock.release()
    held_by_child = is_held(path)
    os.close(write_end)
    os.waitpid(pid, 0)

    assert not held_by_child


def held_as_another_user(path: Path) -> bool:
    """`is_held` asked by a user who may read the lock and not write it."""
    if not ROOT:
        path.chmod(stat.S_IRUSR)
        return is_held(path)
    path.chmod(0o644)
    pid = os.fork()
    if pid == 0:
        # Root cannot be denied by mode, so the question is asked by nobody.
        try:
            os.setuid(65534)
            os._exit(1 if is_held(path) else 0)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return code == 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_who_may_only_read_a_run_sees_too_that_it_is_held() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "lock"
        lock = RunLock.acquire(path)

        assert held_as_another_user(path)

        lock.release()
        assert not held_as_another_user(path)


def test_a_lock_that_a_mere_reader_holds_is_told_as_that(path: Path) -> None:
    birth = "another-boot/1"
    dead = Holder(dead_pid(), socket.gethostname(), 0.0, birth)
    path.write_text(json.dumps(asdict(dead)))
    with path.open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_EX)

        with pytest.raises(BadInput, match="locked by an unknown process") as caught:
            RunLock.acquire(path)

        assert f"process {dead.pid}" in str(caught.value)
        assert "is dead" in str(caught.value)
        assert not is_held(path), "nobody writes this run"
    RunLock.acquire(path).release()
