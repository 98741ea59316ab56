"""Reads data files as bytes: files on disk, or files shipped with the package (`builtin:NAME`).

Layer: data. A built-in file is looked up by name in `sums.json`, never by path, and is refused if
its sha256 differs from the one recorded there.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import zlib
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from tui_trainer.config.sections.datasets import BUILTIN
from tui_trainer.data.files.arrow import why_no_arrow
from tui_trainer.data.files.cache_store import FileState, find_sum
from tui_trainer.data.files.content import Content, StoredContent, open_stream, pieces
from tui_trainer.text.clean import clean, suggest
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

SUMS = "sums.json"
MAX_BYTES = 4 * 1024**3
"""The largest size of a file, before and after unpacking."""

MOST_HELD = 16 << 20
"""A file of fewer bytes is read into memory at once."""

TableFormat = Literal["csv", "json lines", "parquet"]

_MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
_PIECE_BYTES = 1 << 20
_LOOKED_AT_BYTES = 4 << 20


class NoSuchData(BadInput):
    """There is no file or folder of that name; it may have been moved."""


@dataclass(frozen=True, slots=True)
class TableStyle:
    """The way a table is written."""

    separator: str = ","
    """Of the fields."""
    marks: frozenset[str] | None = None
    """The texts that stand for a missing value; None: the usual ones."""
    is_normalised: bool = False
    """Whether texts become Unicode's form NFC, so that two ways to write `é` are one."""
    decimal: str = "auto"
    """Of numbers: `auto`, `point` or `comma`."""
    thousands: str = "auto"
    """What separates them: `auto`, `none`, `comma`, `point` or `space`."""
    format: TableFormat = "csv"
    has_header: bool = True
    skips_space: bool = False
    """Whether there are spaces between a separator and the quote that opens a field."""
    comment: str = ""
    """What a line begins with that is left out; empty: none is."""
    begin: int = 0
    """The byte in which the first record begins, or a comment before it."""
    begin_line: int = 1
    keeps_literals: bool = False
    """Whether what is not a text in a file with types is a `Literal`, to be written again.

    Without it a list or object is refused. Never for training: checkpoints take plain texts alone.
    """

    @property
    def place(self) -> str:
        """The word for where a row is: lines are counted in texts only."""
        return "row" if self.format == "parquet" else "line"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that can be read; `name` is cleaned for messages."""

    name: str
    content: Content = field(repr=False)
    """Unpacked, if the file was compressed."""
    sha256: str
    """The hash of the bytes as they are on disk."""
    style: TableStyle = TableStyle()
    """How a table in it is written."""
    state: FileState | None = field(default=None, repr=False)
    """The file on the disk; None for one of ours."""
    is_raw: bool = True
    """Whether the content is as it is on disk: neither unpacked nor of another encoding."""
    is_known_text: bool = False
    """Whether the content was found to be text in UTF-8 before."""


def open_file(
    path: str,
    builtin_folder: Traversable | None = None,
    max_bytes: int = MAX_BYTES,
    *,
    cut: bool = False,
) -> DataFile:
    """Open a file, unpacking gzip and zstd; with `cut` no more than the most bytes are unpacked.

    Raises:
        NoSuchData: there is no such file.
        BadInput: it cannot be read or unpacked, it is too big, or it is a built-in file that was
            altered.
    """
    raw: Content
    state: FileState | None = None
    if path.startswith(BUILTIN):
        folder = builtin_folder or files("tui_trainer.data").joinpath("builtin")
        raw = builtin_bytes(path.removeprefix(BUILTIN), folder)
    else:
        raw, state = content_on_disk(path, max_bytes)
    name = clean(path, 200)
    known = None if state is None else find_sum(state)
    content = _unpack(raw, path, name, max_bytes, cut=cut)
    return DataFile(
        name,
        content,
        known.sha256 if known else sum_of(raw, name),
        state=state,
        is_raw=content is raw,
        is_known_text=known is not None and known.is_text and content is raw,
    )


def open_beginning(
    path: str, count: int = _LOOKED_AT_BYTES, *, whole_lines: bool = True
) -> DataFile:
    """Open a file of which only up to so many bytes are read, and no sum is made.

    Raises:
        NoSuchData, BadInput: as `open_file`.
    """
    if path.startswith(BUILTIN):
        return open_file(path)
    raw, _ = content_on_disk(path, MAX_BYTES)
    name = clean(path, 200)
    packing = next((word for word, magic in _MAGIC.items() if raw[: len(magic)] == magic), "")
    content = raw[:count]
    try:
        if packing:
            with _unpacking(raw, packing, name) as packed:
                content = packed.read(count)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise BadInput(f"{name}: is damaged or cut short; copy it again") from error
    is_whole = len(content) < count or not whole_lines
    return DataFile(name, content if is_whole else content[: content.rfind(b"\n") + 1], "")


def sum_of(content: Content, name: str) -> str:
    """Return the sha256 of a content, and say how far that is."""
    digest, done = hashlib.sha256(), 0
    with ReadProgress(name, len(content)) as progress:
        for piece in pieces(content):
            digest.update(piece)
            done += len(piece)
            progress.reach(done)
    return digest.hexdigest()


def builtin_bytes(name: str, folder: Traversable) -> bytes:
    """Return the bytes of a file shipped with the package; BadInput if its sha256 is wrong."""
    sums = _sums(folder)
    if name not in sums:
        available = ", ".join(f"{BUILTIN}{file_name}" for file_name in sums)
        raise BadInput(
            f"dataset.path: no file {BUILTIN}{clean(name, 80)}{suggest(name, sums)}; "
            f"available: {available}"
        )
    try:
        content = folder.joinpath(name).read_bytes()
    except OSError as error:
        raise BadInput(f"{BUILTIN}{name}: {reason_of(error)}; install the program again") from error
    if hashlib.sha256(content).hexdigest() != sums[name]:
        raise BadInput(
            f"{BUILTIN}{name} was altered: its sha256 is not the one in {SUMS}; install the "
            "program again, or name a copy of your own in dataset.path"
        )
    return content


def _sums(folder: Traversable) -> dict[str, str]:
    try:
        sums = json.loads(folder.joinpath(SUMS).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{SUMS} of the builtin data cannot be read; install it again") from error
    if not isinstance(sums, dict):
        raise BadInput(f"{SUMS} of the builtin data is damaged; install the program again")
    return {str(name): str(digest) for name, digest in sums.items()}


def content_on_disk(path: str, max_bytes: int) -> tuple[Content, FileState]:
    """Return the bytes of a file as they are; NoSuchData or BadInput as `open_file`."""
    name = clean(path, 200)
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise BadInput(f"{name}: is {kind}; name a file")
        if status.st_size > max_bytes:
            raise _too_big(name, max_bytes)
        state = FileState(os.path.abspath(path), status.st_size, status.st_mtime_ns)
        if status.st_size < MOST_HELD:
            return Path(path).read_bytes(), state
        return StoredContent(path, name), state
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchData(f"{name}: no such file{similar_name(path)}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{name}: cannot be read: {reason_of(error)}") from error


def similar_name(path: str) -> str:
    """Return a hint: a file of a similar name in the same folder, or that there is no folder."""
    try:
        neighbours = [entry.name for entry in os.scandir(Path(path).parent)][:1000]
    except (OSError, ValueError):
        return f" (there is no folder {clean(str(Path(path).parent), 200)} either)"
    return clean(suggest(Path(path).name, neighbours))


def reason_of(error: Exception) -> str:
    """Return why something could not be read, cleaned for display."""
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return clean(str(error), 200)


def _unpack(raw: Content, path: str, name: str, max_bytes: int, *, cut: bool) -> Content:
    packing = next((word for word, magic in _MAGIC.items() if raw[: len(magic)] == magic), "")
    if not packing:
        for suffix, word in ((".gz", "gzip"), (".zst", "zstd")):
            if path.endswith(suffix) and len(raw):
                raise BadInput(
                    f"{name}: is not a {word} file, although its name ends in {suffix}; rename it"
                )
        return raw
    try:
        with _unpacking(raw, packing, name) as packed:
            return _read_capped(packed, name, max_bytes, cut=cut)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = clean(str(error), 200)
        raise BadInput(f"{name}: is damaged or cut short ({reason}); copy it again") from error


def _unpacking(raw: Content, packing: str, name: str) -> Any:
    """Return a packed content as an open file of what is in it."""
    if packing == "gzip":
        return gzip.GzipFile(fileobj=open_stream(raw))
    if why := why_no_arrow():
        raise BadInput(
            f"{name}: zstd needs pyarrow, which cannot be imported ({why}); install it (pip "
            "install pyarrow), or unpack the file with zstd -d"
        )
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(open_stream(raw), mode="r"), "zstd")


def _read_capped(packed: Any, name: str, max_bytes: int, *, cut: bool) -> bytes:
    """Read everything, piece by piece, so that a bomb is refused before it fills memory.

    With `cut`, what has more bytes ends there.
    """
    if cut:
        whole: bytes = packed.read(max_bytes)
        return whole
    pieces = io.BytesIO()
    while piece := packed.read(_PIECE_BYTES):
        pieces.write(piece)
        if pieces.tell() > max_bytes:
            raise _too_big(name, max_bytes)
    return pieces.getvalue()


def _too_big(name: str, max_bytes: int) -> BadInput:
    limit = f"{max_bytes / 1024**3:.3g} GiB"
    return BadInput(f"{name}: more than {limit}, too much to hold in memory")
