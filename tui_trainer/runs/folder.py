"""`Folder`: a run's directory held open by descriptor, and the only way to its contents.

Layer: runs. A run's directory may have been written by someone else, and may change while we work
in it. So names are looked up in a folder that is already open, links are never followed, only
regular files are opened, and opening never blocks. A refusal raises `UnsafeFile`, an OSError whose
text says what the name refers to.

The path of a run must be real (see `RunDirectory.at`). The last name of a folder's path is never
followed, and neither is the one before it if that is a folder of a run with subfolders.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from io import BufferedReader
from pathlib import Path
from types import TracebackType

# O_NONBLOCK: opening a named pipe must not wait for a writer.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# A descriptor for looking up names needs no right to list the folder.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ODD = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EOPNOTSUPP)
"""The errors for opening a link, a folder, a pipe without a reader, or a socket."""
NESTING = ("control", "discarded")
"""The folders of a run with subfolders: `control/rejected/` and `discarded/<n>/`."""
_SPARSE_BYTES = 64 * 2**20
"""A smaller file costs no more to read than its size, whatever is in it."""
_SPARSE_RATIO = 64
"""Compression by a file system stays far below this for what a run writes."""

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISREG, "a file"),
)


class UnsafeFile(OSError):
    """An entry of a run is not of the kind that a run has under that name."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(errno.EPERM, what, path)


class NotOurs(UnsafeFile):
    """The entry belongs to another user, and would be written to."""


class Folder:
    """An open directory; a context manager that closes it."""

    def __init__(self, descriptor: int, path: str) -> None:
        self._descriptor = descriptor
        self._path = path

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor; a second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def descriptor(self) -> int:
        return self._descriptor

    @property
    def path(self) -> str:
        return self._path

    def own_facts(self) -> os.stat_result:
        """Return the state of the directory itself."""
        return os.fstat(self._descriptor)

    def facts(self, name: str) -> os.stat_result | None:
        """Return the state of an entry, without following links; None if it does not exist.

        Raises:
            OSError: the folder cannot be read.
        """
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def names(self) -> list[str]:
        """Return the names of the entries, in no order."""
        descriptor = self._open_to_list()
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    def sub(self, name: str, *, writing: bool = False) -> Folder:
        """Open a subfolder; with `writing` it must be ours."""
        try:
            descriptor = os.open(name, _FOLDER, dir_fd=self._descriptor)
        except OSError as error:
            raise self._explained(name, error, "a folder") from error
        return _checked(Folder(descriptor, self._at(name)), writing=writing)

    def reader(self, name: str) -> BufferedReader:
        """Open a regular file for reading."""
        descriptor, _ = self._open_file(name)
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, most_bytes: int) -> bytes:
        """Read a regular file that has at most `most_bytes`."""
        descriptor, facts = self._open_file(name)
        try:
            # One call reads nearly every file whole, and a second one confirms that it has.
            parts = [os.read(descriptor, min(facts.st_size, most_bytes) + 1)]
            total = len(parts[0])
            while parts[-1] and total <= most_bytes:
                parts.append(os.read(descriptor, most_bytes + 1 - total))
                total += len(parts[-1])
        finally:
            os.close(descriptor)
        if total > most_bytes:
            raise UnsafeFile(self._at(name), f"has more than {most_bytes:,} bytes")
        return b"".join(parts)

    def _open_file(self, name: str) -> tuple[int, os.stat_result]:
        """Return a descriptor for reading a regular file, and the file's state."""
        try:
            descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=self._descriptor)
        except OSError as error:
            raise self._explained(name, error, "a file") from error
        try:
            facts = os.fstat(descriptor)
            self._check_file(facts, name, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor, facts

    def opened_facts(self, name: str) -> os.stat_result:
        """Return the state of a regular file, found by opening it.

        A network file system asks its server for the size only when a file is opened.
        """
        descriptor, facts = self._open_file(name)
        os.close(descriptor)
        return facts

    def size(self, name: str) -> int:
        """Return the size of a regular file now; 0 if it cannot be read."""
        try:
            return self.opened_facts(name).st_size
        except OSError:
            return 0

    def create(self, name: str, mode: int = 0o666) -> int:
        """Create a file and return its descriptor; an existing entry is an error."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _FILE
        return os.open(name, flags, mode, dir_fd=self._descriptor)

    def open_own(self, name: str, flags: int = 0, mode: int = 0o666) -> int:
        """Open a regular file of ours to write in place, creating it if needed.

        A file with a second name (a hard link) is refused, because what is written would appear
        under that name too.
        """
        # Without O_TRUNC: the file is only checked once it is open.
        flags |= os.O_RDWR | os.O_CREAT | _FILE
        try:
            descriptor = os.open(name, flags, mode, dir_fd=self._descriptor)
        except OSError as error:
            raise self._explained(name, error, "a file") from error
        try:
            facts = os.fstat(descriptor)
            self._check_file(facts, name, descriptor)
            check_ours(facts, self._at(name))
            if facts.st_nlink > 1:
                raise UnsafeFile(self._at(name), "has a second name (a hard link); copy it")
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def make(self, name: str, mode: int = 0o777) -> None:
        """Make a folder; an existing entry is an error."""
        os.mkdir(name, mode, dir_fd=self._descriptor)

    def rename(self, name: str, to: Folder, new: str) -> None:
        """Move an entry, replacing any entry of the new name."""
        os.replace(name, new, src_dir_fd=self._descriptor, dst_dir_fd=to._descriptor)

    def link(self, name: str, new: str) -> None:
        """Give an entry a second name; an existing entry of that name is an error."""
        here = self._descriptor
        os.link(name, new, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove an entry that is not a folder."""
        os.unlink(name, dir_fd=self._descriptor)

    def restrict(self) -> None:
        """Take the rights of everyone but the owner away, if there are any."""
        if not self.own_facts().st_mode & 0o077:
            return
        descriptor = self._open_to_list()
        try:
            os.fchmod(descriptor, 0o700)
        finally:
            os.close(descriptor)

    def refresh(self) -> None:
        """Set the times of the folder to now."""
        descriptor = self._open_to_list()
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)

    def open_to_sync(self) -> int:
        """Return a descriptor of the folder for fsync; the caller closes it."""
        return self._open_to_list()

    def _at(self, name: str) -> str:
        return os.path.join(self._path, name)

    def _open_to_list(self) -> int:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return os.open(".", flags, dir_fd=self._descriptor)

    def _check_file(self, facts: os.stat_result, name: str, descriptor: int) -> None:
        if not stat.S_ISREG(facts.st_mode):
            raise UnsafeFile(self._at(name), f"is {kind_of(facts)}, not a file")
        if _is_sparse(facts, descriptor):
            raise UnsafeFile(self._at(name), "is a sparse file, which no run writes")

    def _explained(self, name: str, error: OSError, expected: str) -> OSError:
        """Explain the error if the entry is of another kind than expected."""
        if error.errno in _ODD:
            with contextlib.suppress(OSError):
                facts = self.facts(name)
                if facts is not None:
                    return _unexpected(facts, self._at(name), error, expected)
        return error


def _unexpected(facts: os.stat_result, path: str, error: OSError, expected: str) -> OSError:
    """Return an error that says what the entry is, or the given one if its kind is right."""
    kind = kind_of(facts)
    return error if kind == expected else UnsafeFile(path, f"is {kind}, not {expected}")


def _checked(folder: Folder, *, writing: bool) -> Folder:
    """Return the folder, or close it and raise if `writing` and it is not ours."""
    if writing:
        try:
            check_ours(folder.own_facts(), folder.path)
        except BaseException:
            folder.close()
            raise
    return folder


def open_folder(path: Path, *, writing: bool = False) -> Folder:
    """Open a folder of a run; with `writing` it must be ours.

    Raises:
        UnsafeFile: it or its parent folder is a link, or it is another user's.
        OSError: it does not exist, or cannot be opened.
    """
    return open_folder_at(str(path), writing=writing)


def open_folder_at(path: str, *, writing: bool = False) -> Folder:
    around, name = os.path.split(path)
    if os.path.basename(around) in NESTING:
        with open_folder_at(around) as above:
            return above.sub(name, writing=writing)
    try:
        descriptor = os.open(path or ".", _FOLDER)
    except OSError as error:
        facts = None
        if error.errno in _ODD:
            with contextlib.suppress(OSError):
                facts = os.lstat(path)
        if facts is None:
            raise
        raise _unexpected(facts, path, error, "a folder") from error
    return _checked(Folder(descriptor, path), writing=writing)


def kind_of(facts: os.stat_result) -> str:
    """Return the kind of an entry in words."""
    return next((words for test, words in _KINDS if test(facts.st_mode)), "no file")


def check_ours(facts: os.stat_result, path: str) -> None:
    """Raise NotOurs if an entry is another user's; root may write everywhere."""
    if os.geteuid() not in (0, facts.st_uid):
        raise NotOurs(path, f"belongs to {_user(facts.st_uid)}")


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _is_sparse(facts: os.stat_result, descriptor: int) -> bool:
    """Whether a large file is nearly all holes, which read as endless zeros."""
    if facts.st_size < _SPARSE_BYTES or facts.st_blocks * 512 > facts.st_size // _SPARSE_RATIO:
        return False
    try:
        # Some file systems count no blocks at all; those have no holes either.
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < facts.st_size
    except (OSError, AttributeError):
        return False
    finally:
        # The caller reads from the beginning.
        os.lseek(descriptor, 0, os.SEEK_SET)
