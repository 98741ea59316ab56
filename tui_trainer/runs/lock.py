"""`RunLock`: one writer a run, by flock, which a killed process lets go by itself.

Layer: runs. The file stays when the lock is released; it says who holds it, or held it last.
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
from pathlib import Path

import psutil

from tui_trainer.config.errors import BadInput
from tui_trainer.config.text import clean
from tui_trainer.runs.atomic import cannot_write

_TAKEN = (errno.EAGAIN, errno.EACCES)
"""Network file systems emulate flock by fcntl, which may answer with the second."""
_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_TRIES = 5
_BETWEEN_S = 0.05

Flock = Callable[[int, int], None]

_held: set[int] = set()
"""Descriptors of this process's locks."""


def _let_go_in_child() -> None:
    """A forked child would keep the lock alive beyond its parent's death."""
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


class RunLock:
    """The exclusive right to write into a run; `release` is safe to call twice."""

    def __init__(self, path: Path, descriptor: int, note: str = "") -> None:
        self._path = path
        self._descriptor = descriptor
        _held.add(descriptor)
        self.note = note
        """Set where the file system has no flock, and a lock file has to do."""

    @staticmethod
    def acquire(path: Path, flock: Flock = fcntl.flock, *, gone: str = "") -> RunLock:
        """Take the lock; BadInput names the process that has it.

        `gone` is a host whose process is known to be no more; it counts where there is no flock,
        which tells that by itself.
        """
        try:
            # A link here would have its target overwritten by the text of the lock.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o644)
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
            _sign(descriptor)
        except OSError as error:
            os.close(descriptor)
            raise cannot_write(path, error) from error
        return RunLock(path, descriptor)

    def renew(self) -> None:
        """Take the lock again where the file was deleted; nothing changes when it is still there.

        Raises:
            BadInput: another process has taken the run over meanwhile.
        """
        if self._descriptor >= 0 and not self._path.exists() and self._path.parent.is_dir():
            again = RunLock.acquire(self._path)
            self._close()
            self._descriptor = again._descriptor

    def release(self) -> None:
        if self._descriptor in _held:
            self._close()
            if self.note:
                with contextlib.suppress(OSError):
                    os.unlink(_exclusive(self._path))

    def _close(self) -> None:
        _held.discard(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1


def read_holder(path: Path) -> Holder | None:
    """Who wrote the lock file last, or the one that stands in for it; None when nobody is told."""
    for file in (_exclusive(path), path):
        try:
            holder = Holder(**json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            continue
        right = isinstance(holder.pid, int) and 0 < holder.pid < 2**31
        if right and isinstance(holder.host, str):
            return holder
    return None


def is_held(path: Path, flock: Flock = fcntl.flock) -> bool:
    """Whether a process holds the lock now; does not disturb it."""
    if _exclusive(path).exists():
        holder = read_holder(_exclusive(path))
        return (
            holder is None or holder.host != socket.gethostname() or psutil.pid_exists(holder.pid)
        )
    try:
        # To read is enough: the run may be another user's.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _TAKEN
    finally:
        os.close(descriptor)
    return False


def _sign(descriptor: int) -> None:
    holder = Holder(os.getpid(), socket.gethostname(), psutil.Process().create_time())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def _refusal(path: Path) -> BadInput:
    holder = read_holder(path)
    who = f"process {holder.pid} on {clean(holder.host, 80)}" if holder else "another process"
    return BadInput(
        f"{path.parent}: {who} is writing this run; stop it first: "
        f"tui-trainer ctl {path.parent.name} stop"
    )


def _exclusive(path: Path) -> Path:
    return path.with_name(path.name + ".exclusive")


def _by_file(path: Path, gone: str) -> RunLock:
    """A lock file, where flock is not to be had; one that a dead process left is taken over."""
    exclusive = _exclusive(path)
    holder = read_holder(exclusive)
    if holder is not None and _is_dead(holder, gone):
        _put_aside(exclusive, holder)
    try:
        descriptor = os.open(exclusive, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise BadInput(
            f"{_refusal(exclusive)} (this file system has no flock; if that process is gone, "
            f"remove {exclusive})"
        ) from None
    except OSError as error:
        raise cannot_write(exclusive, error) from error
    _sign(descriptor)
    return RunLock(path, descriptor, "no flock on this file system; a lock file is used")


def _is_dead(holder: Holder, gone: str) -> bool:
    if holder.host == socket.gethostname():
        return not psutil.pid_exists(holder.pid)
    return bool(gone) and holder.host == gone


def _put_aside(exclusive: Path, holder: Holder) -> None:
    """Remove what a dead process left; who comes second finds another's file, and puts it back."""
    aside = exclusive.with_name(f"{exclusive.name}-{os.getpid()}")
    with contextlib.suppress(OSError):
        os.rename(exclusive, aside)
        if read_holder(aside) != holder:
            os.link(aside, exclusive)
        os.unlink(aside)
