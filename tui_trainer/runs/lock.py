"""`RunLock`: one writer per run, by flock, which the system releases when a process is killed.

Layer: runs. The lock file stays after a release; it names the process that holds the lock or held
it last.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import psutil

from tui_trainer.runs.directory import RunDirectory
from tui_trainer.runs.files import cannot_write
from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.host import boot_id, is_this_host, process_namespace
from tui_trainer.runs.paths import exists, is_folder, open_file, read_file
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput

_TAKEN = (errno.EAGAIN, errno.EACCES)
"""Network file systems emulate flock by fcntl, which may answer with EACCES."""
_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_TRIES = 5
_BETWEEN_S = 0.05
MOST_BYTES = 64 * 1024

Flock = Callable[[int, int], None]

_held: set[int] = set()
"""The descriptors of this process's locks."""


def _let_go_in_child() -> None:
    """Close the locks in a forked child, or they would outlive the parent."""
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that wrote the lock file."""

    pid: int
    host: str
    started_at: float
    birth: str = ""
    """The boot of the machine and the clock tick of the process's start, where the system tells; a
    later process that was given the same pid has another one."""
    namespace: str = ""
    """The name space in which the process has this pid, where the system tells."""

    def __str__(self) -> str:
        return f"process {self.pid} on {clean(self.host, 80)}"

    @property
    def is_here(self) -> bool:
        """Whether the process is on this host, so that the system can be asked about it.

        Under another host name it may be in another container, where its pid means nothing here.
        """
        if self.host == socket.gethostname():
            return True
        is_visible = bool(self.namespace) and self.namespace == process_namespace()
        return is_visible and is_this_host(self.host, self.birth.partition("/")[0])

    @property
    def lives(self) -> bool:
        """Whether the process is alive; only meaningful for a process on this host."""
        if not psutil.pid_exists(self.pid):
            return False
        born = _birth(self.pid) if self.birth else ""
        return not born or born == self.birth


def _birth(pid: int) -> str:
    """Return when a process started, unaffected by changes of the clock; empty if unknown."""
    try:
        # proc(5): the name is in parentheses and may have some in it; field 22 is the start.
        after_name = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2]
        return f"{boot_id()}/{int(after_name.split()[19])}" if boot_id() else ""
    except (OSError, ValueError, IndexError):
        return ""


def _ourselves() -> Holder:
    pid = os.getpid()
    started_at = psutil.Process().create_time()
    return Holder(pid, socket.gethostname(), started_at, _birth(pid), process_namespace())


class RunLock:
    """The exclusive right to write into a run; `release` may be called twice."""

    def __init__(self, path: Path, descriptor: int, holder: Holder, note: str = "") -> None:
        self._path = path
        self._descriptor = descriptor
        self._holder = holder
        _held.add(descriptor)
        self.note = note
        """A warning if a lock file is used because the file system has no flock, or empty."""

    @staticmethod
    def acquire(path: Path, flock: Flock = fcntl.flock, *, gone: str = "") -> RunLock:
        """Take the lock; BadInput names the process that holds it.

        `gone` is a host whose process is known to be dead. It matters only without flock: a lock
        taken by flock does not outlive its process.
        """
        try:
            with open_folder(path.parent, writing=True) as folder:
                descriptor = folder.open_own(path.name, mode=0o644)
        except OSError as error:
            raise cannot_write(path, error) from error
        for left in reversed(range(_TRIES)):
            try:
                flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                # A reader may be probing for the blink of an eye.
                if error.errno in _TAKEN and left:
                    threading.Event().wait(_BETWEEN_S)
                    continue
                os.close(descriptor)
                if error.errno in _TAKEN:
                    raise _refusal(path) from None
                if error.errno in _UNSUPPORTED:
                    return _by_file(path, gone)
                raise cannot_write(path, error) from error
        try:
            holder = _sign(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise cannot_write(path, error) from error
        return RunLock(path, descriptor, holder)

    def taken_by(self) -> str:
        """Return the process that has taken the lock since, or an empty string while it is ours.

        It is asked of the file by name, since that is the file that other processes see.
        """
        try:
            data = read_file(_exclusive(self._path) if self.note else self._path, MOST_BYTES)
        except OSError:
            return ""
        if data == _signature(self._holder):
            return ""
        holder = _holder_in(data)
        return "" if holder is None or holder == self._holder else str(holder)

    def renew(self) -> None:
        """Take the lock again if its file was deleted; otherwise change nothing.

        Raises:
            BadInput: another process has taken the run over meanwhile.
        """
        if self._descriptor >= 0 and not exists(self._path) and is_folder(self._path.parent):
            # Taken before the old one is closed: if that fails, nothing has changed.
            again = RunLock.acquire(self._path)
            self._close()
            self._descriptor, self._holder = again._descriptor, again._holder

    def release(self) -> None:
        if self._descriptor in _held:
            # Asked while the lock is held. Another process's lock file must stay.
            is_ours = not self.taken_by()
            self._close()
            if self.note and is_ours:
                exclusive = _exclusive(self._path)
                with contextlib.suppress(OSError), open_folder(exclusive.parent) as folder:
                    folder.remove(exclusive.name)

    def _close(self) -> None:
        _held.discard(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1


def read_holder(path: Path) -> Holder | None:
    """Return who wrote the lock file, or the file that stands in for it, last; None if unknown."""
    return _read_holder(_exclusive(path)) or _read_holder(path)


def _read_holder(file: Path) -> Holder | None:
    try:
        return _holder_in(read_file(file, MOST_BYTES))
    except OSError:
        return None


def _holder_in(data: bytes) -> Holder | None:
    try:
        holder = Holder(**json.loads(data))
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (holder.host, holder.birth, holder.namespace)
    right = isinstance(holder.pid, int) and 0 < holder.pid < 2**31
    return holder if right and all(isinstance(text, str) for text in texts) else None


def is_held(path: Path, flock: Flock = fcntl.flock) -> bool:
    """Whether a process holds the lock now; asking disturbs no holder."""
    if exists(_exclusive(path)):
        holder = read_holder(_exclusive(path))
        # A process on another host cannot be looked up, so its lock counts as held.
        return holder is None or not holder.is_here or holder.lives
    try:
        # Opened to read only: the run may be another user's.
        file = open_file(path)
    except OSError:
        return False
    with file:
        try:
            # Shared, so that two readers that ask at the same time do not take each other for
            # writers.
            flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in _TAKEN and not _is_held_by_another(path)
    return False


def is_out_of_sight(path: Path) -> bool:
    """Whether a lock file stands in for the lock, and names a process that cannot be looked up."""
    holder = _read_holder(_exclusive(path))
    return holder is not None and not holder.is_here


def _is_held_by_another(path: Path) -> bool:
    """Whether the lock is held by a process other than the one that wrote its name into it.

    Anyone who can read the file can lock it. The writer of a run puts its name there as soon as it
    has the lock; if that process is dead, the current holder is not a writer.
    """
    holder = read_holder(path)
    return holder is not None and holder.is_here and not holder.lives


def _sign(descriptor: int) -> Holder:
    holder = _ourselves()
    # A reader in between finds an empty file, and thus no holder.
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _signature(holder), 0)
    return holder


@cache
def _signature(holder: Holder) -> bytes:
    """Return what a holder writes into the lock file."""
    return json.dumps(asdict(holder)).encode()


def _refusal(path: Path) -> BadInput:
    if _is_held_by_another(path):
        return BadInput(
            f"{path}: locked by an unknown process; {read_holder(path)}, which "
            "wrote this run, is dead. End the process that has the file open: "
            f"lslocks | grep {path.parent.name}/lock, or: fuser -v {path}"
        )
    holder = read_holder(path)
    who = str(holder) if holder else "another process"
    return BadInput(
        f"{path.parent}: {who} is writing this run; stop it first: "
        f"{RunDirectory(path.parent).command('ctl', 'stop')}"
    )


def _exclusive(path: Path) -> Path:
    return path.with_name(path.name + ".exclusive")


def _by_file(path: Path, gone: str) -> RunLock:
    """Lock by a lock file, where there is no flock; one left by a dead process is taken over."""
    exclusive = _exclusive(path)
    holder = read_holder(exclusive)
    if holder is not None and _is_dead(holder, gone):
        _put_aside(exclusive, holder)
    try:
        with open_folder(exclusive.parent, writing=True) as folder:
            descriptor = folder.create(exclusive.name, mode=0o644)
    except FileExistsError:
        raise BadInput(
            f"{_refusal(exclusive)} (this file system has no flock; if that process is gone, "
            f"remove {exclusive})"
        ) from None
    except OSError as error:
        raise cannot_write(exclusive, error) from error
    holder = _sign(descriptor)
    return RunLock(path, descriptor, holder, "no flock on this file system; a lock file is used")


def _is_dead(holder: Holder, gone: str) -> bool:
    if holder.is_here:
        return not holder.lives
    return bool(gone) and holder.host == gone


def _put_aside(exclusive: Path, holder: Holder) -> None:
    """Remove the lock file of a dead process; if another process was faster, put its file back."""
    aside = exclusive.with_name(f"{exclusive.name}-{os.getpid()}")
    with contextlib.suppress(OSError), open_folder(exclusive.parent, writing=True) as folder:
        # Renamed before it is compared: two processes may have found the same dead holder.
        folder.rename(exclusive.name, folder, aside.name)
        if read_holder(aside) != holder:
            folder.link(aside.name, exclusive.name)
        folder.remove(aside.name)
