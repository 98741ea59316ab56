"""Reads and checks text files as bytes, either all of a folder or a single one.

Layer: data. Texts have no NUL bytes, so that NUL can separate two files. Duplicates are left out,
or a copy of a training text could end up in the test split.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from tui_trainer.config.sections.datasets import STDLIB
from tui_trainer.data.base.random import seeded
from tui_trainer.data.files.csv import line_at
from tui_trainer.data.files.disk import open_file, reason_of
from tui_trainer.data.files.folders import ListedFile, SkippedFiles, SourceFolder, list_files
from tui_trainer.text.errors import BadInput
from tui_trainer.text.format import size_text

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TO_UTF8 = "iconv -f UTF-16 -t UTF-8 FILE > NEW"


@dataclass(frozen=True, slots=True)
class Text:
    """A text; never empty."""

    name: str
    """The path relative to the folder, as found on disk, so `clean` it before showing it."""
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts in the order of their names."""

    name: str
    """The name of the file or folder, cleaned for messages."""
    texts: tuple[Text, ...]
    sha256: str
    """The hash of a single file's raw bytes, or of the names and contents of a folder's texts."""
    notes: tuple[str, ...]
    noun: str = "file"
    """The noun for what holds a text: file or row."""


def read_file(path: str, max_bytes: int) -> Texts:
    """Read a single file, unpacked; only its first `max_bytes`, with a note if there is more.

    Raises:
        BadInput: it cannot be read, is empty, or has a NUL byte.
    """
    file = open_file(path)
    content = file.content[:max_bytes]
    notes = []
    if not content:
        raise BadInput(f"{file.name}: the file is empty")
    if len(content) < len(file.content):
        omitted = len(file.content) - len(content)
        notes.append(f"the last {in_bytes(omitted)} are left out (dataset.max_bytes)")
    zero = content.find(b"\0")
    if zero >= 0 and content.startswith(_UTF16):
        raise BadInput(f"{file.name}: the file is UTF-16; save it as UTF-8, as {_TO_UTF8} does")
    if zero >= 0:
        raise BadInput(
            f"{file.name}:{line_at(content, zero)}: a NUL byte; is this a text? "
            "Save it as UTF-8 without NUL"
        )
    if not _is_utf8(content):
        notes.append(f"{file.name} is not UTF-8; its bytes are used as they are")
    return Texts(file.name, (Text(file.name, content),), file.sha256, tuple(notes))


def read_folder(
    folder: SourceFolder,
    patterns: Sequence[str],
    max_file_bytes: int,
    max_bytes: int | None = None,
    seed: int = 0,
) -> Texts:
    """Read the texts of a folder; files that are not text, too large, or copies of others are left
    out, with a note.

    If all files together exceed `max_bytes`, some are left out at random, by the seed.

    Raises:
        BadInput: the folder cannot be read, or no text is left.
    """
    listing = list_files(folder, patterns)
    omissions = listing.omissions
    files = _select_by_size(listing.files, max_file_bytes, omissions)
    if max_bytes is not None:
        files = _draw_files(files, max_bytes, seed, omissions)
    texts: list[Text] = []
    digests: set[bytes] = set()
    folder_hash = hashlib.sha256()
    not_utf8 = SkippedFiles()
    for file in files:
        content = _read_content(folder, file, max_file_bytes, omissions)
        digest = hashlib.sha256(content).digest()
        if digest in digests:
            omissions.add("copy of another file", file.name)
        elif content:
            digests.add(digest)
            texts.append(Text(file.name, content))
            folder_hash.update(os.fsencode(file.name) + b"\0" + digest)
            if not _is_utf8(content):
                not_utf8.add("file is not UTF-8, its bytes are used as they are", file.name)
    notes = [*_library_note(folder), *omissions.notes()]
    notes += [note.replace(" left out: ", " kept: ") for note in not_utf8.notes()]
    if not texts:
        raise BadInput(f"{folder.name}: no text is left; " + "; ".join(notes))
    return Texts(folder.name, tuple(texts), folder_hash.hexdigest(), tuple(notes))


def in_bytes(count: int) -> str:
    """Write a number of bytes, as `12 bytes` or `1.5 MB`."""
    return f"{count} bytes" if count < 1000 else size_text(count)


def _library_note(folder: SourceFolder) -> list[str]:
    if folder.name != STDLIB:
        return []
    return [f"the standard library of Python {platform.python_version()}, without its tests"]


def _select_by_size(
    files: Sequence[ListedFile], most: int, omissions: SkippedFiles
) -> list[ListedFile]:
    selected = []
    for file in files:
        if file.size == 0:
            omissions.add("file that is empty", file.name)
        elif file.size > most:
            omissions.add("file larger than dataset.max_file_bytes", file.name)
        else:
            selected.append(file)
    return selected


def _draw_files(
    files: list[ListedFile], most: int, seed: int, omissions: SkippedFiles
) -> list[ListedFile]:
    """Draw files, by the seed, of at most `most` bytes in all; they keep their order."""
    if sum(file.size for file in files) <= most:
        return files
    order = torch.randperm(len(files), generator=seeded("cpu", seed, "max_bytes")).tolist()
    chosen = set()
    total = 0
    for index in order:
        if total + files[index].size <= most:
            total += files[index].size
            chosen.add(index)
        else:
            omissions.add("file beyond dataset.max_bytes", files[index].name)
    return [file for index, file in enumerate(files) if index in chosen]


def _read_content(
    folder: SourceFolder, entry: ListedFile, most: int, omissions: SkippedFiles
) -> bytes:
    """Return the bytes of a file; if it cannot be used, count it and return none."""
    try:
        with open(folder.path / entry.name, "rb") as file:
            # One byte more than allowed shows that the file has grown since it was listed.
            content = file.read(most + 1)
    except OSError as error:
        omissions.add(f"file that cannot be read ({reason_of(error)})", entry.name)
        return b""
    if len(content) > most:
        omissions.add("file that grew while it was read", entry.name)
        return b""
    if b"\0" in content and content.startswith(_UTF16):
        omissions.add(f"file in UTF-16, which {_TO_UTF8} turns into UTF-8", entry.name)
        return b""
    if b"\0" in content:
        omissions.add("file with NUL bytes, which is not UTF-8 text", entry.name)
        return b""
    return content


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
