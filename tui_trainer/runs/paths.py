"""Opens, reads, lists and copies a run's files by their paths, through `Folder`.

Layer: runs. Each call opens the folder of the file, so it refuses what `Folder` refuses.
"""

from __future__ import annotations

import os
import shutil
import stat
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from tui_trainer.runs.folder import open_folder, open_folder_at

_CHUNK_BYTES = 2**20


def open_file(path: Path) -> BufferedReader:
    """Open a regular file of a run for reading; raises OSError."""
    around, name = os.path.split(path)
    with open_folder_at(around) as folder:
        return folder.reader(name)


def read_file(path: Path, most_bytes: int) -> bytes:
    """Read a regular file of a run; raises OSError, also if it has more than `most_bytes`."""
    around, name = os.path.split(path)
    with open_folder_at(around) as folder:
        return folder.read(name, most_bytes)


def facts_of(path: Path) -> os.stat_result | None:
    """Return the state of an entry of a run, without following links; None if unknown."""
    try:
        with open_folder(path.parent) as folder:
            return folder.facts(path.name)
    except OSError:
        return None


def opened_facts(path: Path) -> os.stat_result | None:
    """Return the state of a regular file of a run by opening it; None if it cannot be read."""
    around, name = os.path.split(path)
    try:
        with open_folder_at(around) as folder:
            return folder.opened_facts(name)
    except OSError:
        return None


def exists(path: Path) -> bool:
    """Whether a run has an entry of that name, of any kind."""
    return facts_of(path) is not None


def size_of(path: Path) -> int:
    """Like `Folder.size`, for a file of a run."""
    around, name = os.path.split(path)
    try:
        with open_folder_at(around) as folder:
            return folder.size(name)
    except OSError:
        return 0


def names_in(path: Path) -> list[str]:
    """Return the names in a folder of a run, sorted; none if it cannot be listed."""
    try:
        with open_folder(path) as folder:
            return sorted(folder.names())
    except OSError:
        return []


def is_folder(path: Path) -> bool:
    """Whether an entry of a run, or a run itself, is a folder and not a link to one."""
    facts = facts_of(path)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def count_files(path: Path, suffix: str) -> tuple[int, int]:
    """Return the number of a run's files with a suffix, and the bytes of all its files."""
    count = total_bytes = 0
    with open_folder(path) as folder:
        for name in folder.names():
            facts = folder.facts(name)
            if facts is None:
                continue
            if stat.S_ISDIR(facts.st_mode):
                inner_count, inner_bytes = count_files(path / name, suffix)
                count, total_bytes = count + inner_count, total_bytes + inner_bytes
            elif stat.S_ISREG(facts.st_mode):
                count += name.endswith(suffix)
                total_bytes += facts.st_size
    return count, total_bytes


def remove_tree(path: Path) -> None:
    """Remove the directory of a run with its contents; links are removed, not followed.

    Raises OSError.
    """
    with open_folder(path.parent) as above:
        shutil.rmtree(path.name, dir_fd=above.descriptor)


def copy_file(source: BinaryIO, target: Path, most_bytes: int) -> None:
    """Copy at most `most_bytes` into a new file, which is on the disk before this returns."""
    with open_folder(target.parent, writing=True) as folder:
        writing = os.fdopen(folder.create(target.name), "wb")
    with writing:
        left = most_bytes
        while left > 0 and (data := source.read(min(left, _CHUNK_BYTES))):
            writing.write(data)
            left -= len(data)
        writing.flush()
        os.fsync(writing.fileno())
