"""The git repository around a folder: its commit, and whether files differ from it.

Layer: runs. A repository may come from anywhere, and its `.git/config` can name programs to run:
filters, hooks, monitors, ways to fetch. So git is asked only for what it has stored: the commit,
the index, the attributes of a path. It compares the index with the commit, which are two lists of
hashes. It never compares the index with the files, as `git status`, `git diff-files` and `git
ls-files --modified` do, because that runs the filters. We compare those here: by size and time, and
where the time differs, by the hash of the file's own bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from tui_trainer.config.processes import output_of

PATIENCE_S = 2.0
"""The time that everything here may take together."""
MOST_HASHED_BYTES = 64 * 2**20
_WORDS = (
    *("git", "--no-pager", "--no-optional-locks", "--literal-pathspecs"),
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
)
_ENV = {
    # In a partial clone git would fetch what is missing, by a program that the repository names.
    # The first setting tells it not to (since git 2.44), the second allows it no way of doing so.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
}
_ENTRY = re.compile(
    rb"(?P<mode>\d{6}) (?P<sum>[0-9a-f]{40}|[0-9a-f]{64}) (?P<stage>\d)\t(?P<path>[^\0]+)\0"
    rb"  ctime: \d+:\d+\n  mtime: (?P<s>\d+):(?P<ns>\d+)\n  dev: \d+\tino: \d+\n"
    rb"  uid: \d+\tgid: \d+\n  size: (?P<size>\d+)\tflags: (?P<flags>[0-9a-f]+)\n"
)
_LINK, _MODULE = 0o120000, 0o160000
_UNWATCHED = 0x8000 | 0x40000000
"""Flags of an entry whose file is not compared: assume-unchanged, skip-worktree."""
_INTENDED = 0x20000000
"""The flag of an entry announced by `git add --intent-to-add`."""
_CONVERSIONS = ("filter", "ident", "working-tree-encoding")
"""Attributes of files whose bytes differ from those git stores; line ends are handled here."""

Verdict = Literal["same", "changed", "other bytes"]


class _Unknown(Exception):
    """The answer cannot be found, or not in time."""


def state_of(folder: str = ".") -> dict[str, Any] | None:
    """Return the commit, and as `dirty` whether tracked files differ from it, null if unknown.

    None if there is no repository, or no commit in it.
    """
    look = _Look()
    try:
        commit = look.commit(folder)
    except _Unknown:
        return None
    dirty: bool | None = None
    with suppress(_Unknown, OSError, ValueError):
        dirty = look.is_dirty(look.top(folder))
    return {"commit": commit, "dirty": dirty}


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the index for one path."""

    path: bytes
    mode: int
    sum: str
    is_merged: bool
    time: tuple[int, int]
    size: int
    flags: int


class _Look:
    """One examination of a repository and its submodules, with a limit on time and bytes."""

    def __init__(self) -> None:
        self._until_s = time.monotonic() + PATIENCE_S
        self._may_hash = MOST_HASHED_BYTES

    def commit(self, folder: str) -> str:
        """Return the commit that is checked out."""
        return self._ask(folder, "rev-parse", "--verify", "HEAD").decode("ascii", "replace").strip()

    def top(self, folder: str) -> str:
        """Return the top of the working tree, which is the folder itself or above it."""
        way = self._ask(folder, "rev-parse", "--show-cdup").decode("ascii", "replace").strip()
        if way.replace("../", ""):
            raise _Unknown
        return os.path.join(folder, way)

    def is_dirty(self, top: str) -> bool:
        """Whether the index differs from the commit, or a file from the index."""
        index = self._ask(top, "rev-parse", "--git-path", "index").removesuffix(b"\n")
        index_ns = os.stat(os.path.join(os.fsencode(top), index)).st_mtime_ns
        # The index against the commit first: this reads no file and runs no filter.
        compared = ("diff-index", "--cached", "--raw", "-z", "--no-renames")
        if self._ask(top, *compared, "--no-ext-diff", "--no-textconv", "HEAD", "--"):
            return True
        asked = ("config", "--type=bool", "--default=true", "--get", "core.fileMode")
        has_modes = self._ask(top, *asked).strip() == b"true"
        of_other_bytes: list[bytes] = []
        for entry in self._entries(top):
            if entry.flags & _UNWATCHED:
                continue
            if not entry.is_merged or entry.flags & _INTENDED:
                return True
            if entry.mode == _MODULE:
                if self._is_module_dirty(os.path.join(top, os.fsdecode(entry.path)), entry):
                    return True
                continue
            path = os.path.join(os.fsencode(top), entry.path)
            verdict = self._compare(path, entry, index_ns, has_modes)
            if verdict == "changed":
                return True
            if verdict == "other bytes":
                of_other_bytes.append(entry.path)
        return bool(of_other_bytes) and self._are_changed(top, of_other_bytes)

    def _entries(self, top: str) -> Iterator[_Entry]:
        listed = self._ask(top, "ls-files", "--stage", "--debug", "-z")
        place = 0
        while place < len(listed):
            matched = _ENTRY.match(listed, place)
            if matched is None or time.monotonic() > self._until_s:
                raise _Unknown
            place = matched.end()
            path = matched["path"]
            # The index may be forged: a path must not leave the working tree.
            if path.startswith(b"/") or b".." in path.split(b"/"):
                raise _Unknown
            yield _Entry(
                path=path,
                mode=int(matched["mode"], 8),
                sum=matched["sum"].decode(),
                is_merged=matched["stage"] == b"0",
                time=(int(matched["s"]), int(matched["ns"])),
                size=int(matched["size"]),
                flags=int(matched["flags"], 16),
            )

    def _is_module_dirty(self, folder: str, entry: _Entry) -> bool:
        if not os.path.lexists(os.path.join(folder, ".git")):
            # It was never fetched, which is not a change.
            return False
        if "GIT_DIR" in os.environ or self.top(folder) != os.path.join(folder, ""):
            raise _Unknown
        return self.commit(folder) != entry.sum or self.is_dirty(folder)

    def _compare(self, path: bytes, entry: _Entry, index_ns: int, has_modes: bool) -> Verdict:
        try:
            facts = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return "changed"
        is_kind = stat.S_ISLNK if entry.mode == _LINK else stat.S_ISREG
        if not is_kind(facts.st_mode):
            return "changed"
        if has_modes and entry.mode != _LINK and (facts.st_mode ^ entry.mode) & 0o100:
            return "changed"
        # git stores a size of 0 for an entry that it was not sure of itself.
        if entry.size and entry.size != facts.st_size % 2**32:
            return "changed"
        if entry.size and _is_of_that_time(entry, facts.st_mtime_ns, index_ns):
            return "same"
        content = self._content(path, entry, facts.st_size)
        # The second is for a file that git checked out with CRLF line ends.
        sums = (_sum(content, entry), _sum(content.replace(b"\r\n", b"\n"), entry))
        return "same" if entry.sum in sums else "other bytes"

    def _content(self, path: bytes, entry: _Entry, size: int) -> bytes:
        if entry.mode == _LINK:
            return os.readlink(path)
        # One limit for all files and submodules together.
        self._may_hash -= size
        if self._may_hash < 0:
            raise _Unknown
        # The file may have become a link or a pipe since `lstat`.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _Unknown
            return file.read(size)

    def _are_changed(self, top: str, paths: list[bytes]) -> bool:
        """Whether one of these files is certainly changed, because git stores it byte for byte."""
        given = b"".join(path + b"\0" for path in paths)
        answer = self._ask(top, "check-attr", "-z", "--stdin", *_CONVERSIONS, given=given)
        fields = answer.split(b"\0")
        converted = {
            path
            for path, value in zip(fields[0::3], fields[2::3], strict=False)
            if value not in (b"unspecified", b"unset")
        }
        if converted.issuperset(paths):
            raise _Unknown
        return True

    def _ask(self, folder: str, *words: str, given: bytes = b"") -> bytes:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise _Unknown
        env = {**os.environ, **_ENV}
        printed = output_of(*_WORDS, "-C", folder, *words, timeout_s=left_s, env=env, given=given)
        if printed is None:
            raise _Unknown
        return printed


def _is_of_that_time(entry: _Entry, file_ns: int, index_ns: int) -> bool:
    """Whether a file has not been written since it was entered in the index.

    A file as new as the index itself may have changed after the index was written.
    """
    seconds, rest = entry.time
    if rest == 0:
        # Some file systems keep whole seconds only, and so do some programs.
        return seconds == file_ns // 10**9 and seconds < index_ns // 10**9
    known_ns = seconds * 10**9 + rest
    return known_ns == file_ns and known_ns < index_ns


def _sum(content: bytes, entry: _Entry) -> str:
    """Return the hash that git gives to this content."""
    made = hashlib.sha1 if len(entry.sum) == 40 else hashlib.sha256
    return made(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
