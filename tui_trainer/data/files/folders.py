"""Lists the files in a folder and below it that are wanted, and counts those left out.

Layer: data. Links are followed, and each real folder and file is visited once, so a loop of links
ends. Files come in the order of their names, which is the same on every machine.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sysconfig
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from tui_trainer.config.garbage_collection import collector_paused
from tui_trainer.config.sections.datasets import STDLIB
from tui_trainer.data.files.disk import NoSuchData, reason_of
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput


class SkippedFiles:
    """Counts what was left out of a data set, by reason, and keeps the first name per reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._firsts: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, reason: str, name: str) -> None:
        """Count one thing left out; `reason` begins with a noun, as in `file that is empty`."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        self._firsts.setdefault(reason, clean(name, 80))

    def update(self, other: SkippedFiles) -> None:
        """Add the counts of another object."""
        for reason, count in other._counts.items():
            self._counts[reason] = self._counts.get(reason, 0) + count
            self._firsts.setdefault(reason, other._firsts[reason])

    def notes(self) -> list[str]:
        """Return a line for each reason, as `2 left out: file that is empty (a.txt and others)`."""
        return [
            f"{count} left out: {reason} "
            f"({self._firsts[reason]}{' and others' if count > 1 else ''})"
            for reason, count in self._counts.items()
        ]


MOST_FILES = 1_000_000

_AGAIN = "link to a parent folder, or to something already read"
_NOT_OF_THE_LIBRARY = frozenset(
    {"__pycache__", "dist-packages", "idle_test", "site-packages", "test", "tests"}
)


@dataclass(frozen=True, slots=True)
class SourceFolder:
    """A folder to be read; `name` is cleaned for messages."""

    path: Path
    name: str
    skipped: frozenset[str] = frozenset()
    """Folders with these names are skipped."""


class ListedFile(NamedTuple):
    """A file that is wanted."""

    name: str
    """The path relative to the folder, with `/` between its parts."""
    size: int
    """In bytes."""
    mtime_ns: int = 0


@dataclass(slots=True)
class Listing:
    """The result of a walk through a folder."""

    files: list[ListedFile] = field(default_factory=list)
    omissions: SkippedFiles = field(default_factory=SkippedFiles)
    others: Counter[str] = field(default_factory=Counter)
    """The number of files that are not wanted, by their ending."""

    def counts_of_others(self) -> str:
        """Return how many files of the most frequent endings are not wanted; empty for none."""
        shown = ", ".join(f"{count} {ending}" for ending, count in self.others.most_common(5))
        return clean(shown, 200)


def open_folder(path: str) -> SourceFolder:
    """Return the folder of a path or of `stdlib:`; NoSuchData if there is none."""
    if path.startswith(STDLIB):
        return _library(path)
    name = clean(path, 200)
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchData(f"{name}: no such file or folder{_maker_of(Path(path))}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{name}: cannot be read: {reason_of(error)}") from error
    if not stat.S_ISDIR(status.st_mode):
        raise BadInput(f"{name}: is not a folder; check dataset.path")
    return SourceFolder(Path(path), name)


def _maker_of(folder: Path) -> str:
    """Return a hint if a script beside a folder that is not there has its name, and so makes it."""
    script = folder.with_name(f"{folder.name.replace('-', '_')}.py")
    if not script.is_file():
        return ""
    # That of a preset is beside another folder: presets/datasets/../data.
    return f"; python {clean(str(script.resolve()), 200)} makes it"


def _library(path: str) -> SourceFolder:
    """Return Python's standard library without its tests, which are more than half of it."""
    if path != STDLIB:
        raise BadInput(f"dataset.path: nothing may follow {STDLIB}, got {clean(path, 80)!r}")
    root = Path(sysconfig.get_path("stdlib"))
    if not (root / "os.py").is_file():
        raise BadInput(
            f"{STDLIB} the source of Python's standard library is not in {clean(str(root), 200)}; "
            "name a folder of your own in dataset.path"
        )
    return SourceFolder(root, STDLIB, _NOT_OF_THE_LIBRARY)


def list_files(folder: SourceFolder, patterns: Sequence[str]) -> Listing:
    """List the files in a folder and below it that match a pattern; hidden files are skipped.

    A pattern with a `/` is matched against the path relative to the folder, any other pattern
    against the file name.

    Raises:
        BadInput: the folder cannot be read, or no file matches.
    """

    def matches(name: str) -> bool:
        base_name = name.rpartition("/")[2]
        return any(
            fnmatchcase(name if "/" in pattern else base_name, pattern) for pattern in patterns
        )

    listing = walk_files(folder, matches)
    if not listing.files:
        raise BadInput(
            f"{folder.name}: no file matches dataset.patterns {clean(', '.join(patterns), 120)}"
            f"{_other_files(listing)}"
        )
    return listing


def walk_files(folder: SourceFolder, matches: Callable[[str], bool]) -> Listing:
    """List the files in a folder and below it whose names, relative to it, match.

    Hidden files are skipped.

    Raises:
        BadInput: the folder cannot be read.
    """
    listing = Listing()
    # It would look again and again through all files listed so far, none of which is in a cycle,
    # and that took half of the time of a walk.
    with collector_paused():
        _Walk(folder, matches, listing).run()
    return listing


def _other_files(listing: Listing) -> str:
    left_out = "".join(f"; {note}" for note in listing.omissions.notes())
    if not listing.others:
        return left_out or "; the folder has no files"
    return f"; available: {listing.counts_of_others()}{left_out}"


class _Walk:
    """One walk through a folder."""

    def __init__(
        self, folder: SourceFolder, matches: Callable[[str], bool], listing: Listing
    ) -> None:
        self._folder = folder
        self._matches = matches
        self._listing = listing
        # A link to a parent folder would bring in the neighbours of this folder.
        self._visited: defaultdict[int, set[int]] = defaultdict(set)
        """The inodes by device."""
        for parent in Path(os.path.realpath(folder.path)).parents:
            self._is_new(os.stat(parent))

    def run(self) -> None:
        waiting = [""]
        while waiting:
            below = waiting.pop()
            # The list is a stack, so pushing in reverse visits the folders in name order.
            waiting += reversed(self._visit(below))

    def _visit(self, below: str) -> list[str]:
        """Add the files of a folder that match; return the folders in it, with their slashes."""
        folder = -1
        try:
            # Files are looked up in the open folder, which is quicker than by their whole paths.
            folder = os.open(self._folder.path / below, os.O_RDONLY | os.O_DIRECTORY)
            if not self._is_new(os.fstat(folder)):
                self._listing.omissions.add(_AGAIN, below)
                return []
            names = [name for name in os.listdir(folder) if name[0] != "."]
            names.sort()
            folders, others = self._add_files(below, names, folder)
            folders += self._look_at(below, others, folder) if others else []
            return [f"{below}{name}/" for name in sorted(folders)]
        except OSError as error:
            if not below:
                raise BadInput(f"{self._folder.name}: {reason_of(error)}") from error
            self._listing.omissions.add("folder that cannot be read", below)
            return []
        finally:
            if folder >= 0:
                os.close(folder)

    def _add_files(
        self, below: str, names: Sequence[str], folder: int
    ) -> tuple[list[str], list[str]]:
        """Add the files of an open folder that match; return the folders among those that do, and
        all that do not.
        """
        listing, matches, look, new = self._listing, self._matches, os.stat, tuple.__new__
        folders, others, add = [], [], listing.files.append
        device, inodes = -1, set[int]()
        # There may be a million files, so what is done for each is written out here.
        for base in names:
            name = below + base
            if not matches(name):
                others.append(base)
                continue
            try:
                status = look(base, dir_fd=folder)
            except OSError:
                # A link to a missing file, or to itself.
                listing.omissions.add("link that leads nowhere", name)
                continue
            if not stat.S_ISREG(status.st_mode):
                if not stat.S_ISDIR(status.st_mode):
                    listing.omissions.add("entry that is not a regular file", name)
                elif base not in self._folder.skipped:
                    folders.append(base)
                continue
            if status.st_dev != device:
                device = status.st_dev
                inodes = self._visited[device]
            if (inode := status.st_ino) in inodes:
                listing.omissions.add(_AGAIN, name)
                continue
            inodes.add(inode)
            # Its own constructor takes twice as long.
            add(new(ListedFile, (name, status.st_size, status.st_mtime_ns)))
        if len(listing.files) > MOST_FILES:
            raise BadInput(f"{self._folder.name}: more than {MOST_FILES:,} files")
        return folders, others

    def _look_at(self, below: str, names: Sequence[str], folder: int) -> list[str]:
        """Count the files of an open folder that do not match; return the folders among them."""
        wanted, folders, files = {*names}, set[str](), set[str]()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in wanted:
                    # A link that leads nowhere is neither.
                    with contextlib.suppress(OSError):
                        (folders if entry.is_dir() else files).add(entry.name)
        for name in names:
            if name in files:
                ending = os.path.splitext(below + name)[1]
                self._listing.others["*" + (ending or " (no ending)")] += 1
        return [*(folders - self._folder.skipped)]

    def _is_new(self, status: os.stat_result) -> bool:
        inodes = self._visited[status.st_dev]
        is_new = status.st_ino not in inodes
        inodes.add(status.st_ino)
        return is_new
