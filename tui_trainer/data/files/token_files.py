"""`TokenFile`: a file of nothing but token numbers, mapped into memory and never copied.

Layer: data. The numbers are little-endian, of 16 or 32 bits. A file is read once, to know its sum
and its largest number; both are kept in the cache, as the sums of tables are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tui_trainer.data.files.cache_store import (
    SUM,
    FileState,
    key_of,
    open_cache,
    open_entry,
    write_entry,
)
from tui_trainer.data.files.disk import NoSuchData, reason_of, similar_name
from tui_trainer.text.clean import clean
from tui_trainer.text.errors import BadInput
from tui_trainer.text.read_progress import ReadProgress

TokenType = Literal["uint16", "uint32"]
_PIECE_TOKENS = 1 << 21
_MOST_ENTRY_BYTES = 1 << 12
MOST_TOKEN = 2**31 - 1


@dataclass(frozen=True, slots=True, eq=False)
class TokenFile:
    """A file of tokens."""

    name: str
    """Cleaned for messages."""
    path: str
    tokens: NDArray[Any] = field(repr=False)
    """(N,) mapped: uint16, or int32 for numbers of 32 bits, which torch computes with."""
    sha256: str
    largest: int
    """The largest token."""

    def check_unchanged(self) -> None:
        """Raise BadInput if the file is shorter now: reading behind its end would kill the process.

        A system call of a microsecond, made before each batch.
        """
        try:
            size = os.stat(self.path).st_size
        except OSError:
            # It was removed or moved, and stays readable for whoever has it open.
            return
        if size < self.tokens.nbytes:
            raise BadInput(
                f"{self.name}: became shorter while it was used; restore it, and resume the run"
            )

    def check_below(self, vocabulary: int) -> None:
        """Raise BadInput if a token is none of the vocabulary; names the place of the first."""
        if self.largest < vocabulary:
            return
        for start, piece in _pieces(self.tokens):
            wrong = np.flatnonzero(piece >= vocabulary)
            if len(wrong):
                place = start + int(wrong[0])
                raise BadInput(
                    f"{self.name}: token {int(piece[wrong[0]]):,} at position {place:,} (byte "
                    f"{place * piece.itemsize:,}) is not below the vocabulary of {vocabulary:,}; "
                    "set dataset.vocabulary, or dataset.token_dtype if the numbers are wider"
                )


def open_token_file(path: str, dtype: TokenType) -> TokenFile:
    """Map a file of tokens.

    Raises:
        NoSuchData: there is no such file.
        BadInput: it cannot be read, is empty, or is not made of whole tokens.
    """
    name, width = clean(path, 200), np.dtype(dtype).itemsize
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise BadInput(f"{name}: is not a regular file")
        if not status.st_size:
            raise BadInput(f"{name}: the file is empty")
        if status.st_size % width:
            raise BadInput(
                f"{name}: {status.st_size:,} bytes are not a multiple of the {width} of a token; "
                "is it complete, and is dataset.token_dtype right?"
            )
        # Copy-on-write, since torch warns of arrays that cannot be written. Nothing writes to it.
        mapped = np.memmap(path, dtype=f"<u{width}", mode="c")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchData(f"{name}: no such file{similar_name(path)}") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{name}: cannot be read: {reason_of(error)}") from error
    state = FileState(os.path.abspath(path), status.st_size, status.st_mtime_ns)
    sha256, largest = _find(state, dtype) or _survey(mapped, name)
    if largest > MOST_TOKEN:
        raise BadInput(
            f"{name}: token {largest:,} is too large; is dataset.token_dtype={dtype} right?"
        )
    _keep(state, dtype, sha256, largest)
    tokens = mapped.view(np.int32) if width == 4 else mapped
    return TokenFile(name, path, tokens, sha256, largest)


def _survey(tokens: NDArray[Any], name: str) -> tuple[str, int]:
    """Return the sum of a file and its largest token."""
    digest, largest = hashlib.sha256(), 0
    with ReadProgress(name, tokens.nbytes) as progress:
        for start, piece in _pieces(tokens):
            digest.update(piece.tobytes())
            largest = max(largest, int(piece.max()))
            progress.reach((start + len(piece)) * piece.itemsize)
    return digest.hexdigest(), largest


def _pieces(tokens: NDArray[Any]) -> Iterator[tuple[int, NDArray[Any]]]:
    for start in range(0, len(tokens), _PIECE_TOKENS):
        yield start, tokens[start : start + _PIECE_TOKENS]


def _entry(state: FileState, dtype: str) -> str:
    return key_of({**asdict(state), "tokens": dtype}) + SUM


def _find(state: FileState, dtype: str) -> tuple[str, int] | None:
    """Return what the cache knows of a file, or None."""
    if not state.is_cached:
        return None
    try:
        with open_cache() as folder, open_entry(folder, _entry(state, dtype)) as file:
            saved = json.loads(file.read(_MOST_ENTRY_BYTES))
        sha256, largest = saved["sha256"], saved["largest"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    is_right = isinstance(sha256, str) and len(sha256) == 64 and type(largest) is int
    return (sha256, largest) if is_right and 0 <= largest < 2**32 else None


def _keep(state: FileState, dtype: str, sha256: str, largest: int) -> None:
    """Keep what is known of a file; without the cache it is read again next time."""
    if not state.is_cached:
        return
    with contextlib.suppress(OSError), open_cache(writing=True) as folder:
        content = json.dumps({"sha256": sha256, "largest": largest}).encode()
        write_entry(folder, _entry(state, dtype), [content])
