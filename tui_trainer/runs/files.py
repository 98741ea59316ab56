"""Atomic writes: a file is either the old one or the new one, whatever happens in between.

Layer: runs. Every system call goes through a `Files` object, so that tests can make the n-th one
fail, or kill the process there. A `Files` reaches what it writes only through `Folder`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.folder import UnsafeFile, open_folder
from tui_trainer.text.errors import CannotWrite
from tui_trainer.text.format import size_text

PREFIX = ".tui-trainer-tmp-"
"""The beginning of our temporary files' names; leftovers are removed under the run's lock."""
_TEMPORARY = re.compile(re.escape(PREFIX) + r"\d+-")


class Files:
    """The system calls that saving makes."""

    def open_new(self, path: Path) -> BinaryIO:
        """Create a file to write and read; an existing file or link is an error."""
        with open_folder(path.parent, writing=True) as folder:
            return os.fdopen(folder.create(path.name), "w+b")

    def open_append(self, path: Path) -> int:
        """Open a file to append to, creating it if needed; returns a descriptor."""
        with open_folder(path.parent, writing=True) as folder:
            return folder.open_own(path.name, os.O_APPEND)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, length: int) -> None:
        os.ftruncate(descriptor, length)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def replace(self, source: Path, target: Path) -> None:
        with open_folder(source.parent, writing=True) as source_folder:
            if source.parent == target.parent:
                source_folder.rename(source.name, source_folder, target.name)
                return
            with open_folder(target.parent, writing=True) as target_folder:
                source_folder.rename(source.name, target_folder, target.name)

    def unlink(self, path: Path) -> None:
        with open_folder(path.parent, writing=True) as folder:
            folder.remove(path.name)

    def mkdir(self, path: Path) -> None:
        with open_folder(path.parent, writing=True) as folder:
            folder.make(path.name)

    def fsync_directory(self, path: Path) -> None:
        """Make renames in a directory durable, on systems where a directory can be opened."""
        with open_folder(path) as folder:
            descriptor = folder.open_to_sync()
        try:
            self.fsync(descriptor)
        except OSError as error:
            # Some file systems cannot sync a directory.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)


class _Through:
    """The binary file that `publish` passes on, which writes by `Files.write`."""

    def __init__(self, descriptor: int, files: Files) -> None:
        self._descriptor = descriptor
        self._files = files
        self.size_bytes = 0
        """The bytes that were to be written, including the call that failed."""

    def write(self, data: bytes) -> int:
        view = memoryview(data).cast("B")
        self.size_bytes += len(view)
        while view:
            view = view[self._files.write(self._descriptor, view) :]
        return len(data)

    def flush(self) -> None:
        return


def publish(
    files: Files,
    path: Path,
    write: Callable[[BinaryIO], None],
    verify: Callable[[Path], None] | None = None,
) -> int:
    """Write a file beside `path`, check it, and replace `path` by it; returns its size.

    Raises:
        CannotWrite: the message says what is needed and what is free; `path` is as it was before.
    """
    temporary = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    through: _Through | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            # Left by a killed process that had the same pid.
            files.unlink(temporary)
        with files.open_new(temporary) as file:
            through = _Through(file.fileno(), files)
            write(through)  # type: ignore[arg-type]
            # Synced before the rename, or a power cut could leave the new name with no data in it.
            files.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        # Before the rename: a file that cannot be read back must not replace the old one.
        if verify is not None:
            verify(temporary)
        # The rename itself is only durable once the directory is synced.
        files.replace(temporary, path)
        files.fsync_directory(path.parent)
    except OSError as error:
        _remove(files, temporary)
        raise cannot_write(path, error, through.size_bytes if through else 0) from error
    except BaseException:
        _remove(files, temporary)
        raise
    return size


def write_atomically(path: Path, data: bytes, files: Files | None = None) -> None:
    """Write `data` to a file atomically and durably; raises CannotWrite, leaving the old file."""
    publish(files or Files(), path, lambda file: _ignore(file.write(data)))


def cannot_write(path: Path, error: OSError, needed_bytes: int = 0) -> CannotWrite:
    """Describe an error: which file, why, and if the disk is full, what is needed and free."""
    why = error.strerror or str(error)
    if isinstance(error, UnsafeFile):
        return CannotWrite(f"{error.filename} {why}; nothing was written to {path.name}")
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        needed = f"at least {size_text(needed_bytes)} needed, " if needed_bytes else ""
        why += f"; {needed}{_free(path)}free some space or use another --runs-dir"
    return CannotWrite(f"{path}: cannot be written: {why}")


def _free(path: Path) -> str:
    """Return the free space where the file belongs; empty if even that cannot be found out."""
    folder = path.parent
    try:
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return f"{size_text(shutil.disk_usage(folder).free)} free there; "
    except OSError:
        return ""


def sweep_temporaries(directory: Path) -> None:
    """Remove the half-written files of a killed process; only under the run's lock."""
    with contextlib.suppress(OSError), open_folder(directory, writing=True) as folder:
        for name in folder.names():
            if _TEMPORARY.match(name):
                with contextlib.suppress(OSError):
                    folder.remove(name)


def _remove(files: Files, path: Path) -> None:
    with contextlib.suppress(OSError):
        files.unlink(path)


def _ignore(_: object) -> None:
    return
