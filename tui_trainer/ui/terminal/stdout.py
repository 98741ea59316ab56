"""`Output`: keeps in `output.log` what is printed while the app owns the screen, and shows it.

Layer: ui. Textual is not imported. Descriptors 1 and 2 point at a file in memory instead of a pipe:
a pipe fills up, and C code that prints while holding the interpreter's lock would then wait for
ever for a reader that needs that lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from tui_trainer.runs.folder import open_folder
from tui_trainer.runs.output import CUT, FILE_LIMIT
from tui_trainer.text.clean import clean

KEPT_LINES = 1_000
SHOWN_AT_ONCE = 200
LINE_LIMIT = 500
FILE_LINE_LIMIT = 10_000
LOOK_S = 0.25
_CHUNK = 2**16

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")

Listener = Callable[[Sequence[str]], None]


class Output:
    """Reads the spool that descriptor `fileno` refers to, and passes its lines on.

    Listeners get cleaned lines, in the output thread or in the one that calls `look`.
    """

    def __init__(self) -> None:
        self.fileno = _open_spool()
        self._listeners: list[Listener] = []
        self._read_to = 0
        self._rest = b""
        self._waiting: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._shown: deque[str] = deque(maxlen=KEPT_LINES)
        self._path: Path | None = None
        self._written = 0
        self._failed = False
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="output", daemon=True)

    @property
    def path(self) -> Path | None:
        """The file that receives lines now; None if there is none or it cannot be written."""
        return None if self._failed else self._path

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Pass on new lines, and those printed so far at once; call the result to unsubscribe."""
        with self._lock:
            self._listeners.append(listener)
            before = list(self._shown)
        if before:
            listener(before)

        def end() -> None:
            with self._lock, contextlib.suppress(ValueError):
                self._listeners.remove(listener)

        return end

    def to(self, path: Path | None) -> None:
        """Append to this file from now on, earlier lines that are in no file first; None: no file.

        A file that cannot be written is skipped: printing must not end the run.
        """
        # Lines printed until now belong to the previous file.
        self.look()
        with self._lock:
            self._path, self._failed = path, False
            if path is not None:
                self._append(list(self._waiting))
                self._waiting.clear()

    def note(self, text: str) -> None:
        """Add lines of our own, as if they had been printed."""
        with contextlib.suppress(OSError):
            os.write(self.fileno, text.encode("utf-8", "replace") + b"\n")

    def look(self) -> None:
        """Read what has been printed since the last call."""
        with self._lock:
            lines = self._new_lines()
            if self._path is not None:
                self._append(lines)
            else:
                self._waiting += lines
            shown = _shown(lines)
            self._shown += shown
            listeners = list(self._listeners) if shown else []
        for listener in listeners:
            listener(shown)

    def close(self) -> list[str]:
        """Stop reading; return the lines that are in no file, cleaned."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        with contextlib.suppress(OSError):
            if os.pread(self.fileno, 1, os.fstat(self.fileno).st_size - 1) != b"\n":
                os.write(self.fileno, b"\n")
        self.look()
        os.close(self.fileno)
        return [_readable(line) for line in self._waiting]

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            self.look()

    def _new_lines(self) -> list[bytes]:
        """Return complete lines; the text after the last line break waits for its end."""
        try:
            if os.fstat(self.fileno).st_size <= self._read_to:
                return []
            parts = [self._rest]
            while part := os.pread(self.fileno, _CHUNK, self._read_to):
                self._read_to += len(part)
                parts.append(part)
            if self._read_to > FILE_LIMIT:
                # Hold no more in memory than a file receives. Only a program that prints that much
                # can lose a line, between the last read and this call.
                os.ftruncate(self.fileno, 0)
                self._read_to = 0
        except OSError:
            return []
        *lines, self._rest = b"".join(parts).split(b"\n")
        if len(self._rest) > _CHUNK:
            lines.append(self._rest)
            self._rest = b""
        return lines

    def _append(self, lines: Sequence[bytes]) -> None:
        """Append lines without control characters: the file is read in a terminal too."""
        if not lines or self._path is None or self._written > FILE_LIMIT:
            return
        data = "".join(f"{_readable(line, FILE_LINE_LIMIT)}\n" for line in lines).encode()
        if self._written + len(data) > FILE_LIMIT:
            data = data[: max(FILE_LIMIT - self._written, 0)] + CUT
            self._written = FILE_LIMIT + 1
        self._written += len(data)
        try:
            with open_folder(self._path.parent, writing=True) as folder:
                descriptor = folder.open_own(self._path.name, os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:
                file.write(data)
        except OSError:
            self._failed = True
            self._waiting += lines


def _open_spool() -> int:
    if hasattr(os, "memfd_create"):
        spool = os.memfd_create("tui-trainer-output", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            spool = os.dup(file.fileno())
    # Several descriptors and processes write to it, each at its end.
    fcntl.fcntl(spool, fcntl.F_SETFL, fcntl.fcntl(spool, fcntl.F_GETFL) | os.O_APPEND)
    return spool


def _shown(lines: Sequence[bytes]) -> list[str]:
    """Return the last lines for the screen; one more line counts those that are left out."""
    left_out = len(lines) - SHOWN_AT_ONCE
    shown = [_readable(line) for line in lines[-SHOWN_AT_ONCE:]]
    if left_out > 0:
        shown.insert(0, f"({left_out:,} lines omitted here)")
    return shown


def _readable(line: bytes, limit: int = LINE_LIMIT) -> str:
    """Return a line without colours; for a redrawn progress bar, only its last state."""
    states = [part for part in _ESCAPES.sub(b"", line[-_CHUNK:]).split(b"\r") if part.strip()]
    return clean(states[-1].decode("utf-8", "replace").rstrip(), limit) if states else ""
