"""The cache: files in the user's cache folder that say what was read from large data files.

Layer: data. A file is known by its path, size and time of change; one that changed a moment ago is
not, because a second change may leave all three as they are. Whatever is wrong with the cache, the
data are read without it. `TUI_TRAINER_CACHE` names another folder; `off` keeps nothing.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

from tui_trainer.text.clean import clean

VARIABLE = "TUI_TRAINER_CACHE"
LEAST_BYTES = 8 << 20
"""A smaller file is read as quickly as its cache."""
MOST_BYTES = 8 << 30
"""The size of the whole cache."""
SETTLED_S = 3.0
"""A file that changed later than so many seconds ago is not trusted."""
TABLE, PICTURES, SUM, ARRAYS, NEW = ".table", ".pictures", ".sum", ".arrays", ".new"
_MOST_SUM_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class FileState:
    """A file on the disk, as it was when it was opened."""

    path: str
    """Absolute."""
    size: int
    mtime_ns: int

    @property
    def key(self) -> str:
        return key_of(asdict(self))

    @property
    def is_cached(self) -> bool:
        """Whether the cache is for such a file."""
        return (
            self.size >= LEAST_BYTES
            and cache_folder() is not None
            and time.time() - self.mtime_ns / 1e9 > SETTLED_S
        )


@dataclass(frozen=True, slots=True)
class KnownSum:
    """The sum of a file that was read before."""

    sha256: str
    is_text: bool
    """Whether it is text in UTF-8 without NUL."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A file in the cache."""

    name: str
    size: int
    used_s: float
    """When it was last used, in seconds since 1970."""


def key_of(value: Any) -> str:
    """Return a short name for plain values."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cache_folder() -> Path | None:
    """Return the folder of the cache, which may not exist; None if there is to be none."""
    stated = os.environ.get(VARIABLE)
    if stated == "off":
        return None
    if stated:
        return Path(stated).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("tui-trainer")) / "tables"


class CacheFolder:
    """The open folder of the cache; links in it are never followed. A context manager."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> CacheFolder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def names(self) -> list[str]:
        return os.listdir(self.descriptor)

    def facts(self, name: str) -> os.stat_result:
        """Return the state of an entry; OSError if it is gone."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def reader(self, name: str) -> BufferedReader:
        """Open a file; OSError if it is not there, no regular file, or another user's."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(name, flags, dir_fd=self.descriptor), "rb")
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            file.close()
            raise PermissionError(errno.EPERM, "is not a file of tui-trainer", name)
        return file

    def create(self, name: str) -> int:
        """Create a file that only its owner may read; an entry of that name is an error."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=self.descriptor)

    def rename(self, name: str, new: str) -> None:
        """Rename an entry, replacing one of the new name."""
        os.replace(name, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        os.unlink(name, dir_fd=self.descriptor)


def open_cache(*, writing: bool = False) -> CacheFolder:
    """Open the folder of the cache; with `writing` it is made if needed.

    Raises:
        OSError: it is not there, is a link, is another user's, or cannot be opened.
    """
    path = cache_folder()
    if path is None:
        raise FileNotFoundError(errno.ENOENT, f"{VARIABLE} is off")
    if writing and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = CacheFolder(os.open(path, flags))
    try:
        facts = os.fstat(folder.descriptor)
        if facts.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "belongs to another user", str(path))
        if writing and facts.st_mode & 0o077:
            os.fchmod(folder.descriptor, 0o700)
    except BaseException:
        os.close(folder.descriptor)
        raise
    return folder


def open_entry(folder: CacheFolder, name: str) -> BufferedReader:
    """Open a file of the cache, and note that it was used; OSError as `CacheFolder.reader`."""
    file = folder.reader(name)
    with contextlib.suppress(OSError):
        os.utime(file.fileno())
    return file


def write_entry(folder: CacheFolder, name: str, parts: Iterable[bytes | memoryview]) -> None:
    """Write a file of the cache beside its name, and rename it; OSError if that fails."""
    new = f"{name}.{os.getpid()}{NEW}"
    with contextlib.suppress(FileNotFoundError):
        folder.remove(new)
    descriptor = folder.create(new)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
        folder.rename(new, name)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.remove(new)
        raise


def find_sum(state: FileState) -> KnownSum | None:
    """Return what is known of a file, or None."""
    if not state.is_cached:
        return None
    try:
        with open_cache() as folder, open_entry(folder, state.key + SUM) as file:
            saved = json.loads(file.read(_MOST_SUM_BYTES))
        known = KnownSum(saved["sha256"], saved["is_text"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    digest = known.sha256
    is_right = isinstance(digest, str) and len(digest) == 64 and isinstance(known.is_text, bool)
    return known if is_right and set(digest) <= {*"0123456789abcdef"} else None


def keep_sum(folder: CacheFolder, state: FileState, known: KnownSum) -> None:
    """Keep what is known of a file; OSError if that fails."""
    write_entry(folder, state.key + SUM, [json.dumps(asdict(known)).encode()])


def entries(folder: CacheFolder) -> list[CacheEntry]:
    """Return the files of the cache, those that were used longest ago first."""
    found = []
    for name in folder.names():
        if not name.endswith((TABLE, PICTURES, SUM, ARRAYS, NEW)):
            continue
        with contextlib.suppress(FileNotFoundError):
            facts = folder.facts(name)
            if stat.S_ISREG(facts.st_mode):
                found.append(CacheEntry(name, facts.st_size, facts.st_mtime))
    return sorted(found, key=lambda entry: (entry.used_s, entry.name))


def make_room(folder: CacheFolder, size: int, most: int = MOST_BYTES) -> None:
    """Remove the files that were used longest ago, until there is room for so many bytes."""
    known = entries(folder)
    total = size + sum(entry.size for entry in known)
    for entry in known:
        # What another process is writing is left to it for an hour.
        is_new = entry.name.endswith(NEW) and time.time() - entry.used_s < 3600
        if is_new or (total <= most and not entry.name.endswith(NEW)):
            continue
        with contextlib.suppress(FileNotFoundError):
            folder.remove(entry.name)
        total -= entry.size


def clear_cache() -> tuple[int, int]:
    """Remove everything from the cache; return how many data sets, and how many bytes.

    Raises:
        OSError: it cannot be opened, or something cannot be removed.
    """
    data_sets = total = 0
    if not ((path := cache_folder()) and path.exists()):
        return 0, 0
    with open_cache(writing=True) as folder:
        for entry in entries(folder):
            folder.remove(entry.name)
            data_sets += entry.name.endswith((TABLE, PICTURES))
            total += entry.size
    return data_sets, total


def reason(error: OSError) -> str:
    """Return why the cache cannot be used, cleaned for display."""
    return clean(error.strerror or str(error), 200)
