"""Faults on demand: a `Files` whose n-th call fails, or where the process dies there.

The way to use it is to let n grow until a run passes untouched, so that every call had its turn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from errno import EACCES, EIO, ENOSPC
from itertools import count
from pathlib import Path
from typing import BinaryIO, ParamSpec

from tui_trainer.runs.files import Files

DEATH = None
FAULTS = (ENOSPC, EIO, EACCES, DEATH)
MOST_CALLS = 200

Asked = ParamSpec("Asked")


class Died(BaseException):
    """The process is gone: no handler of ours may count on running."""


class FailingFiles(Files):
    """Fails at one call, and works before and after it; with `DEATH` every later call dies too.

    A failing write leaves half of its bytes behind when `torn`, as a full disk does: the call
    itself is short, and the next write has the error.
    """

    def __init__(self, fail_at: int, fault: int | None, *, torn: bool = False) -> None:
        self.fail_at = fail_at
        self.failed = ""
        """The name of the call that failed; empty while none has."""
        self.calls = 0
        self._fault = fault
        self._torn = torn
        self._full = False
        self._dead = False

    def heal(self) -> None:
        """There is room on the disk again."""
        self._full = False

    def _call(self, name: str) -> None:
        if self._dead:
            raise Died(name)
        self.calls += 1
        if self.calls == self.fail_at:
            self.failed = name
            self._fail(name)

    def _fail(self, name: str) -> None:
        if self._fault is DEATH:
            self._dead = True
            raise Died(name)
        raise OSError(self._fault, os.strerror(self._fault))

    def open_new(self, path: Path) -> BinaryIO:
        self._call("open_new")
        return super().open_new(path)

    def open_append(self, path: Path) -> int:
        self._call("open_append")
        return super().open_append(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if self._full:
            self._fail("write")
        if self._torn and self.calls + 1 == self.fail_at and len(data) > 1:
            self.calls += 1
            self.failed = "write"
            written = super().write(descriptor, data[: len(data) // 2])
            if self._fault is DEATH:
                self._fail("write")
            self._full = True
            return written
        self._call("write")
        return super().write(descriptor, data)

    def truncate(self, descriptor: int, length: int) -> None:
        self._call("truncate")
        super().truncate(descriptor, length)

    def fsync(self, descriptor: int) -> None:
        self._call("fsync")
        super().fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        self._call("replace")
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._call("unlink")
        super().unlink(path)

    def mkdir(self, path: Path) -> None:
        self._call("mkdir")
        super().mkdir(path)

    def fsync_directory(self, path: Path) -> None:
        self._call("fsync_directory")
        super().fsync_directory(path)


def failures(fault: int | None, *, torn: bool = False, first: int = 1) -> Iterator[FailingFiles]:
    """Files that fail at call 1, 2, 3 ...; the last ones never came to fail."""
    for fail_at in count(first):
        files = FailingFiles(fail_at, fault, torn=torn)
        yield files
        if not files.failed:
            return
        assert fail_at < MOST_CALLS, "the faults have no end"


def error_of(
    action: Callable[Asked, object], *args: Asked.args, **kwargs: Asked.kwargs
) -> BaseException | None:
    """Return the exception of an action, a simulated death included; None if it passed."""
    try:
        action(*args, **kwargs)
    except (Exception, Died) as error:
        return error
    return None
