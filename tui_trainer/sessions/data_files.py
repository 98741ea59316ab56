"""The files that data may be in: the entries of a folder, and the beginning of a file.

Layer: sessions, without torch. Folders and files may belong to anybody: what is read is bounded,
pipes and devices are not opened, and every text that is returned for display is cleaned. Reading
may take long on a slow disk, so it belongs into a thread.
"""

from __future__ import annotations

import csv
import json
import os
import stat
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice, takewhile
from pathlib import Path
from typing import Literal

from tui_trainer.config.sections.datasets import SEPARATORS
from tui_trainer.text.clean import clean
from tui_trainer.text.format import size_text

_ARRAYS = (".npy", ".npz", ".safetensors", "ubyte", "ubyte.gz")
READABLE = (".csv", ".tsv", ".txt", ".gz", ".zst", ".parquet", ".jsonl", ".bin", *_ARRAYS)
"""Endings of the files that data are usually in."""
_BINARY = (".parquet", ".zst", *_ARRAYS)
MOST_LOOKED_AT = 100_000
"""So many entries of a folder are read; more are counted as `and more`."""
MOST_LISTED = 500
"""So many entries are returned."""
_HEAD_BYTES = 64 * 1024
_HEAD_ROWS = 30
_MOST_COLUMNS = 40
_CELL = 40
_NUMBERS = 12
"""Numbers per row of a file of tokens."""

Kind = Literal["folder", "data", "other"]
_ORDER: dict[Kind, int] = {"folder": 0, "data": 1, "other": 2}


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """An entry of a folder; the name may contain anything, so clean it before it is shown."""

    name: str
    kind: Kind
    """`data` if a file's name ends as those of data do."""
    is_file: bool
    """Whether it is a regular file, or a link to one."""


@dataclass(frozen=True, slots=True)
class FolderListing:
    """The entries of a folder: folders first, then files of data, then the others."""

    entries: tuple[FolderEntry, ...]
    left_out: str = ""
    """How many entries are missing in the list; empty if none are."""
    problem: str = ""
    """Why the folder cannot be read."""


def list_folder(folder: Path, beginning: str = "") -> FolderListing:
    """Return the entries of a folder whose names begin so, in any case, sorted.

    Hidden entries are left out unless the beginning has their dot.
    """
    try:
        found, is_all = _matching(folder, beginning)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return FolderListing((), problem=clean(f"{folder}: {reason.lower()}", 300))
    shown = nsmallest(MOST_LISTED, found, key=_rank)
    left_out = ""
    if not is_all:
        left_out = f"more than {MOST_LOOKED_AT:,} entries; type the path of one"
    elif len(found) > len(shown):
        left_out = f"{len(found) - len(shown):,} more; type the beginning of a name"
    return FolderListing(tuple(shown), left_out)


def _matching(folder: Path, beginning: str) -> tuple[list[FolderEntry], bool]:
    """Return the entries whose names begin so, and whether all of the folder were looked at."""
    wanted = beginning.casefold()
    with os.scandir(folder) as entries:
        looked_at = list(islice(entries, MOST_LOOKED_AT + 1))
    found = [
        _described(entry)
        for entry in looked_at[:MOST_LOOKED_AT]
        if entry.name.casefold().startswith(wanted)
        and not (entry.name.startswith(".") and not wanted)
    ]
    return found, len(looked_at) <= MOST_LOOKED_AT


def _described(entry: os.DirEntry[str]) -> FolderEntry:
    try:
        is_folder, is_file = entry.is_dir(), entry.is_file()
    except OSError:
        is_folder = is_file = False
    is_data = is_file and entry.name.lower().endswith(READABLE)
    kind: Kind = "folder" if is_folder else "data" if is_data else "other"
    return FolderEntry(entry.name, kind, is_file)


def _rank(entry: FolderEntry) -> tuple[int, str, str]:
    return _ORDER[entry.kind], entry.name.casefold(), entry.name


def complete(text: str) -> str:
    """Return a typed path completed as far as the entries of its folder agree.

    A folder that is the only match gets a slash at its end. A path in a folder that cannot be read,
    or not to its end, stays as it is.
    """
    folder, beginning = split_typed(text)
    try:
        found, is_all = _matching(folder, beginning)
    except (OSError, ValueError):
        return text
    names = [entry for entry in found if entry.name.startswith(beginning)]
    if not names or not is_all:
        return text
    ends = min(entry.name for entry in names), max(entry.name for entry in names)
    # What the first and the last in order share, all between them have too.
    same = takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False))
    common = "".join(first for first, _ in same)
    done = text.removesuffix(beginning) + common
    is_folder = len(names) == 1 and names[0].kind == "folder"
    return f"{done}/" if is_folder and common == names[0].name else done


def split_typed(text: str) -> tuple[Path, str]:
    """Return the folder that a typed path is in, and the beginning of a name after it."""
    head, slash, name = typed_path(text).rpartition("/")
    return Path(os.path.expanduser(head + slash) or "."), name


def typed_path(text: str) -> str:
    """Return a path without the `./` of an empty field if a whole path was typed behind it."""
    return text.removeprefix("./") if text.startswith((".//", "./~/")) else text


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a file, cleaned for display."""

    size: str
    rows: tuple[tuple[str, ...], ...] = ()
    """The first rows of a table, the header first; or lines of text, one cell each."""
    is_table: bool = False
    more_columns: int = 0
    problem: str = ""
    """Why nothing of it is shown."""
    is_binary: bool = False
    """Whether it has the name of a form that only the readers of data know."""


def read_head(path: Path) -> Head:
    """Return the first rows of a file, of which at most 64 kB are read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return Head("", problem="it is not a regular file, so it is not opened")
        size = size_text(status.st_size)
        raw = _beginning(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Head("", problem=clean(reason.lower(), 200))
    if not raw:
        return Head(size, problem="it is empty" if not status.st_size else "it cannot be unpacked")
    name = path.name.lower()
    if name.endswith(_BINARY):
        text = "its contents are shown only after it is read"
        return Head(size, problem=text, is_binary=True)
    if name.endswith(".bin"):
        return _numbers(size, raw)
    if b"\0" in raw and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Head(size, problem="it is not text; enter says what it is")
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    lines = raw.decode(encoding, "replace").splitlines(keepends=True)
    if len(raw) >= _HEAD_BYTES and len(lines) > 1:
        # The last one is cut anywhere.
        lines.pop()
    return _records(size, lines) or _table(size, lines, name) or _text(size, lines)


def _beginning(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked; opening never waits for a writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        raw = file.read(_HEAD_BYTES)
    if not raw.startswith(b"\x1f\x8b"):
        return raw
    try:
        return zlib.decompressobj(31).decompress(raw, _HEAD_BYTES)
    except zlib.error:
        return b""


def _numbers(size: str, raw: bytes) -> Head:
    """Return the head of a file of token numbers, as numbers of 16 bits."""
    most = min(len(raw) // 2, _HEAD_ROWS * _NUMBERS)
    numbers = struct.unpack(f"<{most}H", raw[: 2 * most])
    rows = tuple(
        (" ".join(map(str, numbers[place : place + _NUMBERS])),)
        for place in range(0, most, _NUMBERS)
    )
    return Head(f"{size}, as 16-bit numbers", rows)


def _records(size: str, lines: Sequence[str]) -> Head | None:
    """Return the head of JSON lines as a table, or None for anything else."""
    records = []
    for line in filter(None, map(str.strip, lines[: _HEAD_ROWS - 1])):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(record, dict):
            return None
        records.append(record)
    keys = list(dict.fromkeys(key for record in records for key in record))
    if not keys:
        return None
    shown = keys[:_MOST_COLUMNS]
    rows = [[_cell(record.get(key)) for key in shown] for record in records]
    header = tuple(clean(key, _CELL) for key in shown)
    cells = (header, *(tuple(clean(cell, _CELL) for cell in row) for row in rows))
    return Head(size, cells, is_table=True, more_columns=len(keys) - len(shown))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(size: str, lines: Sequence[str], name: str) -> Head | None:
    """Return the head of a table, or None for text without a separator."""
    for separator in ("\t",) if ".tsv" in name else SEPARATORS.values():
        try:
            records = list(islice(csv.reader(lines, delimiter=separator), _HEAD_ROWS))
        except csv.Error:
            continue
        widths = {len(record) for record in records if record}
        if len(widths) == 1 and (width := widths.pop()) > 1:
            rows = tuple(
                tuple(clean(cell.strip(), _CELL) for cell in record[:_MOST_COLUMNS])
                for record in records
                if record
            )
            return Head(size, rows, is_table=True, more_columns=max(width - _MOST_COLUMNS, 0))
    return None


def _text(size: str, lines: Sequence[str]) -> Head:
    rows = tuple((clean(line.rstrip("\r\n").expandtabs(4), 200),) for line in lines[:_HEAD_ROWS])
    return Head(size, rows)
